"""Priors p(z): layers whose `distribution()`, made of their weights, is one over [D]."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.distributions import FlowDistribution, Mixture
from zoo.errors import check_positive
from zoo.networks.conditioners import affine_couplings
from zoo.networks.heads import soft_scale
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


@PRIORS.register("flow")
class CouplingFlow(StandardNormal):
    """N(0, I) pushed through affine coupling layers, N(0, I) at the start. Dinh et al. 2017, arXiv:1605.08803.

    Args:
        num_layers: of coupling.
        hidden_units: widths of each layer's network.
        max_log_scale: the log scale of a layer stays below this in size, softly.
    """

    def __init__(self, latent_dim, num_layers=8, hidden_units=(128, 128), max_log_scale=2.0):
        super().__init__(latent_dim)
        check_positive(num_layers=num_layers, hidden_units=list(hidden_units) or 0)
        self.couplings = affine_couplings(latent_dim, num_layers, hidden_units, max_log_scale)
        self.biases = [self.add_weight(shape=(hidden_units[0],), initializer="zeros") for _ in range(num_layers)]

    def distribution(self):
        layers = [c.bijector(tf.convert_to_tensor(b)) for c, b in zip(self.couplings, self.biases, strict=True)]
        return FlowDistribution(super().distribution(), layers)


@PRIORS.register("mixture")
class GaussianMixture(keras.layers.Layer):
    """A mixture of `num_components` diagonal Gaussians with trained weights, around N(0, I) at the start.

    Args:
        num_components: K.
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
        loc, scale = tf.convert_to_tensor(self.loc), soft_scale(tf.convert_to_tensor(self.raw_scale), 1e-3)
        return Mixture(tf.convert_to_tensor(self.logits), tfd.Independent(tfd.Normal(loc, scale), 1))
