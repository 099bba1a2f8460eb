"""Does the data fit the model? Asked before training, answered in one line."""

import itertools

import numpy as np

from zoo.data.spec import named_fields
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
        batch: a dict of arrays or tensors [B, ...], a tuple in the order of `data_spec`, or its first field alone.
        data_spec: field name -> `FieldSpec`; fields that the model does not take are ignored. Where a mask says that
            a value is missing, the data may hold anything.
    """
    fields = named_fields(batch, data_spec)
    arrays = {}
    for name, spec in data_spec.items():
        if name in fields:
            array = fields[name]
            arrays[name] = np.asarray(array.numpy() if hasattr(array, "numpy") else array)
            _check_dtype(name, arrays[name], spec)
            _check_shape(name, arrays[name], spec)
        elif not spec.optional:
            raise InvalidInput(_missing(name, spec, fields))
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise InvalidInput(f"fields of one batch must have one length, but got {sizes}")
    masks = {data_spec[name].shape: array for name, array in arrays.items() if data_spec[name].role == "mask"}
    for name, array in arrays.items():
        spec = data_spec[name]
        if spec.role == "data" and spec.shape in masks:
            array = array[masks[spec.shape].astype(bool)]
        _check_values(name, array, spec)


def _missing(name, spec, fields):
    """What to say about a field that is not there."""
    if _is_label(spec):
        return f"the model needs labels {name}: load_dataset(..., labels=True)"
    return f"the model needs a field {name!r}, but the batch has {', '.join(map(repr, fields)) or 'none'}"


def _is_label(spec):
    """Whether a field names a class, observed or not."""
    return spec.role in ("data", "label", "condition") and not spec.shape and np.dtype(spec.dtype).kind in "iu"


def _check_dtype(name, array, spec):
    """Numbers for numbers, whole numbers for labels."""
    integer = np.dtype(spec.dtype).kind in "iu"
    if array.dtype.kind not in "biuf":
        held = "text or objects" if array.dtype.kind in "OSU" else array.dtype
        raise InvalidInput(f"{name} holds {held}, the model takes {spec.dtype}")
    if spec.role == "mask":
        return
    if integer and array.dtype.kind == "f":
        raise InvalidInput(f"{name} holds {array.dtype}, the model takes whole numbers: {name}.astype({spec.dtype!r})")
    if not integer and array.dtype.kind in "iu" and not _is_image(array, spec):
        raise InvalidInput(f"{name} holds {array.dtype}, the model takes {spec.dtype} or uint8 images 0..255")


def _is_image(array, spec):
    """uint8 0..255 stands for 0..1, which a field of unbounded values takes too."""
    return spec.role != "mask" and array.dtype == np.uint8 and spec.dtype == "float32" and spec.maximum in (None, 1)


def _check_shape(name, array, spec):
    """[B, *spec.shape], where None in the specification is any size."""
    got, wanted = array.shape[1:], tuple(spec.shape)
    if array.ndim and len(got) == len(wanted) and all(w is None or g == w for g, w in zip(got, wanted, strict=True)):
        return
    if spec.role != "data" or not wanted:
        expected = ", ".join(["batch", *map(str, wanted)])
        raise InvalidInput(f"{name} has shape {array.shape}, the model takes ({expected})")
    if array.shape == wanted:
        hint = f"add a batch axis, {name}[None]"
    elif (*got, 1) == wanted:
        hint = f"add a channel axis, {name}[..., None]"
    else:
        hint = f"change the images, or create the model with data_shape={got}"
    raise InvalidInput(f"{name} has shape {got}, the model takes {wanted}: {hint}")


def _check_values(name, array, spec):
    """Finite, and between minimum and maximum."""
    if not array.size:
        return
    if spec.role == "mask" and not np.isin(array, (0, 1)).all():
        raise InvalidInput(f"{name} is 1 where a value was observed and 0 where it is missing, and nothing else")
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
        noun = "labels" if _is_label(spec) else "values"
        raise InvalidInput(f"{name} has {noun} {reached}, the model takes {_range(spec)}")
    hint = ""
    if spec.maximum == 1 and low >= 0 and 1 < high <= 255:
        hint = ": divide by 255 or pass uint8"
    raise InvalidInput(f"{name} has values {reached}, but the model takes {_range(spec)}{hint}")


def _range(spec):
    """`0..1`, with nothing on an open side."""
    low, high = ("" if v is None else f"{v:g}" for v in (spec.minimum, spec.maximum))
    return f"{low}..{high}"
