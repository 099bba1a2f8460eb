"""Multilayer perceptrons: plain, batch-normalised or gated."""

import math

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_widths, nearest
from zoo.networks.shared import BatchNormalization
from zoo.numerics import softplus
from zoo.registry import DECODERS, ENCODERS


class Dense(keras.layers.Dense):
    """Keras' dense layer on [..., F], as a product of two matrices.

    Before 3.15 Keras leaves the leading axes to a broadcast product, which with oneDNN TensorFlow gets wrong in memory
    (its issue 117700).
    """

    rows_apart = True

    def call(self, x):
        if x.shape.rank == 2:
            return super().call(x)
        y = tf.tensordot(x, tf.convert_to_tensor(self.kernel), 1)
        return self.activation(y + self.bias if self.use_bias else y)


class GatedDense(keras.layers.Layer):
    """a * sigmoid(b) with [a, b] = W x + c: [..., F] -> [..., units]. Dauphin et al. 2017, arXiv:1612.08083."""

    rows_apart = True

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(2 * units)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        h = self.dense(x)
        return h[..., : self.units] * keras.ops.sigmoid(h[..., self.units :])

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)


def activation_function(name):
    """What a Keras activation name stands for; softplus is spelt so that it does not overflow in TFLite."""
    if name == "softplus":
        return softplus
    try:
        return keras.activations.get(name)
    except (ValueError, TypeError):
        known = [
            one for one in dir(keras.activations) if one[0].islower() and one not in ("get", "serialize", "deserialize")
        ]
        raise InvalidInput(f"unknown activation {name!r}; {nearest(name, known)}") from None


def dense_layers(hidden_units, activation="leaky_relu", batch_norm=False, gated=False):
    """The hidden layers of a perceptron as a list of Keras layers.

    Raises:
        InvalidInput: sizes that are not positive, or both `gated` and `batch_norm`.
    """
    check_widths(hidden_units=hidden_units)
    activation = activation_function(activation)
    if gated and batch_norm:
        raise InvalidInput("gated and batch_norm exclude each other: choose one")
    layers = []
    for units in hidden_units:
        if gated:
            layers.append(GatedDense(units))
        elif batch_norm:
            layers.append(keras.layers.Dense(units, use_bias=False))
            layers.append(BatchNormalization())
            layers.append(keras.layers.Activation(activation))
        else:
            layers.append(keras.layers.Dense(units, activation=activation))
    return layers


class Chain(keras.layers.Layer):
    """Layers applied in order, whatever the rank of the input (Keras' Sequential fixes it at first build).

    `output_layer` is the linear layer whose bias `adapt` sets, where there is one.
    """

    rows_apart = True

    def __init__(self, layers, name, output_index=None):
        super().__init__(name=name)
        self.layers = layers
        self.output_index = output_index

    def build(self, shape):
        for layer in self.layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def compute_output_shape(self, shape):
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def output_layer(self):
        return None if self.output_index is None else self.layers[self.output_index]


@ENCODERS.register("mlp")
def mlp_encoder(data_shape, hidden_units=(400, 400), activation="leaky_relu", batch_norm=False, gated=False):
    """[N, *data_shape] -> [N, hidden_units[-1]].

    Args:
        hidden_units: widths of the hidden layers.
        activation: any Keras activation name; not used by gated layers.
        batch_norm: batch normalisation before each activation.
        gated: whether layers are gated, a * sigmoid(b) of two products, in place of an activation.
    """
    hidden = dense_layers(hidden_units, activation, batch_norm, gated)
    return Chain([keras.layers.Flatten(), *hidden], name="encoder")


@DECODERS.register("mlp")
def mlp_decoder(output_shape, hidden_units=(400, 400), activation="leaky_relu", batch_norm=False, gated=False):
    """[N, D] -> [N, *output_shape], the encoder's mirror image.

    Args:
        output_shape: the numbers that the likelihood takes.
        hidden_units: widths of the encoder's hidden layers, walked backwards.
        activation: of the hidden layers.
        batch_norm: whether hidden layers are normalised by their batch.
        gated: whether layers are gated in place of an activation.
    """
    hidden = dense_layers(tuple(reversed(hidden_units)), activation, batch_norm, gated)
    output = [keras.layers.Dense(math.prod(output_shape)), keras.layers.Reshape(output_shape)]
    return Chain([*hidden, *output], name="decoder", output_index=len(hidden))
