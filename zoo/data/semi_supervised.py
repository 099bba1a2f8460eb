"""A few labels and many images without: balanced label subsets, and batches that mix both in a stated ratio."""

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.batches import Order, in_rows
from zoo.data.load import arrays_of
from zoo.data.sources.open import open_source
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, check_positive

if TYPE_CHECKING:
    import tensorflow as tf

UNKNOWN = -1
NATURAL = "natural"
MOST_UNASKED, SPREAD = 100, 10  # classes that labels alone may ask for; beyond, so many a class that occurs


def load_semi_supervised(
    source: Any = "digits",
    num_labels: int | None = 100,
    seed: int = 0,
    *,
    split: str = "train",
    batch_size: int = 200,
    labelled_per_batch: int | float | str | None = None,
    num_classes: int | None = None,
    limit: int | None = None,
    order_seed: int = 0,
    first_epoch: int | None = None,
    first_step: int = 0,
    data_dir: str | os.PathLike | None = None,
    size: int | tuple[int, int] | None = None,
    color: str | None = None,
    fit: str | None = None,
    column: str | None = None,
) -> "tf.data.Dataset":
    """Batches {"x": [B, H, W, C], "y": int32 [B], "labelled_fraction": float32 [B]}, y = -1 where the label is hidden.

    The labelled rows are the first of each batch. A pass goes once through the unlabelled rows, in whole batches, and
    as often through the labelled ones as that takes. "labelled_fraction" is the share of labelled rows in the data,
    by which models weigh the rows whatever the ratio in a batch. Kingma et al. 2014, arXiv:1406.5298.

    Args:
        source, split, limit, data_dir, size, color, fit, column: as `load_dataset`, but for `tf.data.Dataset`s. Splits
            that do not begin with "train" come whole, in their order and with every label hidden, so that nothing
            tuned on them has seen more labels than `num_labels`.
        num_labels: how many labels are shown, the same number of each class; None shows those that the data have
            (y = -1 in arrays of one's own stands for unknown).
        seed: which examples keep their labels.
        labelled_per_batch: rows, or as a float their share of `batch_size`; "natural" mixes all rows by chance; None
            takes a tenth of the batch, or their natural share where that is more.
        num_classes: None takes the data set's, or the largest label + 1.
        order_seed, first_epoch, first_step: of the order, as `load_dataset`'s seed, first_epoch and first_step.

    Raises:
        InvalidInput: labels that are no whole numbers, outside the classes, too few of a class or none at all; numbers
            of labelled rows that a batch cannot hold. A class without a label is a warning.
    """
    opened = open_source(source, labels=True, data_dir=data_dir, size=size, color=color, fit=fit, column=column)
    hidden = not (split.startswith("train") or split == "all")
    order = Order(not hidden, order_seed, first_epoch, first_step)
    part = opened.split(split, limit)
    return few_labels(part, num_labels, seed, batch_size, labelled_per_batch, num_classes, order, hidden)


def few_labels(source, num_labels, seed, batch_size, labelled_per_batch, num_classes, order, hidden=False):
    """As `load_semi_supervised`, of a part of an open source; `hidden` hides every label, and takes the rows whole."""
    check_positive(batch_size=batch_size)
    arrays = dict(arrays_of(source))
    labels = np.array(arrays[LABELS])
    classes = check_labels(labels, num_classes or source.num_classes, source.said)
    if hidden:
        labels[:] = UNKNOWN
    elif num_labels is not None:
        labels[~choose_labelled(labels, num_labels, classes, seed)] = UNKNOWN
    known = np.flatnonzero(labels != UNKNOWN)
    if not hidden:
        warn_of_missing(labels, classes)
    arrays |= {LABELS: labels, "labelled_fraction": np.full(len(labels), len(known) / len(labels), "float32")}
    rows = None if hidden else rows_per_batch(labelled_per_batch, batch_size, len(known), len(labels))
    order = order._replace(drop_remainder=not hidden)
    if rows is not None and rows != batch_size:
        order = order._replace(arrange=in_ratio(known, np.flatnonzero(labels == UNKNOWN), rows, batch_size))
    return in_rows(arrays, batch_size, order)


def in_ratio(known, unknown, rows, batch_size):
    """(key -> the order of a pass with `rows` labelled rows first in each batch, its length)."""
    import tensorflow as tf

    steps = len(unknown) // (batch_size - rows)
    if not steps:
        raise InvalidInput(f"{len(unknown)} unlabelled examples do not fill the {batch_size - rows} places of a batch")
    cycles = -(-steps * rows // len(known))

    def arrange(key):
        keys = tf.random.split(tf.cast(key, tf.int32), 2, alg="philox")
        noise = tf.random.stateless_uniform([cycles, len(known)], keys[0], alg="philox")
        labelled = tf.gather(tf.constant(known), tf.reshape(tf.argsort(noise, 1, stable=True), [-1])[: steps * rows])
        rest = tf.random.experimental.stateless_shuffle(tf.constant(unknown), keys[1], alg="philox")
        rest = rest[: steps * (batch_size - rows)]
        return tf.reshape(tf.concat([tf.reshape(part, [steps, -1]) for part in (labelled, rest)], 1), [-1])

    return arrange, steps * batch_size


def check_labels(labels, num_classes, where="the data"):
    """The number of classes of labels [N], of which -1 is unknown.

    Raises:
        InvalidInput: labels that are no whole numbers, lie outside the classes, are all unknown, or would make far more
            classes than occur, as numbers do that are no labels.
    """
    if labels.dtype.kind not in "iu":
        raise InvalidInput(f"labels are whole numbers, but y of {where} holds {labels.dtype}: y.astype('int32')")
    low, high = int(labels.min()), int(labels.max())
    if low < UNKNOWN or (num_classes and high >= num_classes):
        wrong = low if low < UNKNOWN else high
        wanted = f"0..{num_classes - 1}" if num_classes else "0 and up"
        raise InvalidInput(f"{where} has the label {wrong}, but labels are {wanted}, or -1 where unknown")
    if high == UNKNOWN:
        raise InvalidInput(f"{where} has no labelled row at all: every y is -1")
    seen = len(np.unique(labels[labels != UNKNOWN]))
    if not num_classes and high >= max(MOST_UNASKED, SPREAD * seen):
        raise InvalidInput(
            f"labels of {where} go up to {high}, but only {seen} different ones occur: number them "
            f"0..{seen - 1}, y = numpy.unique(y, return_inverse=True)[1], or say num_classes={high + 1}"
        )
    return num_classes or high + 1


def warn_of_missing(labels, num_classes):
    """Warn, by name, of classes that no label shows."""
    missing = sorted(set(range(num_classes)) - set(labels.tolist()))
    if missing:
        names = ", ".join(map(str, missing))
        warnings.warn(f"no example of class {names} is labelled: a model cannot learn to name it", stacklevel=3)


def choose_labelled(labels, num_labels, num_classes, seed):
    """[N] of booleans: `num_labels` rows, the same number of each class, drawn by `seed`."""
    check_positive(num_labels=num_labels)
    each, rest = divmod(num_labels, num_classes)
    if rest or not each:
        raise InvalidInput(f"{num_labels} labels cannot be shared equally by {num_classes} classes: use a multiple")
    random = np.random.RandomState(seed)  # its stream is frozen for good
    chosen = np.zeros(len(labels), bool)
    for label in range(num_classes):
        rows = np.flatnonzero(labels == label)
        if len(rows) < each:
            raise InvalidInput(f"{num_labels} labels take {each} of each class, but class {label} has {len(rows)}")
        chosen[random.permutation(rows)[:each]] = True
    return chosen


def rows_per_batch(wanted, batch_size, known, total):
    """The labelled rows of a batch; None for the natural mixture."""
    natural = batch_size * known / total
    if wanted == NATURAL or known == total:
        return None
    if wanted is None:
        return min(known, batch_size - 1, max(1, round(batch_size / 10), round(natural)))
    if isinstance(wanted, float):
        if not 0 < wanted < 1 or abs(batch_size * wanted - round(batch_size * wanted)) > 1e-6:
            raise InvalidInput(f"a share of {wanted} labelled rows does not make whole numbers of a batch {batch_size}")
        wanted = round(batch_size * wanted)
    check_positive(labelled_per_batch=wanted)
    if wanted >= batch_size:
        raise InvalidInput(f"{wanted} labelled rows leave no place for unlabelled ones in a batch of {batch_size}")
    if wanted > known:
        raise InvalidInput(f"labelled_per_batch is {wanted}, but only {known} examples are labelled")
    return wanted
