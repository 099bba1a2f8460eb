"""Posteriors that are flows: a diagonal Gaussian pushed through layers, whose parameters come from the encoder or not.

z0 ~ N(loc(x), diag(scale(x)^2)),   z = layer_L(... layer_1(z0)),   log q(z | x) = log q(z0 | x) - sum log |det|
"""

import random

import keras
import numpy as np
import tensorflow as tf

from zoo.distributions import FlowPosterior, independent_normal
from zoo.errors import InvalidInput, check_positive, check_widths
from zoo.numerics import cut, soft_scale
from zoo.posteriors.base import PosteriorHead


class FlowHead(PosteriorHead):
    """Features [N, ...] -> a `FlowPosterior` over [D].

    `dense` gives the base, as for the diagonal posterior; all layers' parameters are one row of numbers, the output of
    one more dense layer or, not amortised, one weight. They start near the identity, which every kind can be.

    Args:
        latent_dim: D, how many units the latent has.
        num_layers: how many layers the flow has.
        amortized: whether the layers' parameters depend on x.
        size: numbers a layer takes.
    """

    kernel_scale = 1e-4  # variance of an amortised number at the start, for features of unit size

    def __init__(self, latent_dim, num_layers, amortized, size):
        check_positive(num_layers=num_layers)
        if not isinstance(amortized, bool):
            raise InvalidInput(f"amortized is true or false, got {amortized!r}")
        super().__init__(latent_dim, 2 * latent_dim)
        self.num_layers, self.amortized, self.size = num_layers, amortized, size
        draws = np.random.RandomState(random.randrange(2**31))
        start = np.concatenate([self.start(draws, i) for i in range(num_layers)]).astype("float32")
        bias = keras.initializers.Constant(start)
        if amortized:
            kernel = keras.initializers.VarianceScaling(self.kernel_scale)
            self.flow_dense = keras.layers.Dense(len(start), kernel_initializer=kernel, bias_initializer=bias)
        else:
            self.free = self.add_weight(shape=start.shape, initializer=bias, name="flow", dtype="float32")

    def build(self, shape):
        super().build(shape)
        if self.amortized:
            self.flow_dense.build(self.flatten.compute_output_shape(shape))

    def call(self, features):
        features = self.flatten(features)
        base = tf.cast(self.dense(features), tf.float32)
        loc, raw_scale = base[:, : self.latent_dim], base[:, self.latent_dim :]
        rows = tf.cast(self.flow_dense(features), tf.float32) if self.amortized else tf.convert_to_tensor(self.free)
        normal = independent_normal(loc, soft_scale(raw_scale, 1e-4))
        return FlowPosterior(normal, self.flow(rows))

    def start(self, draws, index):
        """[size]: the numbers of layer `index` at the start, without what depends on x: small draws."""
        return 0.01 * draws.normal(size=self.size)

    def flow(self, rows):
        """The layers' numbers, side by side [..., num_layers * size] -> their bijectors."""
        return [self.layer(i, part) for i, part in enumerate(cut(rows, *[self.size] * self.num_layers))]

    def layer(self, index, part):
        """The numbers of layer `index` [..., size] -> its bijector."""
        raise NotImplementedError


def last(values):
    """[..., 1] -> [...], by an operator that the LiteRT GPU path takes; it refuses `values[..., 0]`."""
    return tf.squeeze(values, -1)


class NetworkFlowHead(FlowHead):
    """Layers driven by networks; a layer's numbers are the bias of its network's first hidden layer.

    Args:
        hidden_units: widths of each layer's network.
    """

    kernel_scale = 1.0

    def __init__(self, latent_dim, num_layers, amortized, hidden_units):
        check_widths(1, hidden_units=hidden_units)
        super().__init__(latent_dim, num_layers, amortized, hidden_units[0])

    def start(self, draws, index):
        return np.zeros(self.size)
