"""Real values whose noise is a mixture of Gaussians."""

import math

import tensorflow as tf

from zoo.errors import check_positive
from zoo.likelihoods.base import LikelihoodHead
from zoo.numerics import soft_scale
from zoo.probability import tfp
from zoo.registry import LIKELIHOODS

tfd = tfp.distributions


@LIKELIHOODS.register("normal_mixture")
class NormalMixture(LikelihoodHead):
    """x in R^n: a mixture of diagonal Gaussians over all values together, as for frames of sound.

    Scales stay above 1/256. Chung et al. 2015, arXiv:1506.02216.

    Args:
        num_components: how many components the mixture has.
    """

    minimum = maximum = None
    discrete = factorized = False

    def __init__(self, data_shape, num_components=20):
        super().__init__(data_shape)
        check_positive(num_components=num_components)
        self.num_components = num_components

    @property
    def size(self):
        """How many numbers a component has for its centre."""
        return self.num_components * math.prod(self.data_shape)

    @property
    def decoder_shape(self):
        return (self.num_components + 2 * self.size,)

    def call(self, parameters):
        parameters = tf.cast(parameters, tf.float32)
        logits, rest = parameters[..., : self.num_components], parameters[..., self.num_components :]
        shape = tf.concat([tf.shape(parameters)[:-1], [self.num_components, *self.data_shape]], 0)
        loc = tf.reshape(rest[..., : self.size], shape)
        scale = soft_scale(tf.reshape(rest[..., self.size :], shape), 1 / 256)
        components = tfd.Independent(tfd.Normal(loc, scale), len(self.data_shape))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components)

    def initial_bias(self, mean):
        repeated = tf.tile(tf.reshape(mean, [-1]), [self.num_components])
        return tf.concat([tf.zeros(self.num_components), repeated, tf.zeros_like(repeated)], 0)
