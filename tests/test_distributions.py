"""Distributions against exact sums, integrals in float64 and TFP's own."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import seed

from zoo.distributions import (
    BernoulliLogits,
    DiscretizedLogistic,
    IndependentBernoulli,
    LogisticMixture,
    PixelCategorical,
)
from zoo.errors import InvalidInput
from zoo.likelihoods.pixels import Mixture
from zoo.numerics import MAX_SCALE, soft_scale

tfd = tfp.distributions
LEVELS = np.arange(256, dtype="float32") / 255
PARAMETERS = [(0.5, 0.1), (0.0, 0.03), (1.0, 0.5), (0.31, 1e-3), (0.7, 1000.0), (-2.0, 0.2), (1.5, 0.01)]
LOGITS = [np.zeros(256), np.linspace(-3, 3, 256), np.random.RandomState(0).normal(size=256) * 4]


def log_probabilities(distribution):
    """log p of the 256 levels."""
    return distribution.log_prob(tf.constant(LEVELS)).numpy().astype("float64")


def logistic(loc, scale):
    return DiscretizedLogistic(tf.constant(loc, tf.float32), tf.constant(scale, tf.float32))


DISCRETE = [
    *(pytest.param(logistic(*p), id=f"logistic{p}") for p in PARAMETERS),
    *(pytest.param(PixelCategorical(tf.constant(p, tf.float32)), id=f"cat{i}") for i, p in enumerate(LOGITS)),
]


@pytest.mark.parametrize("distribution", DISCRETE)
def test_the_levels_have_probabilities_that_sum_to_one(distribution):
    assert np.exp(log_probabilities(distribution)).sum() == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("distribution", DISCRETE)
def test_the_mean_is_that_of_the_levels(distribution):
    exact = (np.exp(log_probabilities(distribution)) * LEVELS).sum()
    assert float(distribution.mean()) == pytest.approx(exact, abs=0.5 / 255)


@pytest.mark.parametrize("distribution", DISCRETE)
def test_samples_are_levels_with_their_frequencies(distribution):
    draws = distribution.sample(20000, seed=seed(1)).numpy()
    levels = np.round(draws * 255)
    np.testing.assert_allclose(draws, levels / 255, atol=1e-6)
    cumulative = np.cumsum(np.bincount(levels.astype(int), minlength=256)) / 20000
    # Kolmogorov-Smirnov: sup |F_n - F| sqrt(n) is above 2 with a probability below 1e-3.
    assert abs(cumulative - np.cumsum(np.exp(log_probabilities(distribution)))).max() < 2 / np.sqrt(20000)


@pytest.mark.parametrize(("loc", "scale"), PARAMETERS)
def test_a_level_has_the_mass_of_the_logistic_between_its_edges(loc, scale):
    """By the midpoint rule on the density, in float64; the end levels take the tails."""
    loc, scale = np.float64(np.float32(loc)), np.float64(np.float32(scale))
    points = 2000
    inner = (np.arange(1, 255)[:, None] - 0.5 + (np.arange(points) + 0.5) / points) / 255
    t = np.exp(-abs(inner - loc) / scale)
    mass = (t / (scale * (1 + t) ** 2)).mean(1) / 255
    left = 1 / (1 + np.exp(-(0.5 / 255 - loc) / scale))
    right = 1 / (1 + np.exp((254.5 / 255 - loc) / scale))
    got, exact = np.exp(log_probabilities(logistic(loc, scale))), np.array([left, *mass, right])
    np.testing.assert_allclose(got, exact, rtol=2e-3, atol=1e-7)


def test_the_logistic_has_finite_values_and_gradients_at_extreme_parameters():
    loc, scale, value = (
        tf.reshape(g, [-1]) for g in tf.meshgrid([-1e3, -1.0, 0.0, 0.5, 1e3], [1e-3, 1.0, 1e3], LEVELS)
    )
    with tf.GradientTape() as tape:
        tape.watch([loc, scale])
        log_prob = DiscretizedLogistic(loc, scale).log_prob(value)
    assert np.all(np.isfinite(log_prob))
    assert np.all(log_prob <= 0)
    for gradient in tape.gradient(log_prob, [loc, scale]):
        assert np.all(np.isfinite(gradient))


def test_pixel_categorical_takes_the_logit_of_its_level():
    logits = tf.constant(LOGITS[2], tf.float32)
    np.testing.assert_allclose(log_probabilities(PixelCategorical(logits)), tf.nn.log_softmax(logits), atol=1e-5)


# ---------------------------------------------------------------- mixtures of logistics


def mixture(channels, components=3):
    """A mixture over one pixel with random parameters, some of whose logistics leave the range."""
    head = Mixture((1, 1, channels), components)
    return head(tf.constant(np.random.RandomState(channels).normal(size=head.decoder_shape), tf.float32)).distribution


def pixels(*channels):
    """Every pixel [..., 1, 1, channels] of these values."""
    return tf.constant(np.stack(np.meshgrid(*channels, indexing="ij"), -1)[..., None, None, :], tf.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_probabilities_of_all_pixels_sum_to_one(channels):
    probability = tf.exp(tf.cast(mixture(channels).log_prob(pixels(*[LEVELS] * channels)), tf.float64))
    assert float(tf.reduce_sum(probability)) == pytest.approx(1, abs=2e-4)


def test_the_third_channel_sums_to_one_whatever_the_first_two_are():
    """sum_x3 p(x1, x2, x3) is the mixture of two channels with the same parameters, which sums to one."""
    three = mixture(3)
    two = LogisticMixture(three.logits, three.locs[:2], three.scales[:2], three.slopes[:2])
    some = LEVELS[[0, 1, 90, 254, 255]]
    total = tf.reduce_logsumexp(three.log_prob(pixels(some, some, LEVELS)), 2)
    np.testing.assert_allclose(total, two.log_prob(pixels(some, some)), atol=2e-4)
    assert np.ptp(total) > 1


def test_one_component_of_one_channel_is_the_logistic():
    x, one = tf.constant(LEVELS)[:, None], tf.constant([0.7])
    alone = LogisticMixture(one, [tf.constant([0.4])], [tf.constant([0.1])], [[]])
    np.testing.assert_allclose(alone.log_prob(x), log_probabilities(logistic(0.4, 0.1)), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
def test_draws_of_pixels_are_levels_with_the_moments_of_the_probabilities(channels):
    distribution, count, every = mixture(channels), 40000, pixels(*[LEVELS] * channels)
    draws = distribution.sample(count, seed=seed(1)).numpy().reshape(count, channels)
    np.testing.assert_allclose(draws * 255, np.round(draws * 255), atol=1e-4)
    probability = np.exp(distribution.log_prob(every).numpy().astype("float64")).ravel()
    products = [np.c_[x, x[:, :1] * x] for x in (draws, tf.reshape(every, [-1, channels]).numpy())]
    error = products[0].std(0) / np.sqrt(count)
    assert np.all(abs(products[0].mean(0) - probability @ products[1]) < 4 * error)
    # Past the first channel the mean holds up to what is cut off at the ends of the range.
    allowed = np.where(np.arange(channels) > 0, 0.03, 0.5 / 255)
    assert np.all(abs(distribution.mean() - (probability @ products[1])[:channels]) < allowed)


def test_the_bias_of_a_mixture_puts_the_untrained_mean_where_it_should_be():
    mean = tf.constant(np.random.RandomState(0).uniform(0.3, 0.7, (2, 2, 3)), tf.float32)
    head = Mixture((2, 2, 3))
    np.testing.assert_allclose(head(head.initial_bias(mean)).mean(), mean, atol=0.02)


def test_gradients_of_a_mixture_are_finite_at_extreme_parameters():
    head = Mixture((1, 1, 3), 2)
    parameters = tf.constant(np.random.RandomState(0).choice([-1e3, 0.0, 1e3], (200, *head.decoder_shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        log_prob = head(parameters).log_prob(tf.constant([0.0, 0.5, 1.0])[None, None])
    assert np.all(np.isfinite(log_prob))
    assert np.all(np.isfinite(tape.gradient(log_prob, parameters)))


@pytest.mark.parametrize("shape", [(4,), (4, 4, 5)])
def test_a_mixture_refuses_what_is_no_image(shape):
    with pytest.raises(InvalidInput, match="is for images .*: take discretized_logistic"):
        Mixture(shape)


# ---------------------------------------------------------------- Bernoulli


def test_bernoulli_is_tfps_on_binary_values_and_linear_between():
    logits = tf.constant([-1e4, -80.0, -1.5, 0.0, 0.3, 90.0, 1e4])
    ours, reference = BernoulliLogits(logits), tfd.Bernoulli(logits=logits)
    zero, one = ours.log_prob(0.0), ours.log_prob(1.0)
    np.testing.assert_allclose(zero, reference.log_prob(0), rtol=1e-6)
    np.testing.assert_allclose(one, reference.log_prob(1), rtol=1e-6)
    np.testing.assert_allclose(ours.log_prob(0.25), 0.75 * zero + 0.25 * one, rtol=1e-5)
    np.testing.assert_allclose(ours.mean(), tf.sigmoid(logits))


def test_bernoulli_samples_have_its_mean():
    distribution = BernoulliLogits(tf.constant([-2.0, 0.0, 1.0]))
    draws = distribution.sample(20000, seed=seed(1)).numpy()
    assert set(np.unique(draws)) == {0.0, 1.0}
    np.testing.assert_allclose(draws.mean(0), distribution.mean(), atol=5 * 0.5 / np.sqrt(20000))


def test_bernoulli_gradients_are_finite_at_extreme_logits():
    logits = tf.constant([-1e4, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_prob = BernoulliLogits(logits).log_prob([1.0, 0.0])
    np.testing.assert_allclose(tape.gradient(log_prob, logits), [1.0, -1.0])


@pytest.mark.parametrize("shape", [(28, 28, 1), (7,), (67,), (4, 130)], ids=str)
@pytest.mark.parametrize("size", [0.1, 5.0, 1e4])
def test_independent_bernoullis_are_the_sum_and_their_gradients_those_of_the_sum(shape, size):
    draws = np.random.default_rng(0)
    logits = tf.constant(size * draws.normal(size=(3, 2, *shape)))
    x = tf.constant(draws.uniform(size=(2, *shape)))

    def value_and_gradients(distribution):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([logits, x])
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = distribution(BernoulliLogits(logits), len(shape)).log_prob(x)
            first = tape.gradient(value, logits)
        return value, first, outer.gradient(value, x), outer.gradient(first, logits)

    for ours, theirs in zip(*map(value_and_gradients, (IndependentBernoulli, tfd.Independent)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- scales


@pytest.mark.parametrize("minimum", [1e-4, 1 / 256, 1e-3])
def test_soft_scale_stays_within_its_limits_with_finite_gradients(minimum):
    raw = tf.constant([-1e4, -100.0, -10.0, 0.0, 1.0, 50.0, 500.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(raw)
        scale = soft_scale(raw, minimum)
    assert np.all(np.isfinite(tape.gradient(scale, raw)))
    assert np.all(scale >= np.float32(minimum))
    assert np.all(scale <= np.float32(MAX_SCALE + minimum))
    assert np.all(np.diff(scale) >= 0)
    # In between it is the minimum plus a softplus.
    np.testing.assert_allclose(scale[2:6] - minimum, tf.math.softplus(raw[2:6] - minimum), rtol=2e-3)
    assert float(scale[-1]) == pytest.approx(MAX_SCALE, rel=1e-3)
