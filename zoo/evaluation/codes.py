"""What a model makes of images, as arrays for scikit-learn."""

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data import LABELS, check_batch, named_fields, open_source
from zoo.data.batches import Order, batches
from zoo.errors import InvalidInput, choose
from zoo.evaluation.importance import real_steps

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel


def features(
    model: "LatentVariableModel", dataset: Any, latent: str | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(features [N, D], labels int [N] or None) of every example: the location of a latent's posterior.

    The labels are those of the data, -1 where hidden, as scikit-learn's semi-supervised estimators take them; the
    features are made without them, and from grey images as they are, not binarised. Of a sequence they are the mean
    over its steps.

    Args:
        model: any model of the zoo.
        dataset: a `tf.data.Dataset` of batches that ends, or arrays.
        latent: name of one latent; None takes all, side by side.

    Raises:
        InvalidInput: data that do not fit the model, an unknown latent, or a data set that does not end.
    """
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        labelled = isinstance(dataset, dict) and LABELS in dataset
        like = (getattr(model, "card", None) or {}).get("data")
        dataset = batches(open_source(dataset, labels=labelled, like=like).split(), 200, Order())
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InvalidInput("this data set has no end: make it without first_epoch")
    locate = tf.function(lambda inputs: model.locations(inputs), reduce_retracing=True)
    hidden = model.fields_of("label")
    spec = {name: field for name, field in model.data_spec.items() if name not in hidden}
    (*_, label) = (LABELS, *model.fields_of("label", "condition"))
    parts, labels = [], []
    for batch in dataset:
        batch = named_fields(batch, dict.fromkeys((*model.data_spec, LABELS)))
        given = {name: value for name, value in batch.items() if name in spec}
        check_batch(given, spec)
        fields = model.fields(given)
        found = locate({name: value for name, value in fields.items() if name in spec})
        chosen = found.values() if latent is None else [choose("latent", latent, found)]
        real = real_steps(model, fields)
        chosen = [v.numpy() if real is None else mean_of_steps(v.numpy(), real) for v in chosen]
        parts.append(np.concatenate([v.reshape(len(v), -1) for v in chosen], 1))
        if label in batch:
            labels.append(np.asarray(batch[label]))
    if not parts:
        raise InvalidInput("the data set is empty: it yields no batch")
    return np.concatenate(parts), np.concatenate(labels) if labels else None


def mean_of_steps(value, real):
    """[B, D]: the mean of [B, T, D] over the steps that are `real` [B, T]."""
    return np.sum(value, 1, where=real[..., None]) / real.sum(1, keepdims=True)
