"""Does the data fit the model? Asked before training, answered in one line."""

import itertools

import numpy as np

from zoo.data.batches import told
from zoo.data.spec import LABELS, are_pixels, named_fields
from zoo.errors import InvalidInput


def check_dataset(dataset, data_spec, batches=2):
    """Raise `InvalidInput` unless the first `batches` batches fit `data_spec` (see `check_batch`).

    Args:
        dataset: anything `fit` takes: a `tf.data.Dataset`, another iterable of batches, or arrays (checked whole). A
            generator is let through: looking at its batches would use them up (see `checked_batches`).
        data_spec: field name -> `FieldSpec`, as models have it.
        batches: how many batches to look at; None looks at all.
    """
    if is_arrays(dataset):
        check_batch(dataset, data_spec)
        return
    if iter(dataset) is dataset:
        return
    empty = True
    with told():
        for batch in itertools.islice(iter(dataset), batches):
            check_batch(batch, data_spec)
            empty = False
    if empty:
        raise InvalidInput("the data set is empty: it yields no batch")


def checked_batches(generator, data_spec):
    """The batches of a generator as Keras takes them, in tuples, each checked as it comes."""
    for batch in generator:
        check_batch(batch, data_spec)
        yield batch if isinstance(batch, tuple) else (batch,)


def is_arrays(data):
    """Whether data are arrays as they are, and not something that yields batches."""
    return isinstance(data, (dict, tuple)) or hasattr(data, "shape")


def check_batch(batch, data_spec):
    """Raise `InvalidInput`, in one line that says what to do, unless `batch` fits `data_spec`.

    Args:
        batch: arrays or tensors [B, ...] in a form that `named_fields` takes.
        data_spec: field name -> `FieldSpec`; another field is refused. Where a mask says that a value is missing, and
            past the end of a sequence, the data may hold anything.
    """
    fields = named_fields(batch, data_spec)
    arrays = {}
    for name, spec in data_spec.items():
        if name in fields:
            arrays[name] = classes(_as_array(name, fields[name]), spec)
            check_shape(name, arrays[name].shape, spec)
            _check_dtype(name, arrays[name], spec)
        elif not spec.optional:
            raise InvalidInput(_missing(name, spec, fields))
    for name in fields.keys() - data_spec.keys():
        hint = ": load_dataset(..., labels=False)" if name == LABELS else ""
        raise InvalidInput(f"the batch has a field {name!r}, but the model takes {', '.join(data_spec)}{hint}")
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise InvalidInput(f"fields of one batch must have one length, but got {sizes}")
    if 0 in sizes.values():
        raise InvalidInput(f"{next(iter(sizes))} is empty: it has no rows")
    masks = {data_spec[name].shape: array for name, array in arrays.items() if data_spec[name].role == "mask"}
    real = _real_steps(arrays, data_spec)
    for name, array in arrays.items():
        spec = data_spec[name]
        seen = masks.get(spec.shape) if spec.role in ("data", "target") else None
        seen = None if seen is None else seen.astype(bool)
        if real is not None and spec.role in ("data", "target", "mask"):
            real_values = np.broadcast_to(real.reshape(*real.shape, *[1] * (array.ndim - 2)), array.shape)
            seen = real_values if seen is None else seen & real_values
        _check_values(name, array, spec, seen)


def _real_steps(arrays, data_spec):
    """[B, T]: which steps of sequences are real; None where no lengths are given.

    Raises:
        InvalidInput: sequences that are empty, or longer than the array that holds them, or of several lengths.
    """
    timed = {n: a.shape[1] for n, a in arrays.items() if data_spec[n].shape[:1] == (None,)}
    if len(set(timed.values())) > 1:
        raise InvalidInput(f"the fields of one batch must have as many steps, but got {timed}")
    if 0 in timed.values():
        raise InvalidInput(f"{next(iter(timed))} is empty: its sequences have no steps")
    for name, length in arrays.items():
        if data_spec[name].role == "length":
            field = next(n for n, one in data_spec.items() if one.role == "data")
            steps = arrays[field].shape[1] if field in arrays else length.max()
            if length.min() < 1 or length.max() > steps:
                wrong = (length < 1) | (length > steps)
                raise InvalidInput(
                    f"{name} is {length[wrong][0]}{_place(wrong, None)}: a sequence has 1 to {steps} steps here"
                )
            return np.arange(steps) < length[:, None]
    return None


def check_density_argument(name, value, spec):
    """As `check_batch`, for one field with any leading axes; labels may be probabilities [..., C]."""
    array = _as_array(name, value)
    if is_label(spec) and array.dtype.kind == "f":
        if array.shape[-1] != spec.maximum + 1 or not (array >= 0).all():
            raise InvalidInput(f"{name} is a class or [..., {spec.maximum + 1}] probabilities, got {array.shape}")
        return
    _check_dtype(name, array, spec)
    wanted = tuple(spec.shape)
    if array.ndim < len(wanted) or array.shape[array.ndim - len(wanted) :] != wanted:
        raise InvalidInput(f"{name} has shape {array.shape}, the model takes (..., {', '.join(map(str, wanted))})")
    _check_values(name, array, spec)


def _as_array(name, array):
    """A field as a NumPy array; what is no array is named."""
    for kind, cure in (("RaggedTensor", f"{name}.to_tensor()"), ("SparseTensor", f"tf.sparse.to_dense({name})")):
        if type(array).__name__ == kind:
            raise InvalidInput(f"{name} is a {kind}, the model takes dense arrays: {cure}")
    try:
        array = np.asarray(array.numpy() if hasattr(array, "numpy") else array)
    except ValueError:
        raise InvalidInput(f"{name} holds rows of different shapes, the model takes one array") from None
    return array.astype("float32") if array.dtype.name == "bfloat16" else array  # a dtype that NumPy knows little of


def _missing(name, spec, fields):
    """What to say about a field that is not there."""
    if is_label(spec):
        return f"the model needs labels {name}: load_dataset(..., labels=True)"
    return f"the model needs a field {name!r}, but the batch has {', '.join(map(repr, fields)) or 'none'}"


def classes(array, spec):
    """Labels [B] of one-hot rows [B, C], and what is [B, 1] for [B]; anything else as it is."""
    if not is_one_hot(array.shape, spec):
        return array[:, 0] if is_column(array.shape, spec) else array
    rows = array.astype(bool)
    return rows.argmax(1) if (rows == array).all() and (rows.sum(1) == 1).all() else array


def is_one_hot(shape, spec):
    """Whether a field of this shape holds a row for each label, and not its number."""
    return is_label(spec) and len(shape) == 2 and spec.maximum is not None and shape[1] == spec.maximum + 1


def is_column(shape, spec):
    """Whether a field of this shape is a column of a table, for a number a row."""
    return not spec.shape and len(shape) == 2 and shape[1] == 1


def is_label(spec):
    """Whether a field names a class, observed or not."""
    return spec.role in ("data", "label", "condition") and not spec.shape and np.dtype(spec.dtype).kind in "iu"


def _check_dtype(name, array, spec):
    """Numbers for numbers, whole numbers for labels."""
    integer = np.dtype(spec.dtype).kind in "iu"
    if array.dtype.kind not in "biuf":
        held = "text or objects" if array.dtype.kind in "OSU" else array.dtype
        cure = f": number them, np.unique({name}, return_inverse=True)[1]" if is_label(spec) else ""
        raise InvalidInput(f"{name} holds {held}, the model takes {spec.dtype}{cure}")
    if spec.role in ("mask", "weight"):
        return
    if integer and array.dtype.kind == "f":
        raise InvalidInput(f"{name} holds {array.dtype}, the model takes whole numbers: {name}.astype({spec.dtype!r})")
    if not integer and array.dtype.kind in "iu" and not are_pixels(array, spec):
        raise InvalidInput(f"{name} holds {array.dtype}, the model takes {spec.dtype} or uint8 images 0..255")


def check_shape(name, shape, spec):
    """[B, *spec.shape]; None is any size, in a tensor's shape and in the specification."""
    got, wanted = tuple(shape[1:]), tuple(spec.shape)
    fits = len(got) == len(wanted) and all(None in (g, w) or g == w for g, w in zip(got, wanted, strict=True))
    if len(shape) and fits:
        return
    if spec.role == "target":
        raise InvalidInput(
            f"a target has shape {got}, the model scores {wanted}; labels it does not take: leave them out, "
            "dataset.map(lambda x, y: x)"
        )
    if spec.role != "data" or not wanted:
        expected = ", ".join(["batch", *map(str, wanted)])
        raise InvalidInput(f"{name} has shape {tuple(shape)}, the model takes ({expected})")
    if tuple(shape) == wanted:
        hint = f"add a batch axis, {name}[None]"
    elif len(wanted) == 3 and got == (wanted[2], *wanted[:2]):
        hint = f"put the channels last, np.moveaxis({name}, 1, -1)"
    elif None in wanted:
        hint = f"a step of it is {wanted[1:]}"
    elif (*got, 1) == wanted:
        hint = f"add a channel axis, {name}[..., None]"
    else:
        hint = f"change the images, or create the model with data_shape={got}"
    raise InvalidInput(f"{name} has shape {got}, the model takes {wanted}: {hint}")


def _check_values(name, array, spec, seen=None):
    """Finite, and between minimum and maximum, where `seen` says that there is something."""
    values = array if seen is None else array[seen]
    if not values.size:
        return
    if spec.role == "mask" and not np.isin(array, (0, 1)).all():
        raise InvalidInput(f"{name} is 1 where a value was observed and 0 where it is missing, and nothing else")
    if are_pixels(array, spec):
        if values.max() == 1:
            raise InvalidInput(f"{name} is uint8 with values 0 and 1, but uint8 means 0..255: multiply it by 255")
        return
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidInput(f"{name} has values that are NaN or infinite{_place(~np.isfinite(array), seen)}")
    if spec.maximum is not None and high > spec.maximum:
        reached, wrong = f"up to {high}", array > spec.maximum
    elif spec.minimum is not None and low < spec.minimum:
        reached, wrong = f"down to {low}", array < spec.minimum
    else:
        return
    place = _place(wrong, seen)
    if np.dtype(spec.dtype).kind in "iu":
        noun = "labels" if is_label(spec) else "values"
        raise InvalidInput(f"{name} has {noun} {reached}{place}, the model takes {said_range(spec)}")
    hint = ""
    if spec.maximum == 1 and low >= 0 and 1 < high <= 255:
        hint = ": divide by 255 or pass uint8"
    elif spec.role == "data" and low < 0:
        hint = ': scale them to it, or take likelihood="normal" for values without bounds, such as z-scores'
    raise InvalidInput(f"{name} has values {reached}{place}, but the model takes {said_range(spec)}{hint}")


def _place(wrong, seen):
    """Where the first wrong value stands, of several rows."""
    if not wrong.ndim:
        return ""
    rows = (wrong if seen is None else wrong & seen).reshape(len(wrong), -1).any(1)
    return f" (row {rows.argmax()} of {len(rows)})" if len(rows) > 1 else ""


def said_range(spec):
    """`0..1`, with nothing on an open side."""
    low, high = ("" if v is None else f"{v:g}" for v in (spec.minimum, spec.maximum))
    return f"{low}..{high}"
