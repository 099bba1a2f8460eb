"""A trained mixture of Gaussians as the prior."""

import keras
import tensorflow as tf

from zoo.distributions import Mixture
from zoo.errors import check_positive
from zoo.numerics import soft_scale
from zoo.priors.base import Prior
from zoo.probability import tfp
from zoo.registry import PRIORS

tfd = tfp.distributions


@PRIORS.register("mixture")
class GaussianMixture(Prior):
    """A mixture of `num_components` diagonal Gaussians with trained weights, around N(0, I) at the start.

    Args:
        num_components: K, how many components the mixture has.
    """

    def __init__(self, latent_dim, num_components=100):
        super().__init__(name="prior")
        check_positive(num_components=num_components)
        shape = (num_components, latent_dim)
        self.logits = self.add_weight(shape=shape[:1], initializer="zeros", name="logits")
        self.loc = self.add_weight(shape=shape, initializer=keras.initializers.RandomNormal(stddev=0.7), name="loc")
        near_zero = keras.initializers.RandomNormal(stddev=0.01)
        self.raw_scale = self.add_weight(shape=shape, initializer=near_zero, name="raw_scale")
        self.built = True

    def distribution(self):
        loc, scale = tf.cast(self.loc, tf.float32), soft_scale(self.raw_scale, 1e-3)
        return Mixture(tf.cast(self.logits, tf.float32), tfd.Independent(tfd.Normal(loc, scale), 1))

    def draw(self, seeds):
        return self.distribution().sample_rows(seeds)

    def tempered(self, seeds, temperature):
        return self.distribution().sample_rows(seeds, temperature)
