"""Posteriors by Hamiltonian Monte Carlo, against one that is known."""

import numpy as np
import pytest
import tensorflow as tf
from support import lively, small, tiered
from test_truth import ALL_IMAGES, linear_gaussian

import zoo
from zoo.errors import InvalidInput
from zoo.evaluation.refinement import PosteriorSamples

SHORT = {"name": "hmc", "num_draws": 8, "num_warmup": 5, "num_leapfrog_steps": 2}


def off_centre():
    """(the linear-Gaussian model with an encoder that is wrong, its true posterior (mean [N, 2], covariance), x)."""
    model, marginal = linear_gaussian()
    x = tf.cast(marginal.sample(12, seed=5), tf.float32)
    truth = model.posterior(x)
    mean, covariance = truth.mean().numpy(), truth.covariance().numpy()[0]
    kernel, bias = model.posterior_head.dense.get_weights()
    model.posterior_head.dense.set_weights([0.3 * kernel, bias + [0.5, -0.5, 0.3, 0.0, 0.3]])
    return model, mean, covariance, x.numpy()


def test_mean_and_variance_of_a_linear_gaussian_posterior_are_found_from_a_wrong_encoder():
    model, mean, covariance, x = off_centre()
    found = zoo.sample_posterior(model, x, {"name": "hmc", "num_draws": 1000})
    z = found.latents["z"]
    assert z.shape == (1000, 4, 12, 2)
    assert np.all(found.r_hat < 1.02)
    assert np.all(found.effective_sample_size > 500)
    assert not np.any(found.diverged)
    assert 0.7 < found.acceptance.mean() < 0.95
    draws = z.reshape(-1, 12, 2)
    error = np.sqrt(np.diag(covariance) / found.effective_sample_size[:, None])
    assert np.all(abs(draws.mean(0) - mean) < 4.5 * error)
    assert np.max(abs(model.posterior(x).mean() - mean) / error) > 20, "the test is blind: the encoder is right"
    for i in range(12):
        relative = np.cov(draws[:, i].T) / covariance
        assert np.all(abs(np.diag(relative) - 1) < 6 * np.sqrt(2 / found.effective_sample_size[i]))
    pooled = np.mean([np.cov(draws[:, i].T) for i in range(12)], 0)
    np.testing.assert_allclose(pooled, covariance, atol=0.05 * covariance.max())


def test_evaluate_says_what_a_wrong_encoder_has_lost():
    model, mean, covariance, x = off_centre()
    metrics = zoo.evaluate(model, x, num_samples=500, refine={"name": "hmc", "num_draws": 500})
    W, c = model.decoder.get_weights()
    squares = ((x - mean @ W - c) ** 2).sum(1) + np.trace(W.T @ covariance @ W)
    exact = np.mean(-0.5 * squares / 0.25 - 1.5 * np.log(2 * np.pi * 0.25))
    refined, gain = metrics["reconstruction_refined"], metrics["reconstruction_gain"]
    assert refined["value"] == pytest.approx(exact, abs=0.05)
    assert gain["value"] == pytest.approx(refined["value"] - metrics["reconstruction"]["value"], abs=1e-5)
    assert gain["value"] > 0.5
    assert (refined["num_examples"], refined["num_chains"], refined["num_draws"]) == (12, 4, 500)
    assert 1 <= metrics["r_hat"]["value"] <= metrics["r_hat"]["largest"] < 1.05
    assert metrics["posterior_sample_size"]["value"] > 500


def test_chains_that_disagree_show_it():
    apart = np.random.RandomState(0).normal(size=(100, 4, 2, 3)).astype("float32")
    apart[:, 0, 1, 2] += 5
    found = PosteriorSamples({"z": apart}, apart[..., 0], np.ones(2), np.zeros(2))
    assert found.r_hat[0] < 1.05 < 1.5 < found.r_hat[1]
    assert found.effective_sample_size[1] < 20 < 200 < found.effective_sample_size[0]


@pytest.mark.parametrize("name", tiered(["lvae", "conditional_vae", "hvi_vae", "iaf_vae", "jmvae"], "lvae".__eq__))
def test_any_model_of_continuous_latents_is_refined(name):
    model = lively(name) if name != "jmvae" else small(name, data_shape=(2, 2, 1))
    fields = {"x": ALL_IMAGES[:6]}
    if model.fields_of("condition") or name == "jmvae":
        fields["y"] = np.arange(6) % 3
    found = zoo.sample_posterior(model, fields, SHORT)
    assert found.latents.keys() == set(model.latent_names)
    assert all(z.shape[:3] == (8, 4, 6) and np.all(np.isfinite(z)) for z in found.latents.values())
    assert found.r_hat.shape == found.effective_sample_size.shape == found.acceptance.shape == (6,)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_chains_and_another_others():
    model = lively("vae")
    first, again, other = (zoo.sample_posterior(model, ALL_IMAGES[:3], SHORT, seed=s).latents["z"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize(
    "name, refine, message",
    [
        ("vae", "hmcc", "did you mean hmc"),
        ("vae", {"name": "hmc", "chains": 3}, "takes no argument 'chains'"),
        ("vae", {"name": "hmc", "num_chains": 1}, "R-hat takes 2 chains of 4 draws"),
        ("vae", {"name": "hmc", "num_draws": -3}, "num_draws must be positive"),
        ("m2", "hmc", "continuous latents only"),
        ("autoencoder", "hmc", "needs a distribution of x"),
    ],
)
def test_what_cannot_be_refined_is_one_clear_line(name, refine, message):
    model = small(name, data_shape=(2, 2, 1))
    fields = {"x": ALL_IMAGES[:3], **({"y": np.zeros(3, "int32")} if name == "m2" else {})}
    with pytest.raises(InvalidInput, match=message):
        zoo.sample_posterior(model, fields, refine)
