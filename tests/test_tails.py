"""Sums over all images that fall short of 1 with few draws: tails of the importance weights, and no fault of a density.

log p(x) is measured without such tails by draws of the prior, whose weights p(x | z) are at most 1.
"""

import math

import numpy as np
import pytest
import tensorflow as tf
from support import lively, seed, small
from test_truth import ALL_IMAGES

pytestmark = pytest.mark.slow
CASES = {"lvae": ("lvae", {}), "m1_m2": ("m1_m2", {}), "hvi_vae, flow prior": ("hvi_vae", {"prior": "flow"})}


def labels(model, size):
    """The label 0, of models that have any."""
    return {"y": tf.zeros([size], tf.int32)} if "y" in model.data_spec else {}


def by_the_prior(model, draws=200_000):
    """[16]: p(x) of all images, of a model with labels p(x | y = 0)."""
    given = labels(model, draws)
    likelihood = model.likelihoods(model.draw(tf.random.split(seed(5), draws), given), given)["x"]
    return np.array([np.exp(likelihood.log_prob(tf.constant(x)).numpy()).astype("float64").mean() for x in ALL_IMAGES])


def weights(model, draws, number=1):
    """[draws, 16]: p(x, z) / q(z | x), of a model with labels p(x, z | y = 0)."""
    trace = model({"x": tf.constant(ALL_IMAGES), **labels(model, 16)}, num_samples=draws, seed=seed(number))
    found = np.exp(trace.log_evidence.numpy().astype("float64"))
    return found * (model.num_classes if labels(model, 1) else 1)


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_density_that_the_weights_divide_by(name):
    """The mean of r(z) / q(z | x) is 1 for every density r; this r is narrower than q, so the ratio has no tail."""
    kind, config = CASES[name]
    model = small(kind, data_shape=(2, 2, 1), **config)
    trace = model({"x": tf.constant(ALL_IMAGES[:4]), **labels(model, 4)}, num_samples=60_000, seed=seed(3))
    latents = [latent for latent in model.latent_names if latent != "y"]
    log_q = sum(trace.log_posterior[latent].numpy().astype("float64")[:, 0] for latent in latents)
    drawn = [trace.latents[latent].numpy().astype("float64") for latent in latents]
    z = np.concatenate([value[:, 0] if value.ndim == 4 else value for value in drawn], -1)
    for image in range(4):
        fitted, others = np.split(z[:, image], 2)
        factor = np.linalg.cholesky(np.cov(fitted.T) / 3)
        noise = np.linalg.solve(factor, (others - fitted.mean(0)).T)
        log_r = -0.5 * (noise**2).sum(0) - np.log(np.diag(factor)).sum() - len(factor) / 2 * math.log(2 * math.pi)
        ratio = np.exp(log_r - log_q[len(fitted) :, image])
        error = ratio.std() / math.sqrt(len(ratio))
        assert error < 0.02
        assert abs(ratio.mean() - 1) < 4 * error


@pytest.mark.parametrize("name", CASES)
def test_a_wide_posterior_gives_the_probability_of_every_image(name):
    kind, config = CASES[name]
    model = lively(kind, **config)
    truth = by_the_prior(model)
    assert truth.sum() == pytest.approx(1, abs=1e-4)
    found = np.concatenate([weights(model, 20_000, number) for number in range(5)])
    error = found.std(0) / math.sqrt(len(found))
    assert np.all(abs(found.mean(0) - truth) < 4 * error + 0.01 * truth)


@pytest.mark.parametrize("name", ["lvae", "m1_m2"])
def test_a_narrow_posterior_says_less_than_the_probability_with_few_draws(name):
    """The medians of estimates with few draws add up to less than 1, and of more draws to more."""
    model = small(name, data_shape=(2, 2, 1))
    truth, found = by_the_prior(model), weights(model, 20_000)
    few, more = (np.median(found.reshape(-1, draws, 16).mean(1), 0).sum() for draws in (50, 2000))
    assert few < more < truth.sum() == pytest.approx(1, abs=1e-4)
    assert few < 0.95


def test_trajectories_whose_steps_are_too_long_run_away_and_pull_the_mean_of_the_log_weight_down():
    """Not its median, and with shorter steps not the mean: the ELBO is a bound still, and a useless one."""
    found = {}
    for step_size in (0.05, 0.0001):
        model = small("hvi_vae", data_shape=(2, 2, 1), prior="flow", step_size=step_size)
        for weight in model.trainable_variables:
            if "raw_step_size" not in weight.name:
                weight.assign(3 * weight)
        trace = model({"x": tf.constant(ALL_IMAGES)}, num_samples=2000, seed=seed(1))
        found[step_size] = trace.log_weight.numpy().astype("float64")
    runaway, short = found[0.05], found[0.0001]
    assert runaway.mean() < 20 * short.mean() < 0
    assert np.median(runaway) > 2 * np.median(short)
