"""Posteriors and priors as anyone uses a distribution of TFP's: seeds, shapes, densities and moments."""

import fractions

import numpy as np
import pytest
import tensorflow as tf
from support import seed

from zoo.distributions import NormalRankOnePrecision
from zoo.models.vamp_vae import VampVAE
from zoo.posteriors.flow import FlowHead
from zoo.registry import POSTERIORS, PRIORS


def is_flow(name):
    return isinstance(POSTERIORS.create(name, latent_dim=2), FlowHead)


KINDS = [*(f"q {name}" for name in POSTERIORS), *(f"p {name}" for name in PRIORS), "p vamp"]
DENSE = [kind for kind in KINDS if kind != "q point"]
NO_MOMENTS = {"p flow", "p mixture", "p vamp", *(f"q {name}" for name in POSTERIORS if is_flow(name))}
NO_COVARIANCE = NO_MOMENTS | {"q diagonal", "q rank_one_precision", "q point", "p standard_normal"}
each = pytest.mark.parametrize("kind", KINDS)
each_dense = pytest.mark.parametrize("kind", DENSE)


def distribution(kind):
    """Over two units, q(z | x) of three examples or p(z), with weights far from where they start."""
    role, name = kind.split()
    random = np.random.RandomState(2)
    if name == "vamp":
        return VampVAE(num_pseudo_inputs=3, data_shape=(2, 2, 1), latent_dim=2, posterior="planar").prior()
    part = (POSTERIORS if role == "q" else PRIORS).create(name, latent_dim=2)
    features = tf.constant(random.normal(size=(3, 4)), tf.float32)
    make = part.distribution if role == "p" else lambda: part(features)
    make()
    for weight in part.trainable_weights:
        weight.assign_add(random.normal(size=weight.shape) * 0.3 / np.sqrt(weight.shape[0]))
    return make()


@each
def test_it_draws_with_any_seed_and_shape_and_scores_its_draws(kind):
    d = distribution(kind)
    assert d.event_shape == (2,)
    assert d.batch_shape == ((3,) if kind[0] == "q" else ())
    for number, shape in ((None, ()), (3, 4), (seed(1), (2, 3))):
        z, together = d.experimental_sample_and_log_prob(shape, seed=number)
        for drawn in (z, d.sample(shape, seed=number)):
            assert drawn.dtype == d.dtype == tf.float32
            assert drawn.shape == tf.TensorShape(shape).concatenate(d.batch_shape).concatenate(d.event_shape)
            assert np.all(np.isfinite(d.log_prob(drawn)))
        np.testing.assert_allclose(d.log_prob(z), together, atol=2e-3)
    np.testing.assert_array_equal(d.sample(5, seed=seed(1)), d.sample(5, seed=seed(1)))
    if kind != "q point":
        assert np.any(d.sample(5) != d.sample(5))


@each_dense
def test_its_density_integrates_to_one(kind):
    d = distribution(kind)
    draws = tf.reshape(d.sample(4000, seed=seed(1)), [-1, 2]).numpy()
    low, high = draws.min(0) - 2, draws.max(0) + 2
    sides = [np.linspace(a, b, 200, dtype="float32") for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*sides), -1).reshape(-1, 2)
    density = np.exp(d.log_prob(grid[:, None] if kind[0] == "q" else grid).numpy().astype("float64"))
    cell = np.prod([side[1] - side[0] for side in sides])
    np.testing.assert_allclose(density.sum(0) * cell, 1, atol=0.01)


@each
@pytest.mark.parametrize("moment", ["mean", "stddev", "variance", "covariance"])
def test_a_moment_is_that_of_its_draws_or_one_line_says_that_there_is_none(kind, moment):
    d = distribution(kind)
    if kind in (NO_COVARIANCE if moment == "covariance" else NO_MOMENTS):
        with pytest.raises(NotImplementedError, match=f"^{moment} is not implemented: [^\n]*$"):
            getattr(d, moment)()
        return
    value = getattr(d, moment)().numpy()
    draws = d.sample(100_000, seed=seed(1)).numpy().astype("float64")
    centred = draws - draws.mean(0)
    second = np.einsum("s...i,s...j->...ij", centred, centred) / len(draws)
    variance = np.diagonal(second, axis1=-2, axis2=-1)
    found = {"mean": draws.mean(0), "stddev": np.sqrt(variance), "variance": variance, "covariance": second}[moment]
    np.testing.assert_allclose(value, found, rtol=0.03, atol=0.03 * variance.max())


def precise(*parameters):
    return NormalRankOnePrecision(*(tf.constant(value, tf.float32) for value in parameters))


@pytest.mark.parametrize("precision", [1e-6, 1.0, 1e12])
@pytest.mark.parametrize("factor", [[100.0], [100.0, 0.0], [100.0, -100.0], [1e-3, 100.0]])
def test_a_rank_one_precision_does_not_cancel_in_single_precision(precision, factor):
    p, *u = (fractions.Fraction(float(np.float32(value))) for value in (precision, *factor))
    along = 1 + sum(value**2 / p for value in u)
    variance = np.array([float(1 / p - (value / p) ** 2 / along) for value in u])
    q = precise(np.zeros(len(u)), np.full(len(u), precision), factor)
    np.testing.assert_allclose(q.variance(), variance, rtol=1e-5)
    np.testing.assert_allclose(q.stddev(), np.sqrt(variance), rtol=1e-5)
    draws = q.sample(50_000, seed=seed(1))
    assert np.all(np.isfinite(q.log_prob(draws)))
    np.testing.assert_allclose(draws.numpy().astype("float64").std(0), np.sqrt(variance), rtol=0.02)


def test_the_parameters_of_a_rank_one_precision_broadcast():
    q = precise(np.zeros(2), np.ones([3, 2]), np.ones([4, 1, 2]))
    assert q.batch_shape == (4, 3)
    assert q.sample(5).shape == (5, 4, 3, 2)
    assert q.mean().shape == q.variance().shape == (4, 3, 2)
    assert q.log_prob(q.sample()).shape == (4, 3)
