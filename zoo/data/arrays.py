"""Examples as NumPy arrays: from a named data set, a folder of images, a file, or arrays the caller has."""

import functools
import os
from pathlib import Path

import numpy as np

from zoo.data.blocks import stream_batches, told
from zoo.data.catalogue import DATASETS, list_datasets, resolve_data_dir
from zoo.data.check import check_batch
from zoo.data.columns import PARQUET, as_arrays, columns_of, is_columns, read_parquet
from zoo.data.division import check_split, divide, divided, files_of_split, keras_split, list_files
from zoo.data.files import ARRAYS, IMAGES, read_arrays, read_images
from zoo.data.midi import MIDI
from zoo.data.prepare import read_split
from zoo.data.sequences import is_sequences, is_sound, kind_of, load_sequences
from zoo.data.sizes import look_of
from zoo.data.sound import SOUNDS
from zoo.data.spec import LABELS
from zoo.data.streams import is_stream, open_stream
from zoo.errors import InvalidInput, check_positive, choose, nearest

BATCH = 500


def load_arrays(
    source="digits",
    split="train",
    *,
    labels=False,
    limit=None,
    data_dir=None,
    frame=None,
    rate=None,
    size=None,
    color=None,
    fit=None,
    column=None,
):
    """One split as a dict of arrays: "x" [N, H, W, C] and, with `labels`, "y" int32 [N].

    Sequences are "x" float32 [N, T, *features], padded with zeros to the longest, and "length" int32 [N].

    Args:
        source: a name (`list_datasets`); a folder of PNG or JPEG images, or one image; an .npy, .npz or .parquet file;
            an array, a dict of arrays with "x" (and "y"; further fields are kept), a pandas DataFrame or a data set of
            Hugging Face. See `load_dataset` for what they may hold.
        split: "train", "validation", "test" or "train+validation"; folders and files also know "all". Arrays in
            memory have no splits: they are taken whole.
        limit: only the first `limit` examples.
        frame, rate, size, color, fit, column: as `load_dataset`'s.

    Arrays of named data sets are cached and read-only. Images of uint8 stay so, other numbers become float32, and
    labels and other whole numbers beside the images int32.
    """
    if limit is not None:
        check_positive(limit=limit)
    if is_stream(source, look := look_of(size, color, fit)):
        return streamed(*open_fields(source, split, labels, limit, look, column))
    if is_sequences(source):
        if (size, color, fit, column) != (None, None, None, None):
            raise InvalidInput(f"size, color, fit and column are not for sequences, as in {describe_source(source)}")
        given = {"limit": limit, "data_dir": data_dir, "frame": frame, "rate": rate}
        arrays = load_sequences(source, split, **given).padded()
    elif frame is not None or rate is not None:
        raise InvalidInput(f"frame and rate are for waveforms, and {describe_source(source)} has none")
    else:
        arrays = _pictures(source, split, data_dir, limit, look, column)
    check_has_labels(labels, "y" in arrays, source)
    return {k: v for k, v in arrays.items() if labels or k != "y"}


def check_has_labels(wanted, there, source):
    """Raise `InvalidInput` where labels are asked for and a source has none."""
    if wanted and not there:
        where = "an .npz file has them as y, tables and records as label or y, a folder as one sub-folder a class"
        raise InvalidInput(f"{describe_source(source)} has no labels: {where}")


def open_fields(source, split, labels, limit, look, column):
    """(stream of a split, the fields to take of it): x, and y where labels are asked for."""
    stream = open_stream(source, split, limit=limit, look=look, column=column)
    check_has_labels(labels, stream.has_labels, source)
    return stream, ("x", LABELS) if labels else ("x",)


def streamed(stream, fields):
    """The fields of a stream as arrays, in its order."""
    with told():
        batches = list(stream_batches(stream, BATCH, False, 0, fields).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in fields}


def load_labels(source, split="train", *, size=None, color=None, fit=None, column=None, **given):
    """int32 [N]: the labels of a split alone; arguments as `load_arrays`'."""
    look = look_of(size, color, fit)
    if is_stream(source, look):
        return streamed(open_fields(source, split, True, None, look, column)[0], (LABELS,))[LABELS]
    return load_arrays(source, split, labels=True, size=size, color=color, fit=fit, column=column, **given)[LABELS]


def _pictures(source, split, data_dir, limit, look, column):
    """Arrays of one split of a source of examples of one shape."""
    said, is_path = describe_source(source), isinstance(source, (str, os.PathLike))
    if column is not None and not is_columns(source) and not (is_path and Path(source).suffix in PARQUET):
        raise InvalidInput(f"column is for tables with named columns, and {said} is none")
    if is_path and source not in DATASETS and Path(source).expanduser().is_dir():
        return _from_folder(Path(source).expanduser(), split, limit, look)
    if is_path and source in DATASETS:
        arrays = _named(source, split, str(resolve_data_dir(data_dir)))
    elif is_path:
        arrays = _from_file(source, split, data_dir, limit, look, column)
    elif is_columns(source):
        arrays = _from_arrays(as_arrays(columns_of(source, split, limit), column, look, said))
    elif split in ("train", "all"):
        arrays = _from_arrays(source)
    else:
        raise InvalidInput(f"arrays in memory have no split {split!r}: pass the part that is meant")
    arrays = {k: v[:limit] for k, v in arrays.items()}
    return {**arrays, "x": look.apply_to_all(arrays["x"], said)} if look else arrays


def load_fields(source, data_spec, limit=None, rate=None, **look):
    """The whole of a source as a model with this `data_spec` takes it: a dict of arrays, checked.

    Labels are left out unless the model cannot do without. Waveforms are cut into frames as long as the model's, and
    have `rate` samples a second; pictures are made of the size and color that `look` says.
    """
    needed = any(name == LABELS and not spec.optional for name, spec in data_spec.items())
    sound = {"frame": next(iter(data_spec.values())).shape[-1], "rate": rate} if is_sound(source) else {}
    arrays = load_arrays(source, "all", labels=needed, limit=limit, **(sound or look))
    check_batch(arrays, data_spec)
    return arrays


def names_of(source, count):
    """What `count` examples of a source are called: their files' names, or numbers."""
    path = Path(source)
    endings = kind_of(path) or IMAGES
    if path.is_dir() and not (path / "train").is_dir():
        return [name for name, _ in list_files(path, endings)][:count]
    return [path.name] if path.suffix.lower() in endings else list(map(str, range(count)))


def describe_source(source):
    """What an error message calls a source."""
    return f"{str(source)!r}" if isinstance(source, (str, os.PathLike)) else f"this {type(source).__name__}"


@functools.lru_cache(maxsize=12)
def _named(name, split, data_dir):
    """Read-only arrays of a named data set; the cache holds whole splits."""
    info = DATASETS[name]
    expression, _ = choose(f"split of {name}:", split, info.parts)
    arrays = _digits(split) if name == "digits" else read_split(name, expression, data_dir)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _digits(split):
    """scikit-learn's digits: x uint8 [N, 8, 8, 1], y int32 [N]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = np.round(digits.images * (255 / 16)).astype("uint8")[..., None]
    rows = divide(len(x), (200, 200))[split]
    return {"x": x[rows], "y": digits.target[rows].astype("int32")}


def _from_file(source, split, data_dir, limit, look, column):
    """Arrays of a file, divided 80/10/10 by a fixed permutation unless it brings its own splits."""
    path = Path(source).expanduser()
    check_split(split)
    if path.suffix in PARQUET and path.is_file():
        columns = read_parquet(path)
        count = len(next(iter(columns.values()), ()))
        rows = np.arange(count)[divided(source, split, count)][:limit]
        return _from_arrays(as_arrays({k: v[rows] for k, v in columns.items()}, column, look, describe_source(source)))
    if path.suffix in ARRAYS and path.is_file():
        arrays = read_arrays(path)
        if isinstance(arrays, dict) and "x_train" in arrays:
            return _from_arrays(keras_split(arrays, split, describe_source(source)))
        arrays = _from_arrays(arrays)
    elif path.suffix.lower() in IMAGES and path.is_file():
        arrays = {"x": read_images([path])}
    elif path.is_file():
        endings = ", ".join((*ARRAYS, *PARQUET, *IMAGES, *MIDI, *SOUNDS))
        raise InvalidInput(f"{str(source)!r} is none of {endings}, and no folder")
    elif isinstance(source, str) and not path.suffix and os.sep not in source:
        raise InvalidInput(f"unknown data set {source!r}; {nearest(source, list_datasets(data_dir))}")
    else:
        raise InvalidInput(f"there is no file or folder {str(source)!r}")
    rows = divided(source, split, len(arrays["x"]))
    return {k: v[rows] for k, v in arrays.items()}


def _from_folder(path, split, limit, look):
    """Images of a split of a folder, sorted by path: x uint8 [N, H, W, C]; y int32 [N] where every image has a class.

    The folder brings its own splits, as sub-folders train, validation and test, or is divided as files are.
    """
    names, y = files_of_split(path, IMAGES, split)
    x = read_images([path / name for name in names[:limit]], look, repr(str(path)))
    return {"x": x} if y.min() < 0 else {"x": x, "y": y[:limit]}


def _from_arrays(arrays):
    """A dict of arrays of one length; images of uint8 stay, labels and other whole numbers become int32."""
    arrays = dict(arrays) if isinstance(arrays, dict) else {"x": arrays}
    if "x" not in arrays:
        raise InvalidInput(f"arrays need a field 'x' with the images; got {sorted(map(str, arrays)) or 'none'}")
    arrays = {k: np.asarray(v) for k, v in arrays.items()}
    for k, v in arrays.items():
        if not v.ndim or not len(v):
            raise InvalidInput(f"{k} holds no examples: its shape is {v.shape}")
        if len(v) != len(arrays["x"]):
            raise InvalidInput(f"{k} has {len(v)} rows, but x has {len(arrays['x'])}")
        if v.dtype.kind not in "biuf":
            raise InvalidInput(f"{k} holds {v.dtype}, but numbers are needed")
    return {k: _cast(k, v) for k, v in arrays.items()}


def _cast(name, array):
    """Images of uint8 keep their meaning, and so do whole numbers in other fields; everything else is float32."""
    whole = array.dtype.kind in "biu"
    low, high = (int(array.min()), int(array.max())) if whole and array.size else (0, 0)
    if name != "x" and whole:
        if low < -(2**31) or high >= 2**31:
            raise InvalidInput(
                f"{name} holds {low if low < 0 else high}, which is no label: whole numbers of 32 bits are"
            )
        return array.astype("int32")
    if array.dtype == np.uint16 and high > 255:
        raise InvalidInput(f"{name} holds uint16 up to {high}: pass uint8 0..255, or numbers 0..1, as {name} / 65535")
    return array if array.dtype == np.uint8 else array.astype("float32")
