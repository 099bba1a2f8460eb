"""A perceptron that ends in a Gaussian: what stands between two levels of a hierarchy."""

import keras
import tensorflow as tf

from zoo.distributions import independent_normal
from zoo.networks.mlp import Chain
from zoo.posteriors.gaussian import DiagonalGaussian


class ConditionalGaussian(keras.layers.Layer):
    """[..., F] -> N(loc, diag(scale^2)) over [..., D].

    Args:
        latent_dim: D, how many units the latent has.
        layers: the perceptron's hidden layers, such as `dense_layers` gives.
    """

    rows_apart = True

    def __init__(self, latent_dim, layers):
        super().__init__()
        self.latent_dim = latent_dim
        self.hidden = Chain(layers, name="hidden")
        self.head = DiagonalGaussian(latent_dim)

    def build(self, shape):
        # Of one row of features, whatever axes lead.
        self.hidden.build((None, shape[-1]))
        self.head.build(self.hidden.compute_output_shape((None, shape[-1])))

    def call(self, x):
        flat = self.head(self.hidden(fold(x))).distribution
        return independent_normal(unfold(flat.loc, x), unfold(flat.scale, x))


def fold(x):
    """[..., F] -> [N, F], the leading axes as one."""
    return x if x.shape.rank == 2 else tf.reshape(x, [-1, x.shape[-1]])


def unfold(y, x):
    """[N, D] -> [..., D] with the leading axes of `x`."""
    return y if x.shape.rank == 2 else tf.reshape(y, tf.concat([tf.shape(x)[:-1], tf.shape(y)[1:]], 0))
