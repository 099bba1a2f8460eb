"""What users of Keras, scikit-learn and pandas do by habit works, or is refused in one line that says what to do."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from support import small

import zoo
from zoo.data.weights import with_class_weight
from zoo.errors import InvalidInput
from zoo.models import guards

X = np.random.RandomState(0).rand(30, 4, 4, 1).astype("float32")
Y = np.arange(30) % 3
W = np.linspace(0, 1, 30).astype("float32")
TABLE = pd.DataFrame(np.random.RandomState(1).randn(30, 3), columns=list("abc"))
MUSIC = [np.random.RandomState(n).randint(0, 2, (n, 4)).astype("float32") for n in (3, 5, 2)]
TABULAR = {"data_shape": (3,), "likelihood": "normal"}


def compiled(name="vae", **config):
    model = small(name, **config)
    model.compile(keras.optimizers.SGD(0.01))
    return model


def taken(held_out, name="vae", **config):
    """What Keras is given of validation data."""
    return small(name, **config).accept_held_out(held_out)


def same(first, second):
    if not isinstance(second, dict):
        first, second = {"x": first["x"] if isinstance(first, dict) else first}, {"x": second}
    assert first.keys() == second.keys()
    for name, value in second.items():
        np.testing.assert_array_equal(first[name], value)


def refused(said, ask):
    with pytest.raises(InvalidInput, match=said) as error:
        ask()
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- data


@pytest.mark.parametrize("form", [tuple, list])
def test_validation_data_are_what_keras_takes(form):
    for held_out in ((X,), (X, None), (X, None, None)):
        same(taken(form(held_out)), X)
    same(taken(form((X, X))), {"x": X, "target": X})
    same(taken(form(({"x": X}, X))), {"x": X, "target": X})
    same(taken(form((X, X, W))), {"x": X, "target": X, "sample_weight": W})
    same(taken(form((X, Y)), "m2"), {"x": X, "y": Y})
    same(taken(form(({"x": X}, Y)), "m2"), {"x": X, "y": Y})
    same(taken(form((X, Y, W)), "m2"), {"x": X, "y": Y, "sample_weight": W})
    refused("got 4 entries", lambda: taken(form((X, X, W, W))))
    refused("the model takes", lambda: taken(form((X[:, :2], X))))


def test_targets_and_weights_count_in_validation():
    model, first = compiled(), (np.arange(30) < 10).astype("float32")
    given = {"verbose": 0, "validation_batch_size": 10}
    model.optimizer.learning_rate = 0.0
    found = model.fit(X, X, validation_data=(X, X[::-1], first), **given).history["val_reconstruction"]
    model.steps.assign(0)
    assert found == pytest.approx(
        model.fit(X, validation_data=(X[:10], X[::-1][:10]), **given).history["val_reconstruction"], rel=1e-5
    )


def test_tables_and_columns_of_pandas_are_arrays():
    config = {**TABULAR, "num_classes": 3}
    x, y, w = TABLE.to_numpy(), pd.Series(Y), pd.Series(W)
    model, plain = small("m2", **config), small("vae", **TABULAR)
    same(plain.accept(TABLE), x)
    same(plain.accept(TABLE, TABLE, w), {"x": x, "target": x, "sample_weight": W})
    for labels, weights in ((y, w), (y.to_frame(), w.to_frame()), (Y[:, None], W[:, None])):
        expected = {"x": x, "y": Y, "sample_weight": W}
        same(model.accept(TABLE, labels, weights), expected)
        same(model.accept({"x": TABLE, "y": labels}, None, weights), expected)
    model.compile("adam")
    model.fit(TABLE, y.to_frame(), sample_weight=w, verbose=0, class_weight=None)
    batches = tf.data.Dataset.from_tensor_slices((x, y.to_frame(), w.to_frame())).batch(10)
    found = {name: value.numpy() for name, value in model.fields(next(iter(batches))).items()}
    same(found, {"x": x[:10].astype("float32"), "y": Y[:10], "sample_weight": W[:10]})
    np.testing.assert_allclose(plain.encode(TABLE), plain.encode(x))
    np.testing.assert_allclose(plain.log_prob(TABLE, 3, seed=1), plain.log_prob(x, 3, seed=1))
    refused("np.unique", lambda: model.fit(TABLE, pd.Series(list("abc") * 10)))


@pytest.mark.parametrize("form", ["list", "objects", "ragged"])
def test_a_list_of_sequences_is_padded_and_its_lengths_are_known(form):
    padded = np.zeros((3, 5, 4), "float32")
    for place, row in zip(padded, MUSIC, strict=True):
        place[: len(row)] = row
    expected = {"x": padded, "length": np.array([3, 5, 2], "int32")}
    objects = np.empty(3, object)
    objects[:] = MUSIC
    ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(MUSIC), [3, 5, 2])
    given = {"list": MUSIC, "objects": objects, "ragged": ragged}[form]
    model = small("vrnn", data_shape=(None, 4))
    same(model.accept(given), expected)
    same(model.accept({"x": given}), expected)
    same(model.accept_held_out(given), expected)
    score = model.log_prob(padded, 3, seed=1, length=expected["length"])
    np.testing.assert_allclose(model.log_prob(given, 3, seed=1), score, rtol=1e-5)


def test_lists_and_tuples_of_images_are_told_what_to_do():
    refused(r"np\.stack", lambda: small("vae").accept([X[0], X[1]]))
    refused("give targets as y", lambda: small("vae").accept((X, X)))


@pytest.mark.parametrize("form", [list, tf.data.Dataset.from_tensor_slices])
def test_balanced_classes_weigh_as_scikit_learn_s(form):
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 20 + [1] * 6 + [-1] * 4)
    table = dict(enumerate(compute_class_weight("balanced", classes=np.arange(2), y=labels[labels >= 0])))
    spec = small("m2").data_spec
    data = (X, labels) if form is list else (form((X, labels)).batch(10),)
    first, second = (with_class_weight(spec, weight, *data) for weight in ("balanced", table))
    found = [
        [given[2]] if form is list else [batch["sample_weight"] for batch in given[0]] for given in (first, second)
    ]
    np.testing.assert_allclose(*map(np.concatenate, found), rtol=1e-6)


def test_weights_of_classes_that_are_none_are_one_line():
    for weight in ("balance", [1.0, 2.0]):
        refused('"balanced" or', lambda weight=weight: compiled("m2").fit(X, Y, class_weight=weight))
    endless = tf.data.Dataset.from_tensor_slices((X, Y)).batch(10).repeat()
    batches = ((X, Y) for _ in range(2))
    for data in (endless, batches):
        refused("counts the labels", lambda data=data: compiled("m2").fit(data, class_weight="balanced"))
    refused("takes none", lambda: compiled().fit(X, class_weight="balanced"))


# ---------------------------------------------------------------- callbacks, and what is trained


def test_a_callback_alone_is_a_list_of_one_and_what_is_none_is_named():
    class Seen(keras.callbacks.Callback):
        count = 0

        def on_test_end(self, logs=None):
            self.count += 1

        on_epoch_end = on_predict_end = lambda self, *_: Seen.on_test_end(self)

    model, seen = compiled(), Seen()
    for given in (seen, [seen], (seen,)):
        model.fit(X, verbose=0, callbacks=given)
        model.evaluate(X, verbose=0, callbacks=given)
        model.predict(X, verbose=0, callbacks=given)
    assert seen.count == 9
    for wrong in (print, Seen, "early", [seen, 3]):
        refused("keras.callbacks.Callback", lambda wrong=wrong: model.fit(X, verbose=0, callbacks=wrong))


def test_a_model_without_trainable_weights_is_not_trained_but_used():
    model = compiled()
    model.trainable = False
    for ask in (lambda: model.fit(X, verbose=0), lambda: model.train_on_batch(X)):
        refused("model.trainable = True", ask)
    model.evaluate(X, verbose=0)
    model.trainable = True
    model.encoder.trainable = False
    before, decoder = model.encoder.get_weights(), model.decoder.get_weights()
    model.fit(X, verbose=0)
    assert all(map(np.array_equal, before, model.encoder.get_weights()))
    assert not all(map(np.array_equal, decoder, model.decoder.get_weights()))


@pytest.mark.parametrize("parts", [["encoder"], ["decoder"], ["encoder", "decoder"]])
def test_layers_of_a_trained_model_are_layers_of_a_new_one_which_is_saved_with_them(parts, tmp_path):
    model = compiled()
    model.fit(X, verbose=0)
    other = small("vae", bound="iwae", num_samples=2, **{part: getattr(model, part) for part in parts})
    assert all(getattr(other, part) is getattr(model, part) for part in parts)
    zoo.save(other, tmp_path / "saved")
    other.save(tmp_path / "saved.keras")
    for again in (zoo.load(tmp_path / "saved"), keras.models.load_model(tmp_path / "saved.keras")):
        for part in parts:
            assert all(map(np.array_equal, getattr(again, part).get_weights(), getattr(model, part).get_weights()))
    refused("unknown likelihood 'mlp'", lambda: small("vae", likelihood=model.decoder))
    refused("cannot be made of these arguments", lambda: small("vae", decoder=model.decoder, latent_dim=7))


def test_a_layer_that_cannot_be_made_again_is_one_line():
    class Own(keras.layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

    refused("needs get_config", lambda: small("vae", encoder=Own(object()), decoder="mlp"))


# ---------------------------------------------------------------- numbers


def test_numbers_of_numpy_are_numbers(tmp_path):
    encoder = {"name": "mlp", "hidden_units": [np.int64(8)]}
    model = small("vae", latent_dim=np.int64(4), data_shape=np.array([4, 4, 1]), beta=np.float32(2), encoder=encoder)
    again = zoo.create("vae", **{**model.get_config(), "seed": np.int64(model.seed)})
    assert model.get_config() == again.get_config()
    assert type(again.get_config()["latent_dim"]) is int and type(again.get_config()["beta"]) is float
    own = type(model)(latent_dim=np.int64(4), data_shape=X.shape[1:], num_samples=np.int64(2))
    assert type(own.get_config()["latent_dim"]) is int
    model.save(tmp_path / "model.keras")
    seeds = (3, np.int64(3), np.uint8(3), np.array(3), tf.constant(3, tf.int64), [0, 3], np.array([0, 3]))
    for ask in (lambda s: model.sample(np.int64(2), seed=s), lambda s: model.log_prob(X, np.int64(3), seed=s)):
        answers = [ask(seed) for seed in seeds]
        assert all(np.array_equal(answers[0], answer) for answer in answers)
    assert len(model.interpolate(X[:2], X[2:4], steps=np.int64(3))) == 3
    batches = zoo.load_dataset(X, batch_size=10, shuffle=False)
    numbers = [zoo.evaluate(model, batches, num_samples=n, seed=n)["nll"]["value"] for n in (5, np.int64(5))]
    assert numbers[0] == numbers[1]


def test_seeds_of_64_bits_are_as_many():
    model = small("vae")
    seeds = (0, 1, -1, 2**31, 2**32, 2**40, 2**40 + 1, 2**63 - 1, -(2**63))
    draws = {model.sample(2, seed=seed).numpy().tobytes() for seed in seeds}
    keys = [zoo.evaluate(model, X, num_samples=2, seed=seed)["nll"]["value"] for seed in (0, 2**40)]
    assert len(draws) == len(seeds) and keys[0] != keys[1]
    assert np.array_equal(model.sample(2, seed=np.int64(2**40)), model.sample(2, seed=tf.constant(2**40)))


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 1.5, "a", (1, 2, 3), np.zeros(2)])
def test_what_is_no_seed_is_one_line(seed):
    model = small("vae")
    for ask in (model.sample, lambda n, seed: model.log_prob(X, n, seed=seed), lambda n, seed: model(X, seed=seed)):
        refused("seed is a whole number", lambda ask=ask: ask(2, seed=seed))
    refused("seed must be a whole number", lambda: small("vae", seed=seed))
    if isinstance(seed, int):
        refused("seed is a whole", lambda: zoo.evaluate(model, zoo.load_dataset(X), num_samples=2, seed=seed))


def test_what_no_memory_holds_is_refused_at_once(monkeypatch):
    model, asked = small("vae"), 10**12
    for ask in (
        lambda: model.sample(asked),
        lambda: model.log_prob(X, num_samples=asked),
        lambda: model(X, num_samples=asked),
        lambda: model.interpolate(X, X, steps=asked),
        lambda: compiled(num_samples=asked).fit(X, verbose=0),
    ):
        refused(r"would take more than [\d,]+ GB", ask)
    monkeypatch.setattr(guards, "memory", lambda: 2**20)
    model.sample(100)
    refused("ask for fewer", lambda: model.sample(10_000))


# ---------------------------------------------------------------- files


def test_a_path_may_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    zoo.save(small("vae"), "~/models/mine")
    assert zoo.load("~/models/mine").card["name"] == "mine" and (tmp_path / "models" / "mine" / "card.json").exists()


@pytest.mark.parametrize("name", ["x.keras", "x.h5"])
def test_a_folder_is_not_called_like_a_file(name, tmp_path):
    refused("model.save", lambda: zoo.save(small("vae"), tmp_path / name))
    assert not list(tmp_path.iterdir())
    refused(re.escape("keras.models.load_model"), lambda: zoo.load(tmp_path / name))


def test_a_card_holds_numbers_of_numpy_and_tensorflow_as_json_does(tmp_path):
    given = {"metrics": {"nll": {"value": np.float32(1.5)}}, "notes": [np.arange(3), tf.constant(2.0), tmp_path]}
    card = zoo.save(small("vae"), tmp_path / "saved", card=given)
    assert card["metrics"] == {"nll": {"value": 1.5}} and card["notes"] == [[0, 1, 2], 2.0, str(tmp_path)]
    assert zoo.load(tmp_path / "saved").card == card
    refused(
        "object cannot be written as JSON", lambda: zoo.save(small("vae"), tmp_path / "a", card={"notes": object()})
    )
    assert not (tmp_path / "a").exists()


# ---------------------------------------------------------------- draws


TEMPERED = ["vae", "vamp_vae", "lvae", "m2", "m1_m2", "mixture_prior_vae", "deep_vae"]


@pytest.mark.parametrize("name", TEMPERED)
def test_a_temperature_multiplies_the_scale_of_the_prior_s_draws(name):
    model = small(name)
    n = 2000
    warm, cold = (model.simulate(n, seed=1, temperature=t)[0] for t in (1.0, 0.5))
    plain = model.simulate(n, seed=1)[0]
    for latent, z in plain.items():
        np.testing.assert_array_equal(z, warm[latent])
    top = model.latent_names[-1] if name in ("lvae", "deep_vae") else "z"
    if name in ("vae", "lvae", "m2", "m1_m2"):
        np.testing.assert_allclose(cold[top], 0.5 * warm[top].numpy(), rtol=1e-5, atol=1e-6)
    else:
        assert np.std(cold[top]) < np.std(warm[top])
        loc = model.simulate(n, seed=1, temperature=0)[0][top].numpy()
        np.testing.assert_allclose(cold[top] - loc, 0.5 * (warm[top] - loc), rtol=1e-4, atol=1e-5)
    assert model.sample(2, seed=1, temperature=np.float32(0.5)).shape[0] == 2


def test_a_temperature_without_a_scale_and_none_that_makes_sense_are_one_line():
    refused("has no scale for a temperature", lambda: small("flow_prior_vae").sample(2, temperature=0.5))
    for wrong in (-1.0, np.nan, np.inf, "hot"):
        refused("temperature must be", lambda wrong=wrong: small("vae").sample(2, temperature=wrong))
