"""Annealed importance sampling: unbiased both ways, so that the truth lies between them."""

import math

import numpy as np
import pytest
import tensorflow as tf
from support import lively, random_batch, small
from test_truth import ALL_IMAGES, linear_gaussian

import zoo
import zoo.creation
from zoo.errors import InvalidInput
from zoo.evaluation.annealing import Annealer, annealed_importance, as_key, fold, schedule

SHORT = {"num_chains": 8, "num_temperatures": 40, "num_leapfrog_steps": 4}
CLASSES = {name: zoo.creation.model_class(name)[0] for name in zoo.list_models()}
GENERATIVE = [
    n for n, c in CLASSES.items() if c.capabilities >= {"prior", "decoder"} and "classifier" not in c.capabilities
]


def test_temperatures_rise_from_the_prior_to_the_posterior():
    betas = schedule(30)
    assert (betas[0], betas[-1], len(betas)) == (0, 1, 31)
    assert np.all(np.diff(betas) > 0)
    np.testing.assert_allclose(betas + betas[::-1], 1, atol=1e-6)


def test_weights_are_unbiased_both_ways_on_a_linear_gaussian_model():
    """E w = p(x) forwards from the prior, and E w = 1 / p(x) backwards from draws of the posterior."""
    model, marginal = linear_gaussian()
    annealer = Annealer(model, num_chains=1, num_temperatures=60, num_leapfrog_steps=3)
    size = 4000
    x = tf.repeat(tf.cast(marginal.sample(3, seed=8), tf.float32), size, 0)
    weight = np.exp(annealer.forward({"x": x}, (1,)) - marginal.log_prob(tf.cast(x, tf.float64)).numpy()).reshape(
        3, size
    )
    assert np.all(weight.std(1) > 0.1), "the test is blind: the chains are exact"
    assert np.all(abs(weight.mean(1) - 1) < 4.5 * weight.std(1) / math.sqrt(size))

    simulated = model.simulate(size, seed=fold(as_key((2,)), 1))[1]
    above, below = annealer.bracket(size, {}, (2,))
    exact = marginal.log_prob(tf.cast(simulated, tf.float64)).numpy()
    for weight in (np.exp(below - exact), np.exp(exact - above)):
        assert abs(weight.mean() - 1) < 4.5 * weight.std() / math.sqrt(size)
    error = math.sqrt((above - below).var() / size)
    assert np.mean(exact - below) > 3 * error
    assert np.mean(above - exact) > 3 * error


def test_the_known_likelihood_is_found_and_bracketed():
    model, marginal = linear_gaussian()
    x = marginal.sample(40, seed=4).numpy()
    exact, done = -marginal.log_prob(x).numpy(), []
    metrics = zoo.annealed_importance(
        model, x.astype("float32"), num_temperatures=60, num_samples=50, progress=lambda *d: done.append(d)
    )
    assert done[-1] == (5 * 60, 5 * 60)
    found = metrics["nll_ais"]
    assert found["value"] == pytest.approx(exact.mean(), abs=0.1)
    assert found["standard_error"] == pytest.approx(exact.std(ddof=1) / math.sqrt(40), rel=0.1)
    assert (found["num_examples"], found["num_chains"], found["num_temperatures"]) == (40, 16, 60)
    assert 0.4 < found["acceptance"] <= 1
    # With the exact posterior the importance-weighted estimate is the truth: the excess is the error of the chains.
    excess = metrics["nll_excess"]
    assert excess["value"] == pytest.approx(exact.mean() - found["value"], abs=2e-4)
    assert abs(excess["value"]) < 4 * excess["standard_error"] + 0.02
    gap = metrics["nll_ais_gap"]
    assert gap["value"] == pytest.approx(metrics["nll_ais_upper"]["value"] - metrics["nll_ais_lower"]["value"])
    assert gap["data"] == "simulated"
    assert abs(gap["value"]) < 0.1 + 4 * gap["standard_error"]


@pytest.mark.slow
def test_chains_agree_with_importance_sampling_on_a_model_with_labels():
    model = lively("conditional_vae")
    fields = {"x": tf.constant(ALL_IMAGES), "y": tf.range(16) % model.num_classes}
    metrics = annealed_importance(model, fields, num_samples=5000, **SHORT)
    assert_exact(metrics)


def assert_exact(metrics):
    """The chains and the importance samples agree, and the bracket closes, within their errors."""
    for name in ("nll_excess", "nll_ais_gap"):
        assert abs(metrics[name]["value"]) < 4 * metrics[name]["standard_error"] + 0.02
        assert metrics[name]["standard_error"] < 0.15


@pytest.mark.slow
def test_the_levels_of_a_hierarchy_move_together():
    model = lively("lvae")
    metrics = annealed_importance(model, ALL_IMAGES, num_samples=5000, **SHORT)
    assert_exact(metrics)


@pytest.mark.slow
def test_the_seed_decides():
    annealer = Annealer(small("vae"), num_chains=2, num_temperatures=4, num_leapfrog_steps=2)
    fields = random_batch(small("vae"))
    first, second, other = (annealer.forward(fields, (number,)) for number in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.all(first != other)


@pytest.mark.parametrize("name", GENERATIVE)
def test_draws_of_the_latents_are_those_of_the_trace(name):
    model = small(name)
    batch = random_batch(model, 6)
    condition = {name: batch[name] for name in model.conditions}
    trace = model(batch, num_samples=1, seed=tf.constant([1, 2]))
    latents, mean = model.simulate(6, seed=3, mean=True, **condition)
    assert {k: v.shape for k, v in latents.items()} == {k: trace.latents[k].shape[2:] for k in model.latent_names}
    for field, value in model.named(mean).items():
        np.testing.assert_array_equal(value, model.named(model.sample(6, seed=3, mean=True, **condition))[field])
        np.testing.assert_allclose(
            value, model.named(model.decode(**latents, **condition))[field], rtol=1e-5, atol=1e-6
        )
    likelihood, prior = model.log_joint({k: v[None, None] for k, v in latents.items()}, batch)
    assert {field: term.shape for field, term in likelihood.items()} == dict.fromkeys(
        model.fields_of("data"), (1, 1, 6)
    )
    assert set(prior) == set(latents)
    other = model.simulate(6, seed=4, **condition)[0]
    assert all(np.any(latents[k] != other[k]) for k in latents)


def test_what_cannot_be_annealed_is_refused():
    x = np.zeros((3, 4, 4, 1), "float32")
    vae = small("vae")
    for match, call in {
        "use vae": lambda: annealed_importance(small("autoencoder"), x),
        "continuous latents only": lambda: annealed_importance(small("m2"), {"x": x, "y": np.full(3, -1)}),
        "simulated=True": lambda: annealed_importance(vae, simulated=False),
        "num_chains": lambda: annealed_importance(vae, x, num_chains=0),
        "num_temperatures": lambda: annealed_importance(vae, x, num_temperatures=0),
        "num_leapfrog_steps": lambda: annealed_importance(vae, x, num_leapfrog_steps=0),
        "limit": lambda: annealed_importance(vae, x, limit=0),
    }.items():
        with pytest.raises(InvalidInput, match=match) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_latents_that_are_not_continuous_or_enumerated_are_refused(monkeypatch):
    model = small("vae")
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "draw", lambda self, seeds, condition: {"z": tf.zeros([len(seeds), 3], tf.int32)})
        with pytest.raises(InvalidInput, match="continuous"):
            annealed_importance(model, np.zeros((3, 4, 4, 1), "float32"), simulated=False, **SHORT)
    terms = {"x": tf.zeros([8, 2, 3])}, {"z": tf.zeros([8, 2, 3])}
    monkeypatch.setattr(type(model), "log_joint", lambda self, latents, inputs: terms)
    with pytest.raises(InvalidInput, match="enumerated"):
        annealed_importance(model, np.zeros((3, 4, 4, 1), "float32"), simulated=False, **SHORT)
