"""Draws row by row: what TensorFlow's stateless operations give for each row's own seed, for all rows at once.

They take one seed a call, and `tf.vectorized_map` makes a loop of them. Here their generator is written in whole
numbers, so that the same bits come out on any device and under XLA. Philox4x32-10: Salmon, Moraes, Dror & Shaw 2011.
"""

import math

import tensorflow as tf

MULTIPLIERS, STEPS, ROUNDS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85), 10
KEY_OF_SEEDS = (0x3EC8F720, 0x02461E29)  # by which TensorFlow makes a key and a counter of a seed


def split_rows(seeds, n):
    """int32 [n, N, 2]: `tf.random.split(seed, n)` of each row of seeds, int32 [N, 2]."""
    words = tf.bitcast(words_of_rows(seeds, 2 * n), tf.int32)
    return tf.transpose(tf.reshape(words, [-1, n, 2]), [1, 0, 2])


def normal_rows(seeds, shape):
    """float32 [N, *shape]: `tf.random.stateless_normal(shape, seed)` of each row, up to rounding. Box & Muller 1958."""
    size = math.prod(shape)
    bits = tf.bitwise.bitwise_and(words_of_rows(seeds, size + size % 2), tf.constant(2**23 - 1, tf.uint32))
    uniform = tf.reshape(tf.cast(bits, tf.float32) * 2.0**-23, [-1, (size + 1) // 2, 2])
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(uniform[..., 0], 1e-7)))
    angle = tf.cast(2 * math.pi * tf.cast(uniform[..., 1], tf.float64), tf.float32)  # rounded once, as TensorFlow's is
    pairs = tf.stack([radius * tf.sin(angle), radius * tf.cos(angle)], -1)
    return tf.reshape(tf.reshape(pairs, [-1, size + size % 2])[:, :size], [-1, *shape])


def uniform_int_rows(seeds, maxval):
    """int32 [N]: `tf.random.stateless_uniform([], seed, maxval=maxval, dtype=tf.int32)` of each row."""
    return tf.cast(words_of_rows(seeds, 1)[:, 0] % tf.constant(maxval, tf.uint32), tf.int32)


def categorical_rows(seeds, logits):
    """int32 [N]: a draw from the classes of logits [K] for each row, as `tf.random.stateless_categorical` draws it."""
    first, second = tf.unstack(tf.cast(words_of_rows(seeds, 2), tf.float64), axis=1)
    uniform = (first % 2.0**20) * 2.0**-20 + second * 2.0**-52
    logits = tf.cast(logits, tf.float64)
    cumulative = tf.cumsum(tf.exp(logits - tf.reduce_max(logits)))
    return tf.searchsorted(cumulative, uniform * cumulative[-1], side="right")


def words_of_rows(seeds, count):
    """uint32 [N, count]: the first random words that TensorFlow's philox makes of each row of seeds, int32 [N, 2]."""
    seeds = tf.bitcast(tf.cast(tf.transpose(seeds), tf.int64), tf.uint64)[..., None]
    even, odd = philox(low(seeds), high(seeds), tf.constant(KEY_OF_SEEDS, tf.uint64)[:, None, None])
    blocks = tf.cast(tf.range(-(-count // 4)), tf.uint64)
    zeros = tf.zeros_like(even[0] * blocks)
    counter = tf.stack([blocks + zeros, even[1] + zeros]), tf.stack([zeros, odd[1] + zeros])
    words = tf.stack(philox(*counter, tf.stack([even[0], odd[0]])), -1)  # [2, N, blocks, 2]
    words = tf.reshape(tf.transpose(words, [1, 2, 0, 3]), [-1, 4 * -(-count // 4)])
    return tf.cast(words[:, :count], tf.uint32)


def philox(even, odd, key):
    """A block of four random words for each counter and key: (first and third, second and fourth).

    Args:
        even, odd: the counter's first and third, second and fourth words, [2, N, blocks] of 32 bits in uint64.
        key: [2, N, 1], so too.
    """
    multipliers = tf.constant(MULTIPLIERS, tf.uint64)[:, None, None]
    steps = tf.constant([[count * step % 2**32 for step in STEPS] for count in range(ROUNDS)], tf.uint64)
    for round_key in tf.unstack(low(key + steps[..., None, None])):
        product = tf.reverse(even * multipliers, [0])
        even = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(high(product), odd), round_key)
        odd = low(product)
    return even, odd


def low(words):
    """The lower 32 bits of uint64."""
    return tf.bitwise.bitwise_and(words, tf.constant(2**32 - 1, tf.uint64))


def high(words):
    """The upper 32 bits of uint64."""
    return tf.bitwise.right_shift(words, tf.constant(32, tf.uint64))
