"""Deep residual networks of bottlenecks, made of operators that the LiteRT GPU path takes, and their rematerialisation.

Child 2021, arXiv:2011.10650; there activations are GELU, here SiLU, whose gradient keeps nothing but its input.
"""

import keras
import tensorflow as tf

from zoo.networks.convolutional import cropped


class Bottleneck(keras.layers.Layer):
    """Four convolutions, 1x1 at the ends, each after a SiLU: [N, H, W, C] -> [N, H, W, filters].

    The last one starts with 1 / depth of the usual variance, so that the sum of so many keeps the scale of one.

    Args:
        filters: channels of the output.
        hidden: channels between.
        kernel: of the two convolutions in the middle.
        depth: how many of them are added up in the network.
    """

    rows_apart = True

    def __init__(self, filters, hidden, kernel, depth, **kwargs):
        super().__init__(**kwargs)
        sizes = [(hidden, 1), (hidden, kernel), (hidden, kernel)]
        self.convolutions = [keras.layers.Conv2D(channels, size, padding="same") for channels, size in sizes]
        self.convolutions.append(quiet_convolution(filters, depth))

    def build(self, shape):
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)

    def call(self, x, told=None):
        """`told` is what `hear` makes of further channels, where x has the first ones alone."""
        for convolution in self.convolutions:
            x = keras.ops.silu(x)
            x, told = (convolution(x) if told is None else told + self.product(x, 0)), None
        return x

    def hear(self, x):
        """The share of x, the last channels of the input, in what the first convolution gives."""
        bias = tf.cast(tf.convert_to_tensor(self.convolutions[0].bias), x.dtype)
        return bias + self.product(keras.ops.silu(x), -x.shape[-1])

    def product(self, x, start):
        """The first convolution of those of its channels that begin at `start`, without its bias."""
        kernel = tf.cast(tf.convert_to_tensor(self.convolutions[0].kernel), x.dtype)
        start %= kernel.shape[2]
        return tf.nn.conv2d(x, kernel[:, :, start : start + x.shape[-1]], 1, "SAME")

    def compute_output_shape(self, shape):
        return self.convolutions[-1].compute_output_shape(shape)


def quiet_convolution(filters, depth):
    """A 1x1 convolution that starts with 1 / depth of the usual variance."""
    return keras.layers.Conv2D(filters, 1, kernel_initializer=keras.initializers.VarianceScaling(1 / depth))


def kernel_at(size):
    """What fits into maps of this (height, width): 3, or 1 where they are smaller."""
    return 3 if min(size) > 2 else 1


class BottomUp(keras.layers.Layer):
    """[N, H, W, C] -> a list of activations [N, h, w, width], one a resolution, the image's first.

    Args:
        sizes: (height, width) of each resolution, half of the one before, rounded up.
        num_blocks: bottlenecks at each.
        width: channels.
    """

    rows_apart = True

    def __init__(self, sizes, num_blocks, width):
        super().__init__(name="encoder")
        self.places = [place for place, count in enumerate(num_blocks) for _ in range(count)]
        self.num_resolutions = len(sizes)
        self.first = keras.layers.Conv2D(width, 3, padding="same")
        self.pool = keras.layers.AveragePooling2D(2, padding="same")
        kernels = [kernel_at(sizes[place]) for place in self.places]
        self.blocks = [Bottleneck(width, width // 4, kernel, len(kernels)) for kernel in kernels]

    def call(self, x, again=lambda function: function):
        """`again` wraps what is not to be kept for the gradient."""
        x, found = self.first(x), []
        for place in range(self.num_resolutions):
            x = self.pool(x) if place else x
            for where, block in zip(self.places, self.blocks, strict=True):
                x = x + again(block)(x) if where == place else x
            found.append(x)
        return found


class TopDown(keras.layers.Layer):
    """What the levels of a top-down hierarchy add to a state [N, h, w, width], and what reads the last one.

    Args:
        sizes, width: as `BottomUp`.
        num_levels: stochastic levels at each resolution.
        latent_channels: how many channels each latent has.
        filters: channels of the output.
    """

    rows_apart = True

    def __init__(self, sizes, num_levels, width, latent_channels, filters):
        super().__init__(name="decoder")
        self.sizes, self.width = [tuple(size) for size in sizes], width
        self.places = [place for place, count in enumerate(num_levels) for _ in range(count)]
        kernels = [kernel_at(sizes[place]) for place in self.places]
        depth = 2 * len(kernels)
        start = keras.initializers.RandomNormal(stddev=1.0)
        self.origin = self.add_weight(shape=(*sizes[-1], width), initializer=start, name="origin")
        self.priors = [Bottleneck(2 * latent_channels, width // 4, kernel, depth) for kernel in kernels]
        self.projections = [quiet_convolution(width, depth) for _ in kernels]
        self.residuals = [Bottleneck(width, width // 4, kernel, depth) for kernel in kernels]
        self.output_layer = keras.layers.Conv2D(filters, 3, padding="same")
        self.output_layer.build((None, *sizes[0], width))
        self.built = True

    def start(self, lead):
        """The state at the top, [*lead, h, w, width]."""
        return tf.zeros([*lead, 1, 1, 1], self.compute_dtype) + tf.cast(self.origin, self.compute_dtype)

    def descend(self, level, state, z):
        """The state below a level, at the resolution of the next; of the last, at its own."""
        state = state + self.projections[level](z)
        state = state + self.residuals[level](state)
        for place in reversed(range(self.places[max(level - 1, 0)], self.places[level])):
            state = doubled(state, self.sizes[place])
        return state

    def output(self, state):
        """[N, H, W, filters] of the state below the last level: the output layer's, of the state at that resolution."""
        sizes = list(reversed(self.sizes[: self.places[0]]))
        if sizes and 9 * self.output_layer.filters <= self.width:
            return convolved_doubled(self.output_layer, state, sizes)
        for size in sizes:
            state = doubled(state, size)
        return self.output_layer(state)


def convolved_doubled(convolution, x, sizes):
    """A 3x3 convolution to few channels, of x [N, h, w, C] doubled to each of `sizes` in turn.

    The products of the nine places of its kernel are made where x is, and these are doubled: a quarter of the work.
    """
    _, _, channels, filters = convolution.kernel.shape
    kernel = tf.reshape(
        tf.transpose(tf.cast(tf.convert_to_tensor(convolution.kernel), x.dtype), [2, 0, 1, 3]),
        [1, 1, channels, 9 * filters],
    )
    products = tf.nn.conv2d(x, kernel, 1, "SAME")
    for size in sizes:
        products = doubled(products, size)
    height, width = sizes[-1]
    products = tf.pad(products, [[0, 0], [1, 1], [1, 1], [0, 0]])
    total = tf.cast(tf.convert_to_tensor(convolution.bias), x.dtype)
    for place in range(9):
        row, column, start = place // 3, place % 3, place * filters
        total += products[:, row : row + height, column : column + width, start : start + filters]
    return total


def doubled(x, size):
    """Every pixel as a square of four, cropped to `size`: [N, h, w, C] -> [N, height, width, C]."""
    x = tf.nn.depth_to_space(tf.concat([x] * 4, -1), 2)
    extra = [large - small for large, small in zip(x.shape[1:3], size, strict=True)]
    return cropped(x, *extra) if any(extra) else x
