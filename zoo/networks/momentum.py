"""Networks that give a momentum from a position and the features of an example."""

import keras
import tensorflow as tf

from zoo.distributions import independent_normal
from zoo.networks.conditioners import UNIT
from zoo.networks.mlp import Dense
from zoo.numerics import soft_scale, softplus


class MomentumNetwork(keras.layers.Layer):
    """(z [S, B, D], features [B, ...]) -> N(loc, diag(scale^2)) over [S, B, D]: near N(0, I) at the start.

    One hidden layer, to which the features are added once for all draws.

    Args:
        latent_dim: D, how many units the latent has.
        hidden_units: of the hidden layer.
    """

    rows_apart = True

    def __init__(self, latent_dim, hidden_units, name):
        super().__init__(name=name)
        self.latent_dim = latent_dim
        self.flatten = keras.layers.Flatten()
        self.from_features = keras.layers.Dense(hidden_units)
        self.from_position = Dense(hidden_units, use_bias=False)
        small = keras.initializers.VarianceScaling(0.01)
        start = keras.initializers.Constant([0.0] * latent_dim + [UNIT] * latent_dim)
        self.output_layer = Dense(2 * latent_dim, kernel_initializer=small, bias_initializer=start)

    def build(self, z_shape, features_shape):
        self.from_features.build(self.flatten.compute_output_shape(features_shape))
        self.from_position.build((None, self.latent_dim))
        self.output_layer.build((None, self.from_position.units))

    def call(self, z, features):
        hidden = softplus(self.from_position(z) + self.from_features(self.flatten(features))[None])
        numbers = tf.cast(self.output_layer(hidden), tf.float32)
        loc, raw_scale = numbers[..., : self.latent_dim], numbers[..., self.latent_dim :]
        return independent_normal(loc, soft_scale(raw_scale, 1e-4))
