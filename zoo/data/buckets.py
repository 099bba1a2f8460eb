"""Batches of sequences of like lengths: little padding, few shapes, in an order that can be resumed."""

import numpy as np

from zoo.data.passes import passes
from zoo.errors import InvalidInput

PADDING = 0.1  # of the frames of a pass, at most
_CANDIDATES = 256


def bucket_sizes(lengths, share=PADDING):
    """The fewest sizes, int [K] from small to large, to pad sequences to, with this share of padding at most.

    Which they are is found by dynamic programming over the lengths that occur (over 256 of them where there are more).
    """
    tops = np.unique(lengths)
    if len(tops) > _CANDIDATES:
        tops = tops[np.linspace(0, len(tops) - 1, _CANDIDATES).round().astype(int)]
    order = np.searchsorted(tops, lengths)
    count = np.cumsum(np.bincount(order))
    frames = np.cumsum(np.bincount(order, lengths))
    before_count, before_frames = np.append(0, count[:-1]), np.append(0, frames[:-1])
    # waste[i, j]: the padding of all sequences above top i - 1 and up to top j, padded to top j
    waste = tops * (count - before_count[:, None]) - (frames - before_frames[:, None])
    waste = np.where(np.tri(len(tops), k=-1, dtype=bool), np.inf, waste)
    best, starts = waste[0], []
    while best[-1] > share * (best[-1] + frames[-1]):
        through = np.append(np.inf, best[:-1])[:, None] + waste
        starts.append(through.argmin(0))
        best = through.min(0)
    ends = [len(tops) - 1]
    for start in reversed(starts):
        ends.append(start[ends[-1]] - 1)
    return tops[ends[::-1]]


def bucket_order(lengths):
    """The rows, int [N], in the order in which unshuffled batches hold them: by bucket, then as they stand."""
    return np.argsort(np.searchsorted(bucket_sizes(lengths), lengths), kind="stable")


def stored_order(lengths):
    """The places, int [N], of the rows of unshuffled batches: `values[stored_order(lengths)]` stand as the rows do."""
    return np.argsort(bucket_order(lengths), kind="stable")


def plan(lengths, batch_size):
    """The batches of a pass over rows that stand in `bucket_order`: (first row, row after the last, size), int [M, 3].

    The sequences of a bucket are divided evenly, into as few batches as hold them.
    """
    sizes = bucket_sizes(lengths)
    counts = np.bincount(np.searchsorted(sizes, lengths), minlength=len(sizes))
    batches, start = [], 0
    for size, count in zip(sizes, counts, strict=True):
        for part in np.array_split(np.arange(start, start + count), -(-count // batch_size)):
            batches.append((part[0], part[-1] + 1, size))
        start += count
    return np.array(batches)


def sequence_batches(sequences, batch_size, shuffle, seed, first_epoch, drop_remainder, first_step=0):
    """A dataset of dicts: x float32 [B, T, *features], zeros behind each end; length int32 [B]; what else there is [B].

    Args:
        sequences: a `Sequences`.
        shuffle: draw anew which sequences of a bucket meet, and the order of the batches; else the shortest come first.
        first_epoch, first_step: as `load_dataset`'s.
    """
    import tensorflow as tf

    if drop_remainder:
        raise InvalidInput("batches of sequences differ in size, and none is a remainder: leave out drop_remainder")
    batches = plan(sequences.lengths, batch_size)
    bucket = np.searchsorted(np.unique(batches[:, 2]), sequences.lengths)
    with tf.device("/CPU:0"):
        frames, lengths, batches = map(tf.constant, (sequences.frames, sequences.lengths, batches))
        offsets, bucket = tf.constant(sequences.offsets), tf.constant(bucket)
        beside = {name: tf.constant(values) for name, values in sequences.beside.items()}

    def shuffled(count, key):
        return tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), key, alg="philox")

    def one_pass(key):
        """The batches of one pass in the order of `key` int64 [2]."""
        rows = tf.range(len(lengths), dtype=tf.int64)
        turns = tf.range(len(batches), dtype=tf.int64)
        if shuffle:
            rows = shuffled(len(lengths), key)
            turns = shuffled(len(batches), tf.random.fold_in(key, 1, alg="philox"))
        rows = tf.gather(rows, tf.argsort(tf.gather(bucket, rows), stable=True))

        def batch(step):
            start, stop, size = tf.unstack(batches[turns[step]])
            chosen = rows[start:stop]
            length = tf.gather(lengths, chosen)
            steps = tf.range(tf.cast(size, tf.int32))
            inside = steps < length[:, None]
            places = tf.gather(offsets, chosen)[:, None] + tf.cast(tf.where(inside, steps, 0), tf.int64)
            x = tf.cast(tf.gather(frames, places), tf.float32)
            inside = tf.reshape(inside, tf.concat([tf.shape(inside), tf.ones(x.shape.rank - 2, tf.int32)], 0))
            x = tf.where(inside, x, 0.0)
            return {"x": x, "length": length} | {name: tf.gather(values, chosen) for name, values in beside.items()}

        return tf.data.Dataset.range(len(batches)).map(batch)

    return passes(one_pass, len(batches), seed, first_epoch, first_step)
