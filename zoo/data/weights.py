"""Weights of the rows by their classes."""

import numpy as np

from zoo.data.check import is_arrays, is_one_hot
from zoo.data.spec import WEIGHT, named_fields
from zoo.errors import InvalidInput


def with_class_weight(data_spec, class_weight, x, y=None, sample_weight=None):
    """(x, y, sample_weight) as `fit` takes them, each row weighing what its label does; 1 where that is unknown.

    Args:
        class_weight: {class: weight}; classes that are left out weigh 1.
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
        label = tf.argmax(label, -1, tf.int32) if is_one_hot(label.shape, spec) else tf.cast(label, tf.int32)
        return {**fields, WEIGHT: tf.where(label < 0, 1.0, tf.gather(table, tf.maximum(label, 0)))}

    if isinstance(x, tf.data.Dataset):
        return x.map(weighted), None, None
    if is_arrays(x):
        fields = weighted(x, y)
        return {n: value for n, value in fields.items() if n != WEIGHT}, None, np.asarray(fields[WEIGHT])
    raise InvalidInput("class_weight takes arrays or a tf.data.Dataset: let a generator yield weights of its rows")
