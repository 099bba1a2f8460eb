"""Batches of a source, as a `tf.data.Dataset`, in an order that hangs on (seed, epoch) alone and goes on at any batch.

Rows in memory are gathered in one order a pass, sequences with others of like lengths, and what is streamed comes in
blocks: a pass goes through the pieces of the files in a new order and cuts them into blocks, within which rows are
shuffled. So the number of a batch is all there is to say of a position.
"""

import contextlib
import os
import re
import socket
from typing import NamedTuple

import numpy as np

from zoo.data.spec import LENGTH
from zoo.errors import InvalidInput, reason

PADDING = 0.1  # of the frames of a pass, at most
CANDIDATES = 256  # sizes that are tried
BLOCK_BYTES, BLOCK_ROWS = 2**26, 2**16  # the most that is shuffled at a time
ANSWER = 10  # seconds
BROKEN = re.compile(
    r"(corrupted|truncated) record|parse example|Key: |Feature: |DecodeRaw|decode"
)  # TensorFlow's words
FOREVER = np.iinfo("int64").max


class Order(NamedTuple):
    """In which order the rows of a source make batches: arguments of `load_dataset`.

    `arrange` is None, or ((key of a pass -> its rows int64 [rows]), rows of a pass) in place of all rows.
    """

    shuffle: bool = False
    seed: int = 0
    first_epoch: int | None = None
    first_step: int = 0
    drop_remainder: bool = False
    arrange: tuple | None = None


def batches(source, batch_size, order, service=None):
    """The batches of a source: a `tf.data.Dataset` of dicts of its fields; see `load_dataset`."""
    if source.streamed:
        return in_blocks(source, batch_size, order, service)
    if service is not None:
        raise InvalidInput(f"a tf.data service is for data that are streamed, and {source.said} is loaded")
    source = source.in_memory()
    if source.sequential:
        return in_buckets(source, batch_size, order)
    return in_rows(source.arrays(), batch_size, order)


def in_rows(arrays, batch_size, order):
    """Batches of dicts of [B, ...] slices of arrays [N, ...], B rows gathered at a time."""
    import tensorflow as tf

    everything = len(next(iter(arrays.values())))
    arrange, count = order.arrange or (lambda key: numbered(everything, key, order.shuffle), everything)
    steps = steps_of(count, batch_size, order.drop_remainder)
    with tf.device("/CPU:0"):  # the pipeline runs on the host; a copy on the accelerator would be carried back
        arrays = {name: tf.constant(values) for name, values in arrays.items()}

    def one_pass(key):
        """The batches of one pass in the order of `key` int64 [2]."""
        rows = arrange(key)

        def batch(step):
            found = rows[step * batch_size : (step + 1) * batch_size]
            found = tf.ensure_shape(found, [batch_size]) if order.drop_remainder else found
            return {name: tf.gather(values, found) for name, values in arrays.items()}

        return tf.data.Dataset.range(steps).map(batch)

    return passes(one_pass, steps, order)


def numbered(count, key, shuffle):
    """int64 [count]: 0, 1, ..., shuffled by a key int64 [2] where that is asked for."""
    import tensorflow as tf

    found = tf.range(count, dtype=tf.int64)
    return tf.random.experimental.stateless_shuffle(found, key, alg="philox") if shuffle else found


def steps_of(count, batch_size, drop_remainder):
    """The batches of a pass over so many rows."""
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if not steps:
        raise InvalidInput(f"{count} examples do not fill one batch of {batch_size}: use a smaller batch_size")
    return steps


def passes(one_pass, steps, order):
    """One pass per iteration, each in a new order; or, from `first_epoch` on, one pass after another without an end.

    Args:
        one_pass: the key of a pass, int64 [2] -> its dataset of `steps` batches.
    """
    import tensorflow as tf

    if order.first_epoch is not None:
        epochs = tf.data.Dataset.range(order.first_epoch, FOREVER)
    else:
        epochs = tf.data.Dataset.random(seed=order.seed, rerandomize_each_iteration=True).take(1)
    found = epochs.flat_map(lambda epoch: one_pass(tf.stack([tf.constant(order.seed, tf.int64), epoch])))
    return finished(found.skip(order.first_step), steps if order.first_epoch is None else None)


def finished(dataset, steps):
    """A dataset of so many batches, or without an end, that waits for nothing."""
    import tensorflow as tf

    # There is nothing to tune, and the end of an iterator under `fit` would wait for the tuner, whose sleep doubles.
    options = tf.data.Options()
    options.autotune.enabled = False
    steps = tf.data.INFINITE_CARDINALITY if steps is None else steps
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2).with_options(options)


# Sequences


def bucket_sizes(lengths, share=PADDING):
    """The fewest sizes, int [K] from small to large, to pad sequences to, with this share of padding at most.

    Which they are is found by dynamic programming over the lengths that occur (over 256 of them where there are more).
    """
    tops = np.unique(lengths)
    if len(tops) > CANDIDATES:
        tops = tops[np.linspace(0, len(tops) - 1, CANDIDATES).round().astype(int)]
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


def in_buckets(source, batch_size, order):
    """Batches of dicts: x float32 [B, T, *features], zeros behind each end; length int32 [B]; what else there is [B].

    Shuffled, it is drawn anew which sequences of a bucket meet, and the order of the batches; else the shortest come
    first.
    """
    import tensorflow as tf

    if order.drop_remainder:
        raise InvalidInput("batches of sequences differ in size, and none is a remainder: leave out drop_remainder")
    batches = plan(source.lengths, batch_size)
    bucket = np.searchsorted(np.unique(batches[:, 2]), source.lengths)
    with tf.device("/CPU:0"):
        frames, lengths, batches = map(tf.constant, (source.frames, source.lengths, batches))
        offsets, bucket = tf.constant(source.offsets), tf.constant(bucket)
        beside = {name: tf.constant(values) for name, values in source.fields_beside().items()}

    def one_pass(key):
        """The batches of one pass in the order of `key` int64 [2]."""
        rows = numbered(len(lengths), key, order.shuffle)
        turns = numbered(len(batches), tf.random.fold_in(key, 1, alg="philox"), order.shuffle)
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
            return {"x": x, LENGTH: length} | {name: tf.gather(values, chosen) for name, values in beside.items()}

        return tf.data.Dataset.range(len(batches)).map(batch)

    return passes(one_pass, len(batches), order)


# Streams


def in_blocks(stream, batch_size, order, service=None):
    """Batches of a stream, which has pieces of `counts` rows and says how they are read and parsed."""
    import tensorflow as tf

    blocks = Blocks(stream, batch_size, order)
    if order.first_epoch is not None:
        first, left_out = blocks.place(order.first_epoch, order.first_step)
        numbers = tf.data.Dataset.range(first, FOREVER)
    elif order.shuffle and service is None:
        epochs = tf.data.Dataset.random(seed=order.seed, rerandomize_each_iteration=True).take(1)
        numbers, left_out = epochs.flat_map(blocks.numbers), 0
    else:
        numbers, left_out = blocks.numbers(tf.constant(0, tf.int64)), 0
    found = numbers.map(blocks.block).prefetch(1).flat_map(blocks.batches).skip(left_out)
    found = found.map(stream.parse, num_parallel_calls=os.cpu_count())
    found = found if service is None else distributed(found, stream, service)
    return finished(found, blocks.steps if order.first_epoch is None else None)


class Blocks:
    """Which rows of a stream make up which block and batch.

    Attributes:
        steps: batches of a pass.
        per_block: batches of a block; blocks: blocks of a pass.
    """

    def __init__(self, stream, batch_size, order):
        import tensorflow as tf

        self.stream, self.batch_size, self.order = stream, batch_size, order
        with tf.device("/CPU:0"):
            self.counts = tf.constant(stream.counts)
        self.steps = steps_of(int(stream.counts.sum()), batch_size, order.drop_remainder)
        self.rows = min(int(stream.counts.sum()), self.steps * batch_size)
        most = max(batch_size, min(BLOCK_ROWS, int(BLOCK_BYTES // stream.row_bytes)))
        self.per_block = most // batch_size
        self.blocks = -(-self.steps // self.per_block)

    def place(self, epoch, step):
        """(number of the block, batches to leave out of it) of a batch of an epoch."""
        epoch, step = epoch + step // self.steps, step % self.steps
        return epoch * self.blocks + step // self.per_block, step % self.per_block

    def numbers(self, epoch):
        """The dataset of the numbers of an epoch's blocks."""
        import tensorflow as tf

        return tf.data.Dataset.range(self.blocks).map(lambda block: epoch * self.blocks + block)

    def block(self, number):
        """What the stream reads for the block `number`, counted from the first epoch on, its rows shuffled."""
        import tensorflow as tf

        key = tf.stack([tf.constant(self.order.seed, tf.int64), number // self.blocks])
        low = number % self.blocks * (self.per_block * self.batch_size)
        high = tf.minimum(low + self.per_block * self.batch_size, self.rows)
        columns = self.stream.read(*self.parts(key, low, high))
        if not self.order.shuffle:
            return columns
        rows = numbered(high - low, tf.random.fold_in(key, number % self.blocks + 1, alg="philox"), True)
        return {name: tf.gather(column, rows) for name, column in columns.items()}

    def parts(self, key, low, high):
        """(pieces, rows to leave out at the start of each, rows to take) of the rows from `low` to `high` of a pass."""
        import tensorflow as tf

        order = numbered(len(self.counts), key, self.order.shuffle)
        ends = tf.cumsum(tf.gather(self.counts, order))
        first, last = tf.searchsorted(ends, low[None], "right")[0], tf.searchsorted(ends, high[None], "left")[0]
        which, ends = order[first : last + 1], ends[first : last + 1]
        begins = ends - tf.gather(self.counts, which)
        skipped = tf.maximum(low - begins, 0)
        return which, skipped, tf.minimum(ends, high) - begins - skipped

    def batches(self, columns):
        """The dataset of the batches of a block."""
        import tensorflow as tf

        count = tf.shape(next(iter(columns.values())), tf.int64)[0]

        def batch(step):
            found = {k: v[step * self.batch_size : (step + 1) * self.batch_size] for k, v in columns.items()}
            if not self.order.drop_remainder:
                return found
            return {k: tf.ensure_shape(v, [self.batch_size, *v.shape[1:]]) for k, v in found.items()}

        return tf.data.Dataset.range(-(-count // self.batch_size)).map(batch)


def distributed(dataset, stream, service):
    """A dataset whose batches are made by the workers of a tf.data service, each block by one of them.

    Raises:
        InvalidInput: an address at which nobody answers, or data that Python reads.
    """
    import tensorflow as tf

    if not stream.portable:
        raise InvalidInput(
            "a tf.data service runs TensorFlow's own operations: it takes TFRecord files, without size and color; "
            "`zoo shards` writes such"
        )
    check_service(service)
    sharding = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    return dataset.apply(tf.data.experimental.service.distribute(processing_mode=sharding, service=service))


def check_service(address):
    """Raise `InvalidInput` unless somebody listens at grpc://host:port."""
    found = re.fullmatch(r"grpc://([^/:]+):(\d+)", address)
    if not found:
        raise InvalidInput(f"the address of a tf.data service is grpc://HOST:PORT, got {address!r}")
    try:
        socket.create_connection((found[1], int(found[2])), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise InvalidInput(f"no tf.data service answers at {address}: {reason(error)}") from None


@contextlib.contextmanager
def told():
    """What a pipeline says of a record or picture that is not as the first one is becomes one line."""
    import tensorflow as tf

    try:
        yield
    except UnicodeDecodeError as error:  # of TensorFlow's message, which quotes the record
        if b"Iterator::" not in error.object:
            raise
        raise InvalidInput("a record is broken, or not as the first is") from None
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        ours = re.search(r"InvalidInput: (.+)", error.message)
        lines = [line for line in error.message.split("\n") if "Iterator::" in line]
        theirs = re.sub(r".*Iterator::[\w:]+: ", "", (lines or [""])[0])
        if not ours and not BROKEN.search(theirs):
            raise
        raise InvalidInput(ours[1] if ours else f"a record is broken, or not as the first is: {theirs}") from None
