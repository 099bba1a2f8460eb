"""Stateless random numbers: seeds, the weights' generator, and the noise that binarises an image once and for all."""

import contextlib
import numbers
import random

import tensorflow as tf

from zoo.errors import InvalidInput


def fresh_seed():
    """An int32 [2] seed, new each time, in a graph at each of its calls; `keras.utils.set_random_seed` governs it."""
    if tf.executing_eagerly():
        return tf.constant([random.randrange(2**31), random.randrange(2**31)], tf.int32)
    return tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)


def as_seed(seed):
    """None, a whole number or an int32 [2] tensor -> int32 [2], another for each whole number of 64 bits."""
    if seed is None:
        return fresh_seed()
    if isinstance(seed, numbers.Integral) and -(2**63) <= seed < 2**63:
        low = of_32_bits(int(seed))
        return tf.constant([of_32_bits((int(seed) - low) >> 32), low], tf.int32)
    with contextlib.suppress(ValueError, TypeError):
        seed = tf.convert_to_tensor(seed)
        if seed.dtype.is_integer and seed.shape.rank == 0:
            return as_seed(int(seed)) if tf.executing_eagerly() else tf.stack([0, tf.cast(seed, tf.int32)])
        if seed.dtype.is_integer and seed.shape.is_compatible_with([2]):
            return tf.cast(seed, tf.int32)
    raise InvalidInput(f"seed is a whole number from -2**63 to 2**63 - 1, or two of 32 bits, got {seed!r}")


def of_32_bits(number):
    """The last 32 bits of a whole number, as one with a sign."""
    return (number + 2**31) % 2**32 - 2**31


def whole(seed):
    """A whole number of 64 bits as one of 32; what is none is refused."""
    high, low = map(int, as_seed(seed))
    return high ^ low


@contextlib.contextmanager
def seeded(seed):
    """Layers made inside the block draw weights that depend on `seed` alone; Python's generator is left as it was."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def noise_of_image(x):
    """Uniform noise, [B, ...] like x in [0, 1), that depends on each image alone: not on its place, batch or split.

    The image's 8-bit levels are hashed to two keys, and these with each pixel's place to its noise. Whole numbers
    alone are used, because TensorFlow's own generators draw other numbers under XLA.
    """
    levels = tf.cast(tf.round(tf.reshape(x, [tf.shape(x)[0], -1]) * 255.0), tf.uint32)
    places = tf.cast(tf.range(1, 2 * tf.shape(levels)[1] + 1), tf.uint32)
    first, second = tf.unstack(tf.reshape(scramble(places), [2, -1]))
    keys = [tf.reduce_sum(levels * factors, 1, keepdims=True) for factors in (first, second)]
    bits = scramble(tf.bitwise.bitwise_xor(scramble(first + keys[0]), keys[1]))
    return tf.reshape(tf.cast(right_shift(bits, 8), tf.float32) / 2.0**24, tf.shape(x))


def scramble(bits):
    """A one-to-one map of uint32 in which every bit of the result depends on all bits: C. Wellons' lowbias32."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = tf.bitwise.bitwise_xor(bits, right_shift(bits, shift)) * tf.constant(factor, tf.uint32)
    return bits


def right_shift(bits, count):
    return tf.bitwise.right_shift(bits, tf.constant(count, tf.uint32))
