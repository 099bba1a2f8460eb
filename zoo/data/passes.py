"""Passes over data whose order hangs on (seed, epoch) alone."""

import numpy as np


def passes(one_pass, steps, seed, first_epoch, first_step=0):
    """One pass per iteration, each in a new order; or, from `first_epoch` on, one pass after another without an end.

    Args:
        one_pass: the key of a pass, int64 [2] -> its dataset of `steps` batches.
        seed: the first half of a key; the second is the epoch, or drawn where there is no `first_epoch`.
        first_step: how many batches of the first pass are left out.
    """
    import tensorflow as tf

    if first_epoch is not None:
        epochs = tf.data.Dataset.range(first_epoch, np.iinfo("int64").max)
        length = tf.data.INFINITE_CARDINALITY
    else:
        epochs = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)
        length = steps
    dataset = epochs.flat_map(lambda epoch: one_pass(tf.stack([tf.constant(seed, tf.int64), epoch]))).skip(first_step)
    # There is nothing to tune, and the end of an iterator under `fit` would wait for the tuner, whose sleep doubles.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(length)).prefetch(2).with_options(options)
