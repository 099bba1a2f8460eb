"""8-bit pixels."""

import tensorflow as tf
import tensorflow_probability as tfp

from zoo.distributions import DiscretizedLogistic, PixelCategorical
from zoo.likelihoods.base import LikelihoodHead
from zoo.numerics import soft_scale
from zoo.registry import LIKELIHOODS

tfd = tfp.distributions


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
