"""Convolutional encoder and decoder for images of any size, made of operators that the LiteRT GPU path takes."""

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_widths
from zoo.networks.mlp import Chain, activation_function, dense_layers
from zoo.networks.shared import BatchNormalization
from zoo.registry import DECODERS, ENCODERS


def halvings(data_shape, filters):
    """The (height, width) before each stride-2 stage and after the last: one stage per entry of `filters`.

    Raises:
        InvalidInput: not an image, or too small for that many halvings.
    """
    if len(data_shape) != 3:
        raise InvalidInput(
            "convolutional networks take and give images [height, width, channels], 'mlp' any shape; "
            f"this end has {tuple(data_shape)}"
        )
    check_widths(filters=filters)
    sizes = [tuple(data_shape[:2])]
    for _ in filters:
        if min(sizes[-1]) < 2:
            raise InvalidInput(
                f"{len(filters)} stages halve {tuple(data_shape[:2])} below one pixel: use fewer filters"
            )
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    return sizes


def default_filters(data_shape):
    """32, 64, 64, ...: halve until the larger side is at most 7 or the smaller one is 1, at least once.

    28 -> 7, 32 -> 4, 64 -> 4, 8 -> 4.
    """
    sides, filters = data_shape[:2], []
    while not filters or (max(sides) > 7 and min(sides) > 1):
        filters.append(32 if not filters else 64)
        sides = [(side + 1) // 2 for side in sides]
    return tuple(filters)


class GatedConv(keras.layers.Layer):
    """a * sigmoid(b) with the channels [a, b] of a convolution: [N, H, W, C] -> [N, H', W', filters]."""

    rows_apart = True

    def __init__(self, filters, convolution, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.convolution = convolution

    def build(self, shape):
        self.convolution.build(shape)

    def call(self, x):
        h = self.convolution(x)
        return h[..., : self.filters] * keras.ops.sigmoid(h[..., self.filters :])

    def compute_output_shape(self, shape):
        return (*self.convolution.compute_output_shape(shape)[:-1], self.filters)


def convolution(layer, filters, kernel, strides, activation, batch_norm, gated):
    """A convolution with its normalisation and activation, as a list of layers."""
    activation = activation_function(activation)
    if gated:
        return [GatedConv(filters, layer(2 * filters, kernel, strides=strides, padding="same"))]
    if batch_norm:
        return [
            layer(filters, kernel, strides=strides, padding="same", use_bias=False),
            BatchNormalization(),
            keras.layers.Activation(activation),
        ]
    return [layer(filters, kernel, strides=strides, padding="same", activation=activation)]


class Residual(keras.layers.Layer):
    """x + conv(act(conv(act(x)))), 3x3: [N, H, W, C] -> [N, H, W, C]. He et al. 2016, arXiv:1603.05027."""

    rows_apart = True

    def __init__(self, filters, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activation_function(activation)
        self.first = keras.layers.Conv2D(filters, 3, padding="same")
        self.second = keras.layers.Conv2D(filters, 3, padding="same")

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)

    def call(self, x):
        return x + self.second(self.activation(self.first(self.activation(x))))

    def compute_output_shape(self, shape):
        return shape


class Crop(keras.layers.Layer):
    """[N, H, W, C] without its last rows and columns.

    Args:
        rows, columns: how many.
    """

    rows_apart = True

    def __init__(self, rows, columns):
        super().__init__()
        self.rows, self.columns = rows, columns

    def call(self, x):
        return cropped(x, self.rows, self.columns)

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] - self.rows, shape[2] - self.columns, shape[3])


def cropped(x, rows, columns):
    """[N, H, W, C] without its last rows and columns; the gradient is a padding, which TFLite has."""

    @tf.custom_gradient
    def crop(x):
        part = x[:, : x.shape[1] - rows, : x.shape[2] - columns]
        return part, lambda gradient: tf.pad(gradient, [[0, 0], [0, rows], [0, columns], [0, 0]])

    return crop(x)


def downward(filters, activation, batch_norm=False, gated=False, num_blocks=0):
    """A 4x4 convolution of stride 2 and residual blocks per entry of `filters`, as a list of layers."""
    layers = []
    for channels in filters:
        layers += convolution(keras.layers.Conv2D, channels, 4, 2, activation, batch_norm, gated)
        layers += [Residual(channels, activation) for _ in range(num_blocks)]
    return layers


def upward(sizes, filters, channels, activation, batch_norm=False, gated=False, num_blocks=0):
    """The mirror image of `downward`, from maps of `filters[-1]` to maps of `channels`, without an activation there.

    Transposed convolutions have kernel 4 and stride 2, which are right on the LiteRT GPU path at any size
    (kernels 3 and 5 are silently wrong at odd sizes); a stage that came from an odd side is cropped.

    Args:
        sizes: of `halvings`.
    """
    layers, transposed = [], keras.layers.Conv2DTranspose
    for stage in reversed(range(len(filters))):
        layers += [Residual(filters[stage], activation) for _ in range(num_blocks)]
        if stage:
            layers += convolution(transposed, filters[stage - 1], 4, 2, activation, batch_norm, gated)
        else:
            layers += [transposed(channels, 4, strides=2, padding="same")]
        extra = [2 * small - large for small, large in zip(sizes[stage + 1], sizes[stage], strict=True)]
        if any(extra):
            layers.append(Crop(*extra))
    return layers


def decoder_of(layers):
    """The decoder that ends in the layers of `upward`: their last convolution is its output layer."""
    return Chain(layers, name="decoder", output_index=-2 if isinstance(layers[-1], Crop) else -1)


def over_rows(function, *codes):
    """A function of maps [N, h, w, C] on codes [..., h, w, C]: the leading axes are folded into one and unfolded."""
    if codes[0].shape.rank == 4:
        return function(*codes)
    lead = tf.unstack(tf.shape(codes[0]))[:-3]
    found = function(*(tf.reshape(code, [-1, *code.shape[-3:]]) for code in codes))
    return tf.nest.map_structure(lambda y: tf.reshape(y, [*lead, *y.shape[1:]]), found)


@ENCODERS.register("conv")
def conv_encoder(
    data_shape, filters=None, hidden_units=(256,), activation="silu", batch_norm=False, gated=False, num_blocks=0
):
    """[N, H, W, C] -> [N, F]: one 4x4 convolution of stride 2 per entry of `filters`, then dense layers.

    Args:
        filters: channels of each stage; None derives the depth from the image.
        hidden_units: widths of the dense layers; may be empty.
        activation: of plain layers; ReLU is refused in decoders by some GPU delegates, SiLU, ELU and LeakyReLU are not.
        batch_norm: batch normalisation before each activation.
        gated: gated convolutions and dense layers.
        num_blocks: 3x3 residual blocks after each stage.
    """
    filters = default_filters(data_shape) if filters is None else filters
    halvings(data_shape, filters)
    layers = downward(filters, activation, batch_norm, gated, num_blocks)
    layers += [keras.layers.Flatten(), *dense_layers(hidden_units, activation, batch_norm, gated)]
    return Chain(layers, name="encoder")


@DECODERS.register("conv")
def conv_decoder(
    output_shape, filters=None, hidden_units=(256,), activation="silu", batch_norm=False, gated=False, num_blocks=0
):
    """[N, D] -> [N, *output_shape], the encoder's mirror image.

    Args:
        output_shape: the numbers that the likelihood takes.
        filters: channels of the encoder's stages, walked backwards; None derives the depth from the image.
        hidden_units: widths of dense layers before the convolutions, walked backwards.
        activation: of the hidden layers.
        batch_norm: whether hidden layers are normalised by their batch.
        gated: whether layers are gated in place of an activation.
        num_blocks: residual blocks of each stage.
    """
    filters = default_filters(output_shape) if filters is None else filters
    sizes = halvings(output_shape, filters)
    height, width = sizes[-1]
    layers = dense_layers(tuple(reversed(hidden_units)), activation, batch_norm, gated)
    layers += dense_layers([height * width * filters[-1]], activation, batch_norm)
    layers += [keras.layers.Reshape((height, width, filters[-1]))]
    layers += upward(sizes, filters, output_shape[-1], activation, batch_norm, gated, num_blocks)
    return decoder_of(layers)
