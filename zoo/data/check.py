"""Does the data fit the model? Asked before training, answered in one line."""

import itertools

import numpy as np

from zoo.errors import InvalidInput


def check_dataset(dataset, data_spec, batches=2):
    """Raise `InvalidInput` unless the first `batches` batches fit `data_spec` (see `check_batch`).

    Args:
        dataset: anything `fit` takes: a `tf.data.Dataset`, another iterable of batches, or arrays (checked whole). A
            generator is let through: looking at its batches would use them up.
        data_spec: field name -> `FieldSpec`, as models have it.
        batches: how many batches to look at; None looks at all.
    """
    if isinstance(dataset, (dict, tuple)) or hasattr(dataset, "shape"):
        check_batch(dataset, data_spec)
        return
    if iter(dataset) is dataset:
        return
    empty = True
    for batch in itertools.islice(iter(dataset), batches):
        check_batch(batch, data_spec)
        empty = False
    if empty:
        raise InvalidInput("the data set is empty: it yields no batch")


def check_batch(batch, data_spec):
    """Raise `InvalidInput`, in one line that says what to do, unless `batch` fits `data_spec`.

    Args:
        batch: a dict of arrays or tensors [B, ...], a bare array (= x) or a tuple (x, y).
        data_spec: field name -> `FieldSpec`; fields that the model does not take are ignored.
    """
    fields = _fields(batch)
    sizes = {}
    for name, spec in data_spec.items():
        if name not in fields:
            raise InvalidInput(_missing(name, fields))
        array = fields[name]
        array = np.asarray(array.numpy() if hasattr(array, "numpy") else array)
        _check_dtype(name, array, spec)
        _check_shape(name, array, spec)
        _check_values(name, array, spec)
        sizes[name] = len(array)
    if len(set(sizes.values())) > 1:
        raise InvalidInput(f"fields of one batch must have one length, but got {sizes}")


def _fields(batch):
    """Name -> array of a batch in any of the forms `check_batch` takes."""
    if isinstance(batch, (tuple, list)) and isinstance(batch[0], dict):
        batch = batch[0]
    if isinstance(batch, dict):
        return batch
    if isinstance(batch, (tuple, list)):
        return dict(zip(("x", "y"), batch, strict=False))
    return {"x": batch}


def _missing(name, fields):
    """What to say about a field that is not there."""
    if name == "y":
        return "the model needs labels y: load_dataset(..., labels=True)"
    return f"the model needs a field {name!r}, but the batch has {', '.join(map(repr, fields)) or 'none'}"


def _check_dtype(name, array, spec):
    """Numbers for numbers, whole numbers for labels."""
    integer = np.dtype(spec.dtype).kind in "iu"
    if array.dtype.kind not in "biuf":
        held = "text or objects" if array.dtype.kind in "OSU" else array.dtype
        raise InvalidInput(f"{name} holds {held}, the model takes {spec.dtype}")
    if integer and array.dtype.kind == "f":
        raise InvalidInput(f"{name} holds {array.dtype}, the model takes whole numbers: {name}.astype({spec.dtype!r})")
    if not integer and array.dtype.kind in "iu" and not _is_image(array, spec):
        raise InvalidInput(f"{name} holds {array.dtype}, the model takes {spec.dtype} or uint8 images 0..255")


def _is_image(array, spec):
    """uint8 0..255 stands for 0..1, which a field of unbounded values takes too."""
    return array.dtype == np.uint8 and spec.dtype == "float32" and spec.maximum in (None, 1)


def _check_shape(name, array, spec):
    """[B, *spec.shape], where None in the specification is any size."""
    got, wanted = array.shape[1:], tuple(spec.shape)
    if array.ndim and len(got) == len(wanted) and all(w is None or g == w for g, w in zip(got, wanted, strict=True)):
        return
    if name != "x":
        expected = ", ".join(["batch", *map(str, wanted)])
        raise InvalidInput(f"{name} has shape {array.shape}, the model takes ({expected})")
    if array.shape == wanted:
        hint = "add a batch axis, x[None]"
    elif (*got, 1) == wanted:
        hint = "add a channel axis, x[..., None]"
    else:
        hint = f"change the images, or create the model with data_shape={got}"
    raise InvalidInput(f"x has shape {got}, the model takes {wanted}: {hint}")


def _check_values(name, array, spec):
    """Finite, and between minimum and maximum."""
    if not array.size:
        return
    if _is_image(array, spec):
        if array.max() == 1:
            raise InvalidInput(f"{name} is uint8 with values 0 and 1, but uint8 means 0..255: multiply it by 255")
        return
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidInput(f"{name} has values that are NaN or infinite")
    low, high = array.min(), array.max()
    if spec.maximum is not None and high > spec.maximum:
        reached = f"up to {high}"
    elif spec.minimum is not None and low < spec.minimum:
        reached = f"down to {low}"
    else:
        return
    if np.dtype(spec.dtype).kind in "iu":
        noun = "labels" if name == "y" else "values"
        raise InvalidInput(f"{name} has {noun} {reached}, the model takes {_range(spec)}")
    hint = ""
    if spec.maximum == 1 and low >= 0 and 1 < high <= 255:
        hint = ": divide by 255 or pass uint8"
    raise InvalidInput(f"{name} has values {reached}, but the model takes {_range(spec)}{hint}")


def _range(spec):
    """`0..1`, with nothing on an open side."""
    low, high = ("" if v is None else f"{v:g}" for v in (spec.minimum, spec.maximum))
    return f"{low}..{high}"
