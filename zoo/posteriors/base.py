"""What posteriors share: one dense layer between features and a distribution."""

import keras
import tensorflow as tf


class PosteriorHead(keras.layers.Layer):
    """Features [N, ...] -> a distribution over z [D], through one dense layer of `num_parameters` units.

    Args:
        latent_dim: D, how many units the latent has.
        num_parameters: width of the dense layer.
    """

    rows_apart = True

    def __init__(self, latent_dim, num_parameters):
        super().__init__(name="posterior")
        self.latent_dim = latent_dim
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(num_parameters)

    def build(self, shape):
        self.dense.build(self.flatten.compute_output_shape(shape))

    @property
    def output_shape(self):
        """Of what the distribution is over, for `model.summary()`."""
        return (None, self.latent_dim)

    def call(self, features):
        parameters = tf.cast(self.dense(self.flatten(features)), tf.float32)
        return self.distribution(parameters[:, : self.latent_dim], parameters[:, self.latent_dim :])
