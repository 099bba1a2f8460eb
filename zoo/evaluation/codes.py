"""What a model makes of images, as arrays for scikit-learn."""

import numpy as np

from zoo.data import check_batch, load_dataset
from zoo.errors import InvalidInput, choose


def features(model, dataset, latent=None):
    """(features [N, D], labels int [N] or None) of every example: the location of a latent's posterior.

    The labels are those of the data, -1 where hidden, as scikit-learn's semi-supervised estimators take them; the
    features are made without them, and from grey images as they are, not binarised.

    Args:
        model: any model of the zoo.
        dataset: a `tf.data.Dataset` of batches that ends, or arrays.
        latent: name of one latent; None takes all, side by side.

    Raises:
        InvalidInput: data that do not fit the model, an unknown latent, or a data set that does not end.
    """
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        labelled = isinstance(dataset, dict) and "y" in dataset
        dataset = load_dataset(dataset, batch_size=200, shuffle=False, labels=labelled)
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InvalidInput("this data set has no end: make it without first_epoch")
    locate = tf.function(lambda inputs: model.locations(inputs), reduce_retracing=True)
    spec = {name: field for name, field in model.data_spec.items() if name != "y" or field.minimum >= 0}
    parts, labels = [], []
    for batch in dataset:
        check_batch(batch, spec)
        if not isinstance(batch, dict):
            batch = dict(zip(("x", "y"), batch if isinstance(batch, tuple) else [batch], strict=False))
        found = locate({name: value for name, value in model.fields(batch).items() if name in spec})
        chosen = found.values() if latent is None else [choose("latent", latent, found)]
        parts.append(np.concatenate([tf.reshape(v, [tf.shape(v)[0], -1]) for v in chosen], 1))
        if "y" in batch:
            labels.append(np.asarray(batch["y"]))
    if not parts:
        raise InvalidInput("the data set is empty: it yields no batch")
    return np.concatenate(parts), np.concatenate(labels) if labels else None
