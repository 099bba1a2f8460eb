"""Networks inside flow layers: perceptrons whose first hidden layer has its bias from outside, and masked ones.

The outside bias is how a layer knows the encoder's features ([B, H] against inputs [S, B, D]), or a free weight [H].
The last layers start near zero, so that the flows they drive start near the identity.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from zoo import bijectors
from zoo.bijectors.coupling import halves
from zoo.errors import InvalidInput, check_positive, check_widths
from zoo.networks.mlp import Dense
from zoo.numerics import softmax, softplus

UNIT = math.log(math.e - 1)  # softplus(UNIT) = 1


def near_zero():
    """The last layer's initial weights: the flow is the identity to about a hundredth."""
    return keras.initializers.VarianceScaling(1e-4)


class Conditioner(keras.layers.Layer):
    """A perceptron: (x [..., D], bias [..., H]) -> [..., outputs], single precision under any policy.

    Args:
        num_inputs: D.
        hidden_units: widths, the first being H.
        outputs: how many numbers.
        activation: any Keras activation name.
    """

    rows_apart = True

    def __init__(self, num_inputs, hidden_units, outputs, activation="elu"):
        super().__init__(dtype="float32")
        check_widths(hidden_units=hidden_units)
        self.activation = keras.activations.get(activation)
        sizes = [num_inputs, *hidden_units, outputs]
        self.layers = [self.dense(i, sizes[i + 1], last=i == len(hidden_units)) for i in range(len(sizes) - 1)]
        for layer, size in zip(self.layers, sizes[:-1], strict=True):
            layer.build((None, size))
        self.built = True

    def dense(self, index, units, last):
        return Dense(
            units,
            use_bias=index > 0,
            kernel_initializer=near_zero() if last else "glorot_uniform",
            dtype="float32",
        )

    def call(self, x, bias):
        if x.shape.rank == 1:  # one point
            return self.call(x[None], bias)[0]
        x = self.activation(self.layers[0](x) + bias)
        for layer in self.layers[1:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class MaskedDense(keras.layers.Dense):
    """A dense layer whose kernel is multiplied by a constant `mask` [inputs, units]."""

    rows_apart = True

    def __init__(self, mask, **kwargs):
        super().__init__(mask.shape[1], **kwargs)
        self.mask = mask.astype("float32")

    def call(self, x):
        y = tf.tensordot(x, tf.convert_to_tensor(self.kernel) * self.mask, 1)
        return y + self.bias if self.use_bias else y


class MADE(Conditioner):
    """A masked perceptron: (x [..., D], bias [..., H]) -> (logit, shift), each [..., D].

    Output i depends on x_j with j < i alone, or with `descending` on j > i. Germain et al. 2015, arXiv:1502.03509.

    Args:
        size: D.
        hidden_units: widths, the first being H.
        descending: the order of the units, turned round from one layer of a flow to the next.
    """

    def __init__(self, size, hidden_units, descending=False, activation="elu"):
        order = np.arange(size, 0, -1) if descending else np.arange(1, size + 1)
        degrees = [order] + [1 + np.arange(units) % max(1, size - 1) for units in hidden_units]
        self.masks = [after[None] >= before[:, None] for before, after in zip(degrees, degrees[1:], strict=False)]
        self.masks.append(np.tile(order[None] > degrees[-1][:, None], 2))
        self.size = size
        super().__init__(size, hidden_units, 2 * size, activation)

    def dense(self, index, units, last):
        kernel = near_zero() if last else "glorot_uniform"
        return MaskedDense(self.masks[index], use_bias=index > 0, kernel_initializer=kernel, dtype="float32")

    def call(self, x, bias):
        y = super().call(x, bias)
        return y[..., : self.size], y[..., self.size :]


class AffineCoupling(Conditioner):
    """The network of an affine coupling layer; `bijector(bias)` is the layer.

    Args:
        kept: the units that stay.
        size: D.
        hidden_units: widths.
        max_log_scale: the log scale is c tanh(a / c) with this c.
    """

    def __init__(self, kept, size, hidden_units, max_log_scale=2.0, activation="elu"):
        if not 0 < max_log_scale <= 20:
            raise InvalidInput(f"max_log_scale is above 0 and at most 20, or scales overflow; got {max_log_scale!r}")
        self.kept, self.size, self.limit = kept, size, max_log_scale
        super().__init__(len(kept), hidden_units, 2 * (size - len(kept)), activation)

    def bijector(self, bias):
        def affine(stay):
            numbers, moved = self(stay, bias), self.size - len(self.kept)
            log_scale = self.limit * tf.tanh(numbers[..., :moved] / self.limit)
            return bijectors.Affine(log_scale, numbers[..., moved:], validate_args=False)

        return bijectors.Coupling(self.kept, affine, self.size, validate_args=False)


def affine_couplings(size, num_layers, hidden_units, max_log_scale=2.0):
    """A list of `AffineCoupling`s, each pair of which moves every unit."""
    return [AffineCoupling(halves(size, i), size, hidden_units, max_log_scale) for i in range(num_layers)]


class SplineCoupling(Conditioner):
    """The network of a spline coupling layer; `bijector(bias)` is the layer.

    Widths and heights of the bins stay above a thousandth of their mean, slopes above 1e-3; zeros are the identity.

    Args:
        kept: the units that stay.
        size: D.
        hidden_units: widths.
        num_bins: K.
        limit: the splines act on [-limit, limit].
    """

    def __init__(self, kept, size, hidden_units, num_bins=8, limit=5.0, activation="elu"):
        check_positive(num_bins=num_bins)
        if num_bins < 2 or not 0 < limit <= 1e3:
            raise InvalidInput(f"a spline has 2 or more bins, and a limit in (0, 1000]; got {num_bins} and {limit!r}")
        self.kept, self.size, self.bins, self.limit = kept, size, num_bins, limit
        super().__init__(len(kept), hidden_units, (3 * num_bins - 1) * (size - len(kept)), activation)

    def bijector(self, bias):
        return bijectors.Coupling(self.kept, lambda stay: self.spline(self(stay, bias)), self.size, validate_args=False)

    def spline(self, numbers):
        """[..., (3 K - 1) M] -> the spline of M units."""
        moved, bins = self.size - len(self.kept), self.bins
        lead = [-1] if numbers.shape.rank == 2 else tf.shape(numbers)[:-1]
        numbers = tf.reshape(numbers, tf.concat([lead, [moved, 3 * bins - 1]], 0))
        widths, heights = (self.lengths(numbers[..., i * bins : (i + 1) * bins]) for i in range(2))
        slopes = 1e-3 + (1 - 1e-3) * softplus(numbers[..., 2 * bins :] + UNIT)
        return bijectors.Spline(widths, heights, slopes, self.limit, validate_args=False)

    def lengths(self, numbers):
        """[..., K] -> positive lengths that sum to 2 limit."""
        return 2 * self.limit * (1e-3 / self.bins + (1 - 1e-3) * softmax(numbers))
