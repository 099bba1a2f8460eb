"""Batches of a stream: in constant memory, in an order that hangs on (seed, epoch) alone and goes on at any batch.

A pass goes through the pieces of the files in a new order and cuts them into blocks, within which the rows are
shuffled. So the number of a batch is all there is to say of a position.
"""

import contextlib
import os
import re
import socket

import numpy as np

from zoo.errors import InvalidInput, reason

BLOCK_BYTES, BLOCK_ROWS = 2**26, 2**16  # the most that is shuffled at a time
ANSWER = 10  # seconds
BROKEN = re.compile(
    r"(corrupted|truncated) record|parse example|Key: |Feature: |DecodeRaw|decode"
)  # TensorFlow's words
FOREVER = np.iinfo("int64").max


def stream_batches(
    stream, batch_size, shuffle, seed, fields, first_epoch=None, first_step=0, drop_remainder=False, service=None
):
    """A `tf.data.Dataset` of the batches of a stream (`zoo.data.streams`), some of its fields; see `load_dataset`."""
    import tensorflow as tf

    order = Order(stream.counts, batch_size, shuffle, seed, drop_remainder, stream.row_bytes)
    if first_epoch is not None:
        first, left_out = order.place(first_epoch, first_step)
        numbers = tf.data.Dataset.range(first, FOREVER)
    elif shuffle and service is None:
        epochs = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)
        numbers, left_out = epochs.flat_map(order.numbers), 0
    else:
        numbers, left_out = order.numbers(tf.constant(0, tf.int64)), 0
    blocks = numbers.map(lambda number: order.block(stream, number)).prefetch(1)
    batches = blocks.flat_map(order.batches).skip(left_out)

    def parse(columns):
        return {name: field for name, field in stream.parse(columns).items() if name in fields}

    batches = batches.map(parse, num_parallel_calls=os.cpu_count())
    if service is not None:
        batches = distributed(batches, stream, service)
    options = tf.data.Options()
    options.autotune.enabled = False
    length = order.steps if first_epoch is None else tf.data.INFINITE_CARDINALITY
    return batches.apply(tf.data.experimental.assert_cardinality(length)).prefetch(2).with_options(options)


class Order:
    """Which rows make up which block and batch.

    Args:
        counts: int64 [P], rows of the pieces.
        row_bytes: of a row in memory.

    Attributes:
        steps: batches of a pass.
        per_block: batches of a block; blocks: blocks of a pass.
    """

    def __init__(self, counts, batch_size, shuffle, seed, drop_remainder, row_bytes):
        import tensorflow as tf

        with tf.device("/CPU:0"):
            self.counts = tf.constant(counts)
        self.batch_size, self.shuffle, self.seed, self.drop_remainder = batch_size, shuffle, seed, drop_remainder
        rows = int(counts.sum())
        self.steps = rows // batch_size if drop_remainder else -(-rows // batch_size)
        if not self.steps:
            raise InvalidInput(f"{rows} examples do not fill one batch of {batch_size}: use a smaller batch_size")
        self.rows = min(rows, self.steps * batch_size)
        most = max(batch_size, min(BLOCK_ROWS, int(BLOCK_BYTES // row_bytes)))
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

    def block(self, stream, number):
        """What the stream reads for the block `number`, counted from the first epoch on, its rows shuffled."""
        import tensorflow as tf

        key = tf.stack([tf.constant(self.seed, tf.int64), number // self.blocks])
        low = number % self.blocks * (self.per_block * self.batch_size)
        high = tf.minimum(low + self.per_block * self.batch_size, self.rows)
        columns = stream.read(*self.parts(key, low, high))
        if not self.shuffle:
            return columns
        rows = self.shuffled(high - low, tf.random.fold_in(key, number % self.blocks + 1, alg="philox"))
        return {name: tf.gather(column, rows) for name, column in columns.items()}

    def parts(self, key, low, high):
        """(pieces, rows to leave out at the start of each, rows to take) of the rows from `low` to `high` of a pass."""
        import tensorflow as tf

        pieces = len(self.counts)
        order = self.shuffled(pieces, key) if self.shuffle else tf.range(pieces, dtype=tf.int64)
        ends = tf.cumsum(tf.gather(self.counts, order))
        first, last = tf.searchsorted(ends, low[None], "right")[0], tf.searchsorted(ends, high[None], "left")[0]
        which, ends = order[first : last + 1], ends[first : last + 1]
        begins = ends - tf.gather(self.counts, which)
        skipped = tf.maximum(low - begins, 0)
        return which, skipped, tf.minimum(ends, high) - begins - skipped

    @staticmethod
    def shuffled(count, key):
        import tensorflow as tf

        return tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), key, alg="philox")

    def batches(self, columns):
        """The dataset of the batches of a block."""
        import tensorflow as tf

        count = tf.shape(next(iter(columns.values())), tf.int64)[0]

        def batch(step):
            found = {k: v[step * self.batch_size : (step + 1) * self.batch_size] for k, v in columns.items()}
            if not self.drop_remainder:
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
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        ours = re.search(r"InvalidInput: (.+)", error.message)
        lines = [line for line in error.message.split("\n") if "Iterator::" in line]
        theirs = re.sub(r".*Iterator::[\w:]+: ", "", (lines or [""])[0])
        if not ours and not BROKEN.search(theirs):
            raise
        raise InvalidInput(ours[1] if ours else f"a record is broken, or not as the first is: {theirs}") from None
