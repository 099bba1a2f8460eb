"""Penalties and adversaries: against known values, with every model and bound, and whose variables are whose."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import cost, random_batch, seed, small, step_gradients, tiered

import zoo
from zoo.creation import model_class
from zoo.errors import InvalidInput
from zoo.objectives.factor_tc import shuffled_units
from zoo.objectives.penalties import Penalty, covariance, locations_by_latent
from zoo.objectives.trace import Pass, Trace
from zoo.registry import PENALTIES
from zoo.training import Checkpoint, ExponentialMovingAverage, Linear
from zoo.training.checkpoint import FILE

TC = {"name": "factor_tc", "weight": 2.0, "hidden_units": [16], "learning_rate": 1e-2}
MODELS = [name for name in zoo.list_models() if model_class(name)[0].capabilities >= {"prior", "decoder"}]


def codes(z, number=1):
    """A pass whose only latent is z [B, D], with nothing enumerated."""
    z = tf.cast(z, tf.float32)
    trace = Trace({"z": z[None, None]}, {}, {}, {}, tf.zeros([1, 1, len(z)]), {})
    return Pass({}, trace, tf.stack([7, number]), {}, {}, {})


# ---------------------------------------------------------------- the rows of an enumerated label


def test_a_penalty_sees_each_value_of_a_label_with_its_mass():
    model = small("m2")
    x = random_batch(model, 6)["x"]
    p = model({"x": x}, num_samples=2, seed=seed(1), needs=())
    means, mass = locations_by_latent(p, model)["z"]
    np.testing.assert_allclose(mass, tf.transpose(model.classify(x)), rtol=1e-5)
    for label, found in enumerate(means):
        np.testing.assert_allclose(found, model.posterior(x, y=tf.fill([6], label)).mean(), rtol=1e-5, atol=1e-6)
    weights = np.asarray(mass).ravel()
    wanted = np.cov(np.asarray(means).reshape(len(weights), -1).T, aweights=weights, ddof=0)
    np.testing.assert_allclose(covariance(means, mass), wanted, rtol=1e-4, atol=1e-6)
    certain = model({"x": x, "y": tf.zeros(6, tf.int32)}, num_samples=2, seed=seed(1), needs=())
    known = np.asarray(means[0])
    found = covariance(*locations_by_latent(certain, model)["z"])
    np.testing.assert_allclose(found, np.cov(known.T, ddof=0), rtol=1e-4, atol=1e-6)  # and nothing of other labels


# ---------------------------------------------------------------- maximum mean discrepancy


@pytest.mark.parametrize("loc, scale, width", [(0.0, 1.0, None), (0.7, 0.5, None), (0.5, 1.5, 0.8)])
def test_mmd_has_no_bias_between_two_gaussians(loc, scale, width):
    """E k(a, b) of N(m, v) and N(m', v') is (s^2 / (s^2 + v + v'))^(D/2) exp(-|m - m'|^2 / (2 (s^2 + v + v')))."""
    size, dim, repeats = 40, 3, 400
    square = dim if width is None else width**2

    def kernel_mean(distance, variance):
        total = square + variance
        return (square / total) ** (dim / 2) * math.exp(-dim * distance**2 / (2 * total))

    exact = kernel_mean(0, 2 * scale**2) + kernel_mean(0, 2) - 2 * kernel_mean(loc, scale**2 + 1)
    penalty, random = PENALTIES.create({"name": "mmd", "scale": width}), np.random.RandomState(0)
    values = []
    for _ in range(repeats):
        z = loc + scale * random.normal(size=(1, size, dim)).astype("float32")
        w = random.normal(size=(size, dim)).astype("float32")
        values.append(float(penalty.squared(tf.constant(z), tf.ones([1, size]), tf.constant(w))))
    error = np.std(values) / math.sqrt(repeats)
    assert abs(np.mean(values) - exact) < 4 * error
    assert loc == 0 or exact > 10 * error, "the test is blind"


def test_mmd_of_enumerated_values_is_that_of_values_drawn_by_their_mass():
    random = np.random.RandomState(1)
    z, w = random.normal(size=(3, 30, 2)).astype("float32"), random.normal(size=(30, 2)).astype("float32")
    mass = random.dirichlet([1.0, 1.0, 1.0], 30).T.astype("float32")
    penalty = PENALTIES.create("mmd")
    expected = float(penalty.squared(tf.constant(z), tf.constant(mass), tf.constant(w)))
    rows, drawn = np.arange(30), []
    for _ in range(4000):
        chosen = np.array([random.choice(3, p=column / column.sum()) for column in mass.T])
        drawn.append(float(penalty.squared(z[None, chosen, rows], tf.ones([1, 30]), w)))
    assert abs(np.mean(drawn) - expected) < 4 * np.std(drawn) / math.sqrt(4000)


@pytest.mark.slow
def test_mmd_pulls_the_codes_of_all_data_to_the_prior():
    def distance(penalties):
        model = small("vae", beta=0.0, penalties=penalties)
        x = np.random.RandomState(0).randint(0, 2, (200, 4, 4, 1)).astype("float32")
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(x, batch_size=50, epochs=30, verbose=0)
        z = model(x, seed=1).latents["z"][0, 0].numpy()
        return abs(z.mean(0)).mean() + abs(z.std(0) - 1).mean()

    assert distance([{"name": "mmd", "weight": 100.0}]) < 0.5 * distance([])


# ---------------------------------------------------------------- total correlation


def test_the_discriminator_finds_the_total_correlation_of_a_gaussian():
    """Of N(0, C) it is -1/2 log det of the correlation matrix."""
    correlation = 0.8
    covariance = np.array([[1.0, correlation], [correlation, 1.0]])
    exact = -0.5 * math.log(1 - correlation**2)
    draw = np.random.RandomState(0).multivariate_normal
    model = small("vae", latent_dim=2)
    penalty = PENALTIES.create({"name": "factor_tc", "hidden_units": [64, 64], "learning_rate": 2e-3})
    penalty(codes(draw([0, 0], covariance, 2)), model)
    penalty.compile(mixed=False)
    (player,) = penalty.players(model)

    @tf.function
    def step(z, number):
        with tf.GradientTape() as tape:
            value = player.cost(codes(z, number))
        player.optimizer.apply(tape.gradient(value, player.variables), player.variables)

    for number in range(1500):
        step(tf.constant(draw([0, 0], covariance, 512), tf.float32), tf.constant(number))
    found = float(tf.reduce_mean(penalty(codes(draw([0, 0], covariance, 20_000)), model)))
    assert found == pytest.approx(exact, abs=0.06)


def test_shuffled_units_keep_each_units_values_and_lose_what_they_share():
    z = np.random.RandomState(0).normal(size=(2000, 1)) * np.ones((1, 3))
    shuffled = shuffled_units(tf.constant(z, tf.float32), seed(1)).numpy()
    np.testing.assert_array_equal(np.sort(shuffled, 0), np.sort(z.astype("float32"), 0))
    assert np.all(abs(np.corrcoef(shuffled.T) - np.eye(3)) < 0.1)


def test_the_adversary_moves_its_own_variables_and_the_model_its_own():
    model = small("vae", penalties=[TC])
    model.compile(keras.optimizers.SGD(0.1))
    players = {player.name: player for player in model.players()}
    assert list(players) == ["model", "factor_tc"]
    assert {id(v) for p in players.values() for v in p.variables} == {id(v) for v in model.trainable_variables}
    assert not {id(v) for v in players["model"].variables} & {id(v) for v in players["factor_tc"].variables}
    batch = random_batch(model)
    _, gradients = step_gradients(model, batch, seed(1))
    by_weight = {id(v): g for v, g in zip(model.trainable_variables, gradients, strict=True)}
    p = model.forward(batch, seed(1), training=True)
    for player in players.values():
        with tf.GradientTape() as tape:
            value = player.cost(model.forward(batch, seed(1), training=True))
        for variable, expected in zip(player.variables, tape.gradient(value, player.variables), strict=True):
            np.testing.assert_allclose(by_weight[id(variable)], expected, rtol=1e-4, atol=1e-6)
    # The model pays what the discriminator says, and its value is the printed one.
    expected = 2.0 * tf.reduce_mean(p.paid["factor_tc"]) - tf.reduce_mean(model.objective(p.trace))
    assert float(model.cost(p)) == pytest.approx(float(expected), rel=1e-5)


# ---------------------------------------------------------------- with everything


@pytest.mark.parametrize("name", tiered(MODELS, plain=["vae"].__contains__))
def test_penalties_combine_with_every_model(name):
    model = small(name, penalties=["mmd", TC])
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=name == "vae")
    data = tf.data.Dataset.from_tensors(random_batch(model, 8)).repeat(2)
    logs = model.fit(data, validation_data=data, verbose=0).history
    for term in ("mmd", "factor_tc", "factor_tc_cost", "val_mmd", "val_factor_tc"):
        assert np.isfinite(logs[term][0]), term
    assert logs["skipped"] == [0.0]
    copy = zoo.create(name, **model.get_config())
    assert [penalty.name for penalty in copy.penalties] == [penalty.name for penalty in model.penalties]


@pytest.mark.parametrize(
    "bound", tiered(["iwae", "stl", "dreg", {"name": "piwae", "num_groups": 2}, "free_bits"], ["dreg"].__contains__)
)
def test_penalties_combine_with_every_bound(bound):
    model = small("vae", bound=bound, num_samples=4, penalties=["mmd", TC])
    model.compile("adam")
    assert model.fit(random_batch(model, 8)["x"], verbose=0).history["skipped"] == [0.0]


def test_a_weight_of_zero_is_the_model_without_the_penalty():
    plain, model = small("vae"), small("vae", penalties=[{"name": "mmd", "weight": 0.0}])
    batch = random_batch(plain)
    assert float(cost(plain, batch)) == float(cost(model, batch))


def test_a_schedule_moves_the_weight_and_a_file_keeps_it(tmp_path):
    model = small("vae", penalties=["mmd"])
    model.compile("adam")
    schedule = Linear(steps=4, stop=8.0, variable="mmd.weight")
    data = tf.data.Dataset.from_tensors(random_batch(model, 8)).repeat(3)
    model.fit(data, callbacks=[schedule], verbose=0)
    assert float(model.scalars["mmd.weight"]) == 4.0
    zoo.save(model, tmp_path / "m")
    assert float(zoo.load(tmp_path / "m").scalars["mmd.weight"]) == 4.0
    with pytest.raises(InvalidInput, match="unknown scalar of the model 'mdm.weight'; did you mean mmd.weight"):
        model.fit(data, callbacks=[Linear(steps=4, variable="mdm.weight")], verbose=0)


@pytest.mark.slow
def test_a_checkpoint_holds_every_players_moments_and_the_average_leaves_the_adversary_out(tmp_path):
    def trained(epochs, resume=False):
        model = small("vae", penalties=[TC])
        model.compile(keras.optimizers.Adam(1e-2))
        model.optimizer.build(model.players()[0].variables)
        checkpoint = Checkpoint(tmp_path, {})
        checkpoint.set_model(model)
        start = checkpoint.restore() if resume else 0
        data = tf.data.Dataset.from_tensors(random_batch(model, 8)).repeat(3)
        model.fit(data, epochs=epochs, initial_epoch=start, callbacks=[checkpoint], verbose=0)
        return model

    whole = trained(2).get_weights()
    (tmp_path / FILE).unlink()
    trained(1)
    for expected, weight in zip(whole, trained(2, resume=True).get_weights(), strict=True):
        np.testing.assert_array_equal(expected, weight)
    model = trained(1)
    average = ExponentialMovingAverage(0.5)
    average.set_model(model)
    others = {id(w) for w in model.penalties[0].weights}
    assert others and not others & {id(w) for w in average.weights}


def test_an_update_that_is_not_finite_for_one_player_moves_none(monkeypatch):
    model = small("vae", penalties=[TC])
    model.compile("adam")
    data = random_batch(model, 8)["x"]
    model.fit(data, verbose=0)
    before = [v.numpy() for v in (*model.trainable_variables, *model.penalties[0].optimizer.variables)]
    monkeypatch.setattr(
        type(model.penalties[0]), "cost", lambda self, p, model: tf.constant(np.nan) * self.logit(tf.zeros([1, 3]))[0]
    )
    model.make_train_function(force=True)
    with pytest.raises(FloatingPointError):
        model.fit(data, verbose=0)
    for old, new in zip(before, (*model.trainable_variables, *model.penalties[0].optimizer.variables), strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@keras.saving.register_keras_serializable("tests")
class Large(Penalty):
    """A penalty of one's own: the mean square of the code."""

    registry_name = "large"

    def value(self, p, model):
        return tf.reduce_mean(tf.square(p.trace.latents["z"][0, 0]), -1)


def test_a_penalty_of_ones_own_is_paid_and_reloaded(tmp_path):
    model = small("vae", penalties=[Large(weight=3.0)])
    batch = random_batch(model)
    p = model.forward(batch, seed(1), training=True)
    expected = 3.0 * np.mean(p.trace.latents["z"][0, 0].numpy() ** 2) - float(tf.reduce_mean(model.objective(p.trace)))
    assert float(model.cost(p)) == pytest.approx(expected, rel=1e-5)
    zoo.save(model, tmp_path / "m")
    assert float(cost(zoo.load(tmp_path / "m"), batch)) == pytest.approx(expected, rel=1e-5)


BAD = [
    ("vae", ["mdm"], "unknown penalty 'mdm'; did you mean mmd"),
    ("vae", [{"name": "mmd", "wieght": 1.0}], "takes no argument 'wieght'; did you mean weight"),
    ("vae", [{"name": "mmd", "weight": -1.0}], "weight of a penalty is a number from 0, got -1.0"),
    ("vae", [{"name": "mmd", "weight": math.nan}], "weight of a penalty is a number from 0, got nan"),
    ("vae", [{"name": "mmd", "scale": 0.0}], "scale must be positive"),
    ("vae", ["mmd", {"name": "mmd", "weight": 2.0}], "a name of its own, got mmd, mmd"),
    ("vae", "mmd", "a list of names or dicts"),
    ("vae", [{"name": "factor_tc", "hidden_units": [0]}], "hidden_units must be positive"),
    ("vae", [{"name": "factor_tc", "learning_rate": 0.0}], "must be positive"),
    ("vae", ["classification"], "penalty 'classification' needs a classifier"),
    ("m2", ["classification"], "a name of its own"),
    ("autoencoder", ["mmd"], "needs a distribution of x"),
]


@pytest.mark.parametrize(("name", "penalties", "message"), BAD, ids=[m for *_, m in BAD])
def test_wrong_penalties_are_one_line(name, penalties, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        small(name, penalties=penalties)
    assert "\n" not in str(caught.value)
