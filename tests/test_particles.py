"""The particle filter and its bound, on a linear-Gaussian state-space model whose likelihood Kalman's filter gives.

z_t ~ N(a z_t-1, 1), z_0 = 0,   x_t ~ N(z_t, 0.5^2),   q(z_t | z_t-1, x_t) = N(a z_t-1 + pull x_t, 1)
"""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import seed

import zoo
from zoo.errors import InvalidInput
from zoo.evaluation.sequences import filtered
from zoo.models.particles import ancestors, effective_size
from zoo.models.sequence import LatentSequenceModel

tfd = tfp.distributions
SIZES = {"data_shape": (None, 1), "latent_dim": 1, "state_dim": 1, "hidden_units": (1,), "likelihood": "normal"}
NOISE = 0.5
X = np.array([0.3, 1.2, 2.0, 1.1, -0.4, -2.2], "float32")


class LinearGaussian(LatentSequenceModel):
    def __init__(self, decay=0.9, pull=0.0, **kwargs):
        self.decay, self.pull = decay, pull
        super().__init__(**SIZES, seed=1, **kwargs)
        self.build()

    def make_parts(self):
        pass

    @property
    def code_size(self):
        return 1

    def start(self, rows):
        return {"z": tf.zeros([rows, 1])}

    def see(self, x):
        return {"x_t": x}

    def transition(self, state):
        return normal(self.decay * state["z"], 1.0)

    def infer(self, state, prior, evidence):
        return normal(prior.mean() + self.pull * evidence["x_t"], 1.0), state

    def emit(self, state, z):
        return z, {"z": z}

    def advance(self, state, z, seen):
        return state

    def decoded(self, code):
        return normal(code, NOISE)


def normal(loc, scale):
    return tfd.Independent(tfd.Normal(loc, tf.fill(tf.shape(loc), scale)), 1)


def kalman(x, decay):
    """log p(x)."""
    one = np.ones((1, 1), "float32")
    model = tfd.LinearGaussianStateSpaceModel(
        num_timesteps=len(x),
        transition_matrix=decay * one,
        transition_noise=tfd.MultivariateNormalDiag([0.0], [1.0]),
        observation_matrix=one,
        observation_noise=tfd.MultivariateNormalDiag([0.0], [NOISE]),
        initial_state_prior=tfd.MultivariateNormalDiag([0.0], [1.0]),
    )
    return float(model.log_prob(x[:, None]))


def estimates(model, copies, draws, filtering=True, x=X):
    """The trace of so many independent runs on one sequence."""
    batch = {"x": tf.tile(tf.constant(x)[None, :, None], [copies, 1, 1])}
    run = tf.function(lambda: model(batch, num_samples=draws, seed=seed(1), needs=("resampling",) * filtering).trace)
    return run()


def fivo(threshold, **kwargs):
    return LinearGaussian(bound={"name": "fivo", "threshold": threshold}, **kwargs)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_the_filter_estimates_the_likelihood_without_bias(threshold):
    ratio = np.exp(estimates(fivo(threshold, pull=0.2), 20_000, 4).log_marginal - kalman(X, 0.9))
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))


def test_whatever_beta_is_the_filter_estimates_the_likelihood():
    model = fivo(0.5, pull=0.3)
    x = tf.tile(tf.constant(X)[None, :, None], [10_000, 1, 1])
    for beta in (0.2, 4.0):
        model.beta.assign(beta)
        found = {
            "log_prob": model.log_prob(x, 8, seed=1, resample=True),
            "predict_next": tf.reduce_sum(model.predict_next(x, 8, seed=1)[1], -1),
            "fivo_per_step": filtered(model, SimpleNamespace(fields={"x": x[:200]}, start=0))["filtered"],
        }
        for name, value in found.items():
            ratio = np.exp(value - kalman(X, 0.9))
            assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio)), (name, beta)


def test_in_training_it_is_a_bound_on_the_likelihood_with_a_tempered_kl():
    """The integral of p(x | z) p(z)^beta q(z)^(1 - beta), which is p(x) of latents that x pulls less."""
    pull, steps = 0.3, len(X)
    model = fivo(0.5, pull=pull, num_samples=16)
    batch = {"x": tf.tile(tf.constant(X)[None, :, None], [20_000, 1, 1])}
    bound = tf.function(lambda: model.objective(model.forward(batch, seed(1), training=True).trace))
    moved = np.linalg.inv(np.eye(steps) - 0.9 * np.eye(steps, k=-1))
    factor = np.linalg.cholesky(moved @ moved.T + NOISE**2 * np.eye(steps))
    for beta in (0.2, 1.5):
        model.beta.assign(beta)
        truth = tfd.MultivariateNormalTriL(moved @ ((1 - beta) * pull * X), factor).log_prob(X.astype("float64"))
        ratio = np.exp(bound() - float(truth) + beta * (1 - beta) * pull**2 * np.sum(X**2) / 2)
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio)) < 0.05, beta


def test_the_bounds_are_below_the_likelihood_and_more_resampling_is_closer_to_it():
    trace = estimates(fivo(0.5), 5_000, 8)
    plain = estimates(fivo(0.5), 5_000, 8, filtering=False)
    means = [float(tf.reduce_mean(v)) for v in (plain.elbo, plain.log_marginal, trace.log_marginal)]
    assert np.all(np.diff([*means, kalman(X, 0.9)]) > 0.02)
    assert np.all(trace.elbo <= trace.log_marginal + 1e-5)


def test_the_variance_is_that_of_theory_where_steps_are_independent():
    """With a = 0 the relative variances v_t of the weights multiply: by step with resampling, by sequence without."""
    draws, inner = 8, tfd.Normal(0.0, np.sqrt(1 + NOISE**2 / 2)).prob(X) / (2 * NOISE * np.sqrt(np.pi))
    v = inner / tfd.Normal(0.0, np.sqrt(1 + NOISE**2)).prob(X) ** 2 - 1
    expected = {1.0: np.prod(1 + v / draws) - 1, 0.0: (np.prod(1 + v) - 1) / draws}
    for threshold, variance in expected.items():
        trace = estimates(fivo(threshold, decay=0.0), 50_000, draws)
        found = np.var(np.exp(trace.log_marginal - kalman(X, 0.0)))
        assert found == pytest.approx(variance, rel=0.2), threshold


def test_with_one_particle_it_is_the_elbo_and_without_resampling_iwae():
    for draws, threshold in ((1, 0.9), (5, 0.0)):
        model = fivo(threshold, pull=0.3)
        trace, plain = estimates(model, 10, draws), estimates(model, 10, draws, filtering=False)
        np.testing.assert_allclose(trace.log_marginal, plain.log_marginal, rtol=1e-5)
        np.testing.assert_allclose(trace.elbo, plain.elbo, rtol=1e-5)


def test_the_scores_of_the_steps_are_kalmans_and_add_up():
    model = fivo(0.5)
    x = tf.constant(X)[None, :, None]
    _, scores = model.predict_next(x, num_samples=3_000, seed=1)
    expected = np.diff([0.0, *(kalman(X[: t + 1], 0.9) for t in range(len(X)))])
    np.testing.assert_allclose(scores[0], expected, atol=0.08)
    np.testing.assert_allclose(tf.reduce_sum(scores, -1), model.log_prob(x, 3_000, seed=1, resample=True), rtol=1e-5)


def test_the_weights_count_beta_times_the_kl():
    model = fivo(1.0, pull=0.3, beta=0.5)
    trace = estimates(model, 3, 4).temper(0.5)
    weight = trace.blocks["log_likelihood"] - trace.blocks["kl"]
    np.testing.assert_allclose(
        trace.log_weight[:, 0], tf.reduce_sum(trace.blocks["ends"] * weight, -1)[:, 0], rtol=1e-4
    )


def test_ancestors_are_expected_in_proportion_to_the_weights():
    share = np.array([0.05, 0.6, 0.25, 0.1], "float32")
    weight = tf.tile(tf.math.log(share)[:, None], [1, 1000])
    uniform = (tf.range(1000, dtype=tf.float32) + 0.5) / 1000
    chosen = tf.reshape(ancestors(weight, uniform, tf.fill([1000], True)), [4, 1000]) // 1000
    found = [np.mean(chosen == i) for i in range(4)]
    np.testing.assert_allclose(found, share, atol=1e-3)
    np.testing.assert_allclose(effective_size(weight)[0], 1 / np.sum(share**2), rtol=1e-5)
    kept = ancestors(weight, uniform, tf.fill([1000], False))
    np.testing.assert_array_equal(kept, tf.range(4000))


def test_bad_shares_and_models_without_latents_are_refused():
    for threshold in (1.5, -0.1, "half"):
        with pytest.raises(InvalidInput, match="from 0 to 1"):
            fivo(threshold)
    with pytest.raises(InvalidInput, match="needs steps between which latents can be resampled"):
        zoo.create("vae", data_shape=(2, 2, 1), bound="fivo")
