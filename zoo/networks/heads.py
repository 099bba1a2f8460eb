"""Heads: layers that turn a network's output into a distribution."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.distributions import (
    BernoulliLogits,
    DiscretizedLogistic,
    NormalRankOnePrecision,
    NormalTriL,
    PixelCategorical,
    softplus,
)
from zoo.errors import InvalidInput
from zoo.registry import LIKELIHOODS, POSTERIORS

tfd = tfp.distributions

MAX_SCALE = 1e3


def soft_scale(raw, minimum):
    """A positive scale, softly limited to [minimum, 1000], so that no density overflows: softplus in between.

    With s = softplus(raw - minimum) and the width w of that range it is minimum + s - softplus(s - w), which is
    tfb.SoftClip's value without its cancellation (1000 - 999.9 has lost three digits) and without its overflow where
    a converter spells softplus(1000) as log(1 + exp(1000)).
    """
    width = MAX_SCALE - minimum
    s = softplus(tf.cast(raw, tf.float32) - minimum)
    return minimum + tf.minimum(s, width) - tf.math.log1p(tf.exp(-tf.abs(s - width)))


class PosteriorHead(keras.layers.Layer):
    """Features [N, ...] -> a distribution over z [D], through one dense layer of `num_parameters` units.

    Args:
        latent_dim: D.
        num_parameters: width of the dense layer.
    """

    def __init__(self, latent_dim, num_parameters):
        super().__init__(name="posterior")
        self.latent_dim = latent_dim
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(num_parameters)

    def build(self, shape):
        self.dense.build(self.flatten.compute_output_shape(shape))

    def call(self, features):
        parameters = tf.cast(self.dense(self.flatten(features)), tf.float32)
        return self.distribution(parameters[:, : self.latent_dim], parameters[:, self.latent_dim :])


@POSTERIORS.register("diagonal")
class DiagonalGaussian(PosteriorHead):
    """q(z | x) = N(loc, diag(scale^2)); scale >= 1e-4."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, 2 * latent_dim)

    def distribution(self, loc, raw_scale):
        return tfd.Independent(tfd.Normal(loc, soft_scale(raw_scale, 1e-4)), 1)


@POSTERIORS.register("full_covariance")
class FullCovarianceGaussian(PosteriorHead):
    """q(z | x) = N(loc, L L^T), L lower triangular with a diagonal >= 1e-4."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, latent_dim + latent_dim * (latent_dim + 1) // 2)

    def distribution(self, loc, raw_scale):
        square, diagonal = lower_triangle(raw_scale, self.latent_dim), tf.eye(self.latent_dim)[None]
        return NormalTriL(loc, diagonal * soft_scale(square, 1e-4) + (1 - diagonal) * square)


@POSTERIORS.register("rank_one_precision")
class RankOnePrecisionGaussian(PosteriorHead):
    """q(z | x) = N(loc, C), C^-1 = diag(1 / scale^2) + u u^T; scale >= 1e-4. Rezende et al. 2014, arXiv:1401.4082."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, 3 * latent_dim)

    def distribution(self, loc, parameters):
        scale = soft_scale(parameters[:, : self.latent_dim], 1e-4)
        return NormalRankOnePrecision(loc, 1 / tf.square(scale), parameters[:, self.latent_dim :])


def lower_triangle(values, size):
    """[N, D(D+1)/2] -> [N, D, D], row by row, zero above the diagonal.

    In slices, for tfb.FillTriangular reverses an axis, which the LiteRT GPU path silently does wrong.
    """
    starts = [i * (i + 1) // 2 for i in range(size)]
    rows = tf.concat([values[:, start : start + size] for start in starts], -1)
    return tf.reshape(rows, [-1, size, size]) * np.tri(size, dtype="float32")[None]


@POSTERIORS.register("point")
class Point(PosteriorHead):
    """All mass on one point: the code of an autoencoder. Its log density is 0 there, and not comparable to others."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, latent_dim)

    def distribution(self, loc, raw_scale):
        return tfd.Independent(tfd.Deterministic(loc), 1)


class LikelihoodHead(keras.layers.Layer):
    """The decoder's output [..., *shape[:-1], channels * num_parameters] -> a distribution over x of `data_shape`.

    Attributes:
        num_parameters: how many numbers the decoder gives for each value of x.
        minimum, maximum: the range of x, None where it is unbounded.
        discrete: whether log p(x | z) is a log probability, so that bits per dimension have a meaning.
    """

    num_parameters = 1
    minimum, maximum = 0.0, 1.0
    discrete = True

    def __init__(self, data_shape):
        super().__init__(name="likelihood")
        self.data_shape = tuple(data_shape)

    @property
    def decoder_shape(self):
        """The shape the decoder gives each example."""
        return (*self.data_shape[:-1], self.data_shape[-1] * self.num_parameters)

    def call(self, parameters):
        channels = self.data_shape[-1]
        parameters = tf.cast(parameters, tf.float32)
        parts = [parameters[..., i * channels : (i + 1) * channels] for i in range(self.num_parameters)]
        return tfd.Independent(self.distribution(*parts), len(self.data_shape))

    def initial_bias(self, mean):
        """The decoder's output bias [*decoder_shape] at which the mean of x is `mean` [*data_shape]."""
        return tf.concat([mean] + [tf.zeros_like(mean)] * (self.num_parameters - 1), -1)


@LIKELIHOODS.register("bernoulli")
class Bernoulli(LikelihoodHead):
    """x in {0, 1}, on logits."""

    def distribution(self, logits):
        return BernoulliLogits(logits)

    def initial_bias(self, mean):
        clipped = tf.clip_by_value(mean, 1e-3, 1 - 1e-3)
        return tf.math.log(clipped) - tf.math.log1p(-clipped)


@LIKELIHOODS.register("normal")
class Normal(LikelihoodHead):
    """x in R with independent Gaussian noise.

    Args:
        scale: a number (fixed), "learned" (one trained number), or "per_pixel" (a second output of the decoder).
            Learned scales stay above 1/256, less than the grey step of 8-bit images.
    """

    minimum = maximum = None
    discrete = False

    def __init__(self, data_shape, scale=1.0):
        super().__init__(data_shape)
        fixed = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        if scale not in ("learned", "per_pixel") and not (fixed and scale > 0):
            raise InvalidInput(f"normal: scale is a positive number, 'learned' or 'per_pixel', got {scale!r}")
        self.scale = scale
        self.num_parameters = 2 if scale == "per_pixel" else 1

    def build(self, shape):
        if self.scale == "learned":
            self.raw_scale = self.add_weight(shape=(), initializer="zeros", name="raw_scale")

    def distribution(self, loc, raw_scale=None):
        if self.scale == "learned":
            raw_scale = tf.convert_to_tensor(self.raw_scale)
        scale = float(self.scale) if raw_scale is None else soft_scale(raw_scale, 1 / 256)
        return tfd.Normal(loc, scale)


@LIKELIHOODS.register("discretized_logistic")
class Logistic(LikelihoodHead):
    """8-bit pixels: a logistic with a location and a scale per pixel, integrated over each level."""

    num_parameters = 2

    def distribution(self, loc, raw_scale):
        # The offset puts the initial scale near a tenth of the range.
        return DiscretizedLogistic(loc, soft_scale(raw_scale - 2.0, 1e-3))


@LIKELIHOODS.register("categorical")
class Categorical(LikelihoodHead):
    """8-bit pixels: a free probability for each of the 256 levels."""

    num_parameters = 256

    def initial_bias(self, mean):
        return tf.zeros(self.decoder_shape)

    def call(self, parameters):
        parameters = tf.cast(parameters, tf.float32)
        lead = tf.shape(parameters)[: -len(self.data_shape)]
        logits = tf.reshape(parameters, tf.concat([lead, [*self.data_shape, self.num_parameters]], 0))
        return tfd.Independent(PixelCategorical(logits), len(self.data_shape))
