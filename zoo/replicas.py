"""A batch that several devices or cores share: sums, rows and random numbers of the whole of it.

Each replica of `tf.distribute` sees some rows of a batch. Inside `whole_batch` what is counted, normalised, compared or
drawn over rows is so over those of all replicas, as one device would with the whole batch: an update is the same
however many devices share it. Outside, and on one device, all of this does nothing.

Cores of one device may share a batch too (`zoo.models.sharing`): each sees the rows of a `Share`, and what is drawn for
them is that of the whole.
"""

import contextlib
import os
import threading
from typing import NamedTuple

import tensorflow as tf

_inside = threading.local()  # every replica of a step is traced in a thread of its own


class Share(NamedTuple):
    """A replica's or part's rows of a batch: which is its first, how many it has, and how many there are."""

    first: tf.Tensor
    own: tf.Tensor
    total: tf.Tensor


def num_replicas():
    """How many replicas take the step together."""
    replicas = tf.distribute.get_replica_context()
    return 1 if replicas is None else replicas.num_replicas_in_sync


@contextlib.contextmanager
def whole_batch(batch):
    """Inside, the rows are this replica's rows of a batch that all replicas share, in their order.

    Args:
        batch: nested tensors [B, ...].
    """
    alone = num_replicas() == 1
    with rows_of(None if alone else share_of(next(v for v in tf.nest.flatten(batch) if v is not None))):
        yield


def share_of(value):
    """The `Share` of a value [B, ...]."""
    replicas = tf.distribute.get_replica_context()
    counts = replicas.all_gather(tf.shape(value)[:1], 0)
    place = replicas.replica_id_in_sync_group
    return Share(tf.reduce_sum(counts[:place]), counts[place], tf.reduce_sum(counts))


def num_cores():
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def rows_of(some):
    """Inside, the rows are those of a `Share`."""
    _inside.share = some
    try:
        yield
    finally:
        _inside.share = None


def share():
    """The `Share` of this replica or part, None where a batch is whole."""
    return getattr(_inside, "share", None)


def over_replicas(value):
    """The sum of a tensor over the replicas that take a step together; itself on one device."""
    return value if num_replicas() == 1 else tf.distribute.get_replica_context().all_reduce("sum", value)


def everywhere(flag):
    """Whether a boolean scalar holds on every replica."""
    return flag if num_replicas() == 1 else over_replicas(tf.cast(~flag, tf.int32)) == 0


def gathered(value, axis=0):
    """The rows of all replicas along an axis; the gradient of each comes back to whose it is."""
    if share() is None:
        return value
    shape = value.shape.as_list()
    whole = tf.distribute.get_replica_context().all_gather(tf.identity(value), axis)
    return tf.ensure_shape(whole, [*shape[:axis], None, *shape[axis + 1 :]])


def own_rows(value, axis=0):
    """This replica's rows along an axis of a value that has those of all."""
    return value if share() is None else tf.gather(value, share().first + tf.range(share().own), axis=axis)


def mean(values):
    """tf.reduce_mean; 0 of no values, as a replica may have no rows."""
    if share() is None:
        return tf.reduce_mean(values)
    return tf.math.divide_no_nan(tf.reduce_sum(values), tf.cast(tf.size(values), values.dtype))


def seed_for(q, seed):
    """The seed by which a distribution draws for these rows: of one that knows of no others, one of their own.

    The zoo's distributions draw for the rows of all (`of_whole_batch`, which a base or a distribution inside may say);
    TFP's own would draw the same for each replica's.
    """
    inside = q
    while inside is not None and not getattr(inside, "of_whole_batch", False):
        inside = getattr(inside, "distribution", None)
    return seed if share() is None or inside is not None else tf.random.fold_in(seed, share().first, alg="philox")


def drawn(draw, shape, axis=-2):
    """`draw(shape)`, random numbers whose axis `axis` are rows; of a draw for the rows of all replicas, their own.

    The axis may have other axes before it folded in, rows innermost, as [S B, D].
    """
    if share() is None:
        return draw(shape)
    shape = tf.unstack(tf.convert_to_tensor(shape))
    lead, rows, rest = shape[:axis], shape[axis], shape[axis:][1:]
    folds = rows // tf.maximum(share().own, 1)
    whole = tf.reshape(draw([*lead, folds * share().total, *rest]), [*lead, folds, share().total, *rest])
    return tf.reshape(own_rows(whole, len(lead) + 1), shape)
