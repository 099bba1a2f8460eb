"""Weights of the rows by their classes."""

import numpy as np

from zoo.data.check import check_batch, classes, is_arrays, is_column, is_one_hot
from zoo.data.spec import WEIGHT, named_fields
from zoo.errors import InvalidInput


def with_class_weight(data_spec, class_weight, x, y=None, sample_weight=None):
    """(x, y, sample_weight) as `fit` takes them, each row weighing what its label does; 1 where that is unknown.

    Args:
        class_weight: {class: weight}; classes that are left out weigh 1. "balanced" makes those of known labels, which
            are counted, weigh equally in all and 1 in the mean.
        x, y: arrays, or a `tf.data.Dataset` of batches.

    Raises:
        InvalidInput: a model without labels, weights besides, a class that does not exist, data that cannot be mapped.
    """
    import tensorflow as tf

    labels = [n for n, spec in data_spec.items() if not spec.shape and np.dtype(spec.dtype).kind in "iu"]
    if not labels:
        raise InvalidInput("class_weight weighs rows by their labels, and this model takes none: use sample_weight")
    if sample_weight is not None:
        raise InvalidInput("class_weight and sample_weight both weigh the rows: give one of them")
    name, spec = labels[0], data_spec[labels[0]]
    table = np.ones(int(spec.maximum) + 1, "float32")
    if isinstance(class_weight, str) and class_weight == "balanced":
        class_weight = balanced(counts(data_spec, name, x, y))
    if not hasattr(class_weight, "items"):
        raise InvalidInput(f'class_weight is "balanced" or {{class: weight}}, got {class_weight!r}')
    for label, weight in class_weight.items():
        if label not in range(len(table)) or not 0 <= weight < np.inf:
            raise InvalidInput(
                f"class_weight is {{class: weight from 0}}, classes 0..{len(table) - 1}, got {{{label!r}: {weight!r}}}"
            )
        table[label] = weight

    def weighted(*batch):
        fields = dict(named_fields(batch, data_spec))
        if name not in fields:
            raise InvalidInput(f"class_weight weighs rows by {name}, which the batches do not have")
        label = tf.convert_to_tensor(fields[name])
        label = tf.argmax(label, -1) if is_one_hot(label.shape, spec) else label
        label = tf.cast(label[:, 0] if is_column(label.shape, spec) else label, tf.int32)
        return {**fields, WEIGHT: tf.where(label < 0, 1.0, tf.gather(table, tf.maximum(label, 0)))}

    if isinstance(x, tf.data.Dataset):
        return x.map(weighted), None, None
    if is_arrays(x):
        fields = weighted(x, y)
        return {n: value for n, value in fields.items() if n != WEIGHT}, None, np.asarray(fields[WEIGHT])
    raise InvalidInput("class_weight takes arrays or a tf.data.Dataset: let a generator yield weights of its rows")


def balanced(counts):
    """{class: weight} of the classes that occur: each weighs as much as any other, and a row 1 in the mean."""
    present = np.flatnonzero(counts)
    return {int(label): counts.sum() / (len(present) * counts[label]) for label in present}


def counts(data_spec, name, x, y):
    """How often each class occurs, int [C], in arrays or in a pass over a `tf.data.Dataset`."""
    import tensorflow as tf

    spec, dataset = data_spec[name], isinstance(x, tf.data.Dataset)
    if dataset and x.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InvalidInput(
            'class_weight="balanced" counts the labels, and the data set has no end: give {class: weight}'
        )
    if not dataset and not is_arrays(x):
        raise InvalidInput('class_weight="balanced" counts the labels of arrays or of a tf.data.Dataset')
    found = np.zeros(int(spec.maximum) + 1, int)
    for batch in x if dataset else [(x, y)]:
        fields = named_fields(batch, data_spec)
        if name not in fields:
            raise InvalidInput(f"class_weight weighs rows by {name}, which the batches do not have")
        check_batch({name: fields[name]}, {name: spec})
        labels = classes(np.asarray(fields[name]), spec)
        found += np.bincount(labels[labels >= 0], minlength=len(found))
    return found
