"""Fields by role: values that are missing, and models of two data fields."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from support import lively, of_today, random_batch, seed, small, tiered

import zoo
from zoo.creation import model_class
from zoo.errors import InvalidInput

ALL_IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32").reshape(16, 2, 2, 1)
CLASSES = sorted({model_class(name)[0].registry_name for name in zoo.list_models()})
each_class = pytest.mark.parametrize("name", tiered(CLASSES, {"vae", *of_today(CLASSES, 3)}.__contains__))


# ---------------------------------------------------------------- missing values


@each_class
def test_with_a_full_mask_it_is_the_model_without(name):
    plain, model = small(name), small(name, masked=True)
    batch = random_batch(plain)
    full = {**batch, "mask": tf.ones_like(batch["x"])}
    expected, trace = plain(batch, num_samples=3, seed=seed(1)), model(full, num_samples=3, seed=seed(1))
    np.testing.assert_allclose(trace.log_weight, expected.log_weight, rtol=1e-6, atol=1e-6)
    left_out = model(model.fields(batch), num_samples=3, seed=seed(1))
    np.testing.assert_array_equal(left_out.log_weight, trace.log_weight)


def test_the_likelihood_of_what_is_observed_is_that_of_all_images_that_agree_with_it():
    """p(observed) = sum over the values of what is missing of p(x)."""
    model = lively("vae", masked=True)
    mask = np.array([1, 1, 0, 0], "float32").reshape(1, 2, 2, 1)
    draws = 20_000
    whole = model(model.fields(ALL_IMAGES), num_samples=draws, seed=seed(1)).log_weight.numpy()[:, 0].astype("float64")
    part = model(model.fields({"x": ALL_IMAGES, "mask": np.repeat(mask, 16, 0)}), num_samples=draws, seed=seed(2))
    probability, error = np.exp(whole).mean(0), np.exp(whole).std(0) / np.sqrt(draws)
    found = np.exp(part.log_weight.numpy()[:, 0].astype("float64"))
    for first, second in itertools.product((0, 1), repeat=2):
        rows = np.flatnonzero((ALL_IMAGES[:, 0, 0, 0] == first) & (ALL_IMAGES[:, 0, 1, 0] == second))
        spread = np.sqrt((error[rows] ** 2).sum() + found[:, rows[0]].var() / draws)
        assert abs(found[:, rows[0]].mean() - probability[rows].sum()) < 5 * spread


@each_class
def test_what_is_missing_plays_no_part_whatever_stands_in_its_place(name):
    if name == "kl_autoencoder":  # its adversary compares whole pictures
        with pytest.raises(InvalidInput, match="leave out masked"):
            small(name, masked=True)
        return
    model = small(name, masked=True)
    batch = random_batch(model)
    mask = np.random.RandomState(0).randint(0, 2, batch["x"].shape).astype("float32")
    hidden = {**batch, "mask": mask}
    other = {**hidden, "x": np.where(mask > 0, batch["x"], np.nan)}
    traces = [model(model.fields(b), num_samples=2, seed=seed(1)).log_weight for b in (hidden, other)]
    np.testing.assert_array_equal(*traces)
    fields = {k: v for k, v in other.items() if k not in ("x", "mask")}
    assert np.all(np.isfinite(single(model.reconstruct(other["x"], mask=mask, **fields))))
    model.compile("adam")
    history = model.fit(other, verbose=0).history
    assert history["skipped"] == [0.0]
    assert np.isfinite(history["loss"][0])


def single(found):
    return found["x"] if isinstance(found, dict) else found


def test_values_that_are_missing_are_filled_in_from_the_rest():
    random = np.random.RandomState(0)
    kinds = random.randint(0, 2, (600, 1, 1, 1))
    x = np.where(np.arange(16).reshape(1, 4, 4, 1) % 2 == kinds, 1.0, 0.0).astype("float32")
    mask = (random.uniform(size=x.shape) < 0.7).astype("float32")
    model = small("vae", masked=True)
    model.compile("adam")
    model.optimizer.learning_rate = 1e-2
    model.fit({"x": np.where(mask > 0, x, np.nan), "mask": mask}, epochs=30, verbose=0)
    filled = model.reconstruct(np.where(mask > 0, x, 0), mask=mask).numpy()
    assert np.mean(abs(filled - x)[mask == 0]) < 0.05


def test_masked_models_are_evaluated_over_what_was_observed():
    model = small("vae", masked=True)
    x = random_batch(model, 20)["x"].numpy()
    mask = np.random.RandomState(0).randint(0, 2, x.shape).astype("float32")
    metrics = zoo.evaluate(model, {"x": x, "mask": mask}, num_samples=5)
    full = zoo.evaluate(model, {"x": x}, num_samples=5)
    assert metrics["nll"]["value"] < 0.7 * full["nll"]["value"]
    # An untrained pixel costs about a bit, whether all are observed or half of them.
    for found in (metrics, full):
        assert found["bits_per_dim"]["value"] == pytest.approx(1, abs=0.25)
    assert "mask" in model.endpoints["reconstruct"][1]


BAD_MASKS = [
    (lambda x: np.full_like(x, 0.5), "1 where a value was observed and 0 where it is missing"),
    (lambda x: np.ones((5, 3), "float32"), "mask has shape"),
    (lambda x: np.ones_like(x)[:3], "one length"),
]


@pytest.mark.parametrize(("make", "message"), BAD_MASKS, ids=[m for _, m in BAD_MASKS])
def test_a_wrong_mask_is_one_line(make, message):
    model = small("vae", masked=True)
    x = random_batch(model)["x"].numpy()
    with pytest.raises(InvalidInput, match=message) as caught:
        model.reconstruct(x, mask=make(x))
    assert "\n" not in str(caught.value)


def test_a_model_without_a_mask_does_not_take_one():
    model = small("vae")
    x = random_batch(model)["x"]
    with pytest.raises(InvalidInput, match="unknown field 'mask'"):
        model.reconstruct(x, mask=np.ones_like(x))


# ---------------------------------------------------------------- two data fields


def test_probabilities_of_all_images_and_labels_sum_to_one_and_are_the_frequencies_of_samples():
    model, draws = lively("jmvae"), 20_000
    total, variance, counts = [], [], None
    for label in range(3):
        trace = model({"x": ALL_IMAGES, "y": tf.fill([16], label)}, num_samples=draws, seed=seed(label))
        weight = np.exp(trace.log_weight.numpy()[:, 0].astype("float64"))
        total.append(weight.mean(0)), variance.append(weight.var(0) / draws)
    probability, variance = np.stack(total), np.stack(variance)
    assert abs(probability.sum() - 1) < 4 * np.sqrt(variance.sum())
    assert np.sqrt(variance.sum()) < 0.02
    drawn = model.sample(draws, seed=2)
    places = (drawn["x"].numpy().reshape(draws, 4) @ [8, 4, 2, 1]).astype(int)
    counts = np.zeros((3, 16))
    np.add.at(counts, (drawn["y"].numpy(), places), 1)
    noise = np.sqrt(probability * (1 - probability) / draws + variance)
    assert np.all(abs(counts / draws - probability) < 5 * noise)


def test_a_field_that_is_not_observed_adds_nothing():
    """p(x) = sum over y of p(x, y), at the same draws of the latent."""
    model = small("jmvae")
    batch = random_batch(model)
    hidden = model({**batch, "y": tf.fill([5], -1)}, num_samples=4, seed=seed(1))
    np.testing.assert_array_equal(hidden.log_likelihood["y"], np.zeros((4, 1, 5)))
    z = hidden.latents["z"]
    each = [model.log_joint({"z": z}, {**batch, "y": tf.fill([5], y)})[0] for y in range(3)]
    joint = tf.reduce_logsumexp(tf.stack([terms["x"] + terms["y"] for terms in each]), 0)
    np.testing.assert_allclose(joint, hidden.log_likelihood["x"], rtol=1e-5)


def test_verbs_give_both_fields_and_learn_both():
    random = np.random.RandomState(0)
    y = random.randint(0, 3, 300)
    x = np.repeat((np.arange(4).reshape(1, 4, 1, 1) == y.reshape(-1, 1, 1, 1)), 4, 2).astype("float32")
    model = small("jmvae")
    model.compile("adam")
    model.optimizer.learning_rate = 1e-2
    model.fit({"x": x, "y": np.where(random.uniform(size=300) < 0.5, y, -1)}, batch_size=50, epochs=40, verbose=0)
    found = model.reconstruct(x)
    assert found["x"].shape == x.shape
    np.testing.assert_allclose(tf.reduce_sum(found["y"], -1), 1, rtol=1e-5)
    assert np.mean(np.argmax(found["y"], -1) == y) > 0.9  # the label, from the image alone
    assert model.interpolate(x[:2], x[2:4], steps=3)["y"].shape == (3, 2, 3)
    assert set(model.decode(model.encode(x[:2]))) == {"x", "y"}


def test_two_fields_of_one_name_are_refused():
    x = np.zeros((2, 4, 4, 1), "float32")
    with pytest.raises(InvalidInput, match="field 'y' is given twice"):
        small("jmvae").encode({"x": x, "y": np.zeros(2, "int32")}, y=np.zeros(2, "int32"))
