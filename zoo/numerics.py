"""Numbers that neither overflow nor cancel, spelt in operators that TFLite takes."""

import numpy as np
import tensorflow as tf

MAX_SCALE = 1e3


def softplus(value):
    """tf.math.softplus, spelt so that it does not overflow in TFLite, whose own is log(1 + exp(value))."""
    return tf.maximum(value, 0.0) + tf.math.log1p(tf.exp(-tf.abs(value)))


@tf.custom_gradient
def summed_softplus(value):
    """The sum over the last axis of softplus(value), with one logarithm for up to 64 of its summands.

    softplus(v) = max(v, 0) - log(sigmoid(|v|)), and of the factors in [1/2, 1] no 64 underflow in their product.
    """
    size = value.shape[-1]
    together = max(factor for factor in range(1, 65) if size % factor == 0)
    shape = tf.concat([tf.shape(value)[:-1], [size // together, together]], 0)
    factors = tf.reshape(tf.sigmoid(tf.abs(value)), shape)
    logs = tf.math.log(tf.reduce_prod(factors, -1))
    total = tf.reduce_sum(tf.maximum(value, 0.0), -1) - tf.reduce_sum(logs, -1)
    return total, lambda upstream: upstream[..., None] * tf.sigmoid(value)


def softmax(logits):
    """tf.nn.softmax over the last axis, of tensors of any rank: oneDNN's takes no more than five axes."""
    if logits.shape.rank <= 5:
        return tf.nn.softmax(logits, -1)
    return tf.reshape(tf.nn.softmax(tf.reshape(logits, [-1, logits.shape[-1]]), -1), tf.shape(logits))


def soft_scale(raw, minimum):
    """A positive scale, softly limited to [minimum, 1000], so that no density overflows: softplus in between.

    With s = softplus(raw - minimum) and the width w of that range it is minimum + s - softplus(s - w), which is
    tfb.SoftClip's value without its cancellation (1000 - 999.9 has lost three digits) and without its overflow where
    a converter spells softplus(1000) as log(1 + exp(1000)).
    """
    width = MAX_SCALE - minimum
    s = softplus(tf.cast(raw, tf.float32) - minimum)
    return minimum + tf.minimum(s, width) - tf.math.log1p(tf.exp(-tf.abs(s - width)))


def relu(x):
    """tf.nn.relu, spelt so that TFLite has its gradient too."""
    return tf.maximum(x, 0.0)


def leaky_relu(x):
    """keras.activations.leaky_relu, spelt so that TFLite has its gradient too."""
    return tf.maximum(x, 0.2 * x)


def elu(x):
    """tf.nn.elu, spelt so that TFLite has its gradient too."""
    return tf.maximum(x, 0.0) + tf.exp(tf.minimum(x, 0.0)) - 1.0


def cut(rows, *sizes):
    """[..., sum of sizes] -> tensors [..., size].

    The gradient is one concatenation; that of slices would be a sum of so many padded tensors, quadratic in them,
    and of an operator that TFLite lacks.
    """

    @tf.custom_gradient
    def pieces(rows):
        stops = np.cumsum(sizes)
        parts = [rows[..., stop - size : stop] for size, stop in zip(sizes, stops, strict=True)]
        return parts, lambda *gradients: tf.concat(gradients, -1)

    return pieces(rows) if len(sizes) > 1 else [rows]


def apart(value):
    """The value as a tensor of its own: of one under two names the LiteRT GPU path fills one alone."""
    return tf.maximum(value, value.dtype.min)
