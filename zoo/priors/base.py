"""A prior p(z): a layer whose `distribution()`, made of its weights, is one over [D]."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.registry import PRIORS

tfd = tfp.distributions


@PRIORS.register("standard_normal")
class StandardNormal(keras.layers.Layer):
    """N(0, I) over `latent_dim` units."""

    def __init__(self, latent_dim):
        super().__init__(name="prior")
        self.latent_dim = latent_dim
        self.built = True

    def distribution(self):
        return tfd.Independent(tfd.Normal(tf.zeros([self.latent_dim]), tf.ones([self.latent_dim])), 1)
