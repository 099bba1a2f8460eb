"""Examples as NumPy arrays: from a named data set, a folder of images, a file, or arrays the caller has."""

import functools
import os
from pathlib import Path

import numpy as np

from zoo.data.catalogue import DATASETS, list_datasets, resolve_data_dir
from zoo.data.check import check_batch
from zoo.data.division import check_split, divide, divided, list_files, own_splits
from zoo.data.files import ARRAYS, IMAGES, read_arrays, read_images
from zoo.data.midi import MIDI
from zoo.data.prepare import read_split
from zoo.data.sequences import is_sequences, is_sound, kind_of, load_sequences
from zoo.data.sound import SOUNDS
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, check_positive, choose, nearest


def load_arrays(source="digits", split="train", *, labels=False, limit=None, data_dir=None, frame=None, rate=None):
    """One split as a dict of arrays: "x" [N, H, W, C] and, with `labels`, "y" int32 [N].

    Sequences are "x" float32 [N, T, *features], padded with zeros to the longest, and "length" int32 [N].

    Args:
        source: a name (`list_datasets`); a folder of PNG or JPEG images, or one image; an .npy or .npz file; an array,
            or a dict of arrays with "x" (and "y"; further fields are kept). See `load_dataset` for what they may hold.
        split: "train", "validation", "test" or "train+validation"; folders and files also know "all". Arrays in
            memory have no splits: they are taken whole.
        limit: only the first `limit` examples.
        frame, rate: as `load_dataset`'s.

    Arrays of named data sets are cached and read-only. Images of uint8 stay so, other numbers become float32, and
    labels and other whole numbers beside the images int32.
    """
    if is_sequences(source):
        given = {"limit": limit, "data_dir": data_dir, "frame": frame, "rate": rate}
        arrays = load_sequences(source, split, **given).padded()
    elif frame is not None or rate is not None:
        raise InvalidInput(f"frame and rate are for waveforms, and {describe_source(source)} has none")
    elif isinstance(source, str) and source in DATASETS:
        arrays = _named(source, split, str(resolve_data_dir(data_dir)))
    elif isinstance(source, (str, os.PathLike)):
        arrays = _from_path(source, split, data_dir)
    else:
        if split not in ("train", "all"):
            raise InvalidInput(f"arrays in memory have no split {split!r}: pass the part that is meant")
        arrays = _from_arrays(source)
    if labels and "y" not in arrays:
        where = "an .npz file has them as y, a folder as one sub-folder a class"
        raise InvalidInput(f"{describe_source(source)} has no labels: {where}")
    arrays = {k: v for k, v in arrays.items() if labels or k != "y"}
    if limit is not None:
        check_positive(limit=limit)
        arrays = {k: v[:limit] for k, v in arrays.items()}
    return arrays


def load_fields(source, data_spec, limit=None, rate=None):
    """The whole of a source as a model with this `data_spec` takes it: a dict of arrays, checked.

    Labels are left out unless the model cannot do without. Waveforms are cut into frames as long as the model's, and
    have `rate` samples a second.
    """
    needed = any(name == LABELS and not spec.optional for name, spec in data_spec.items())
    sound = {"frame": next(iter(data_spec.values())).shape[-1], "rate": rate} if is_sound(source) else {}
    arrays = load_arrays(source, "all", labels=needed, limit=limit, **sound)
    check_batch(arrays, data_spec)
    return arrays


def names_of(source, count):
    """What `count` examples of a source are called: their files' names, or numbers."""
    path = Path(source)
    endings = kind_of(path) or IMAGES
    if path.is_dir() and not (path / "train").is_dir():
        return [str(file.relative_to(path)) for file, _ in list_files(path, endings)][:count]
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


def _from_path(source, split, data_dir):
    """Arrays of a folder or file, divided 80/10/10 by a fixed permutation unless it brings its own splits."""
    path = Path(source).expanduser()
    check_split(split)
    if path.is_dir():
        if (path / "train").is_dir():
            return _own_splits(path, split)
        arrays = _from_folder(path)
    elif path.suffix in ARRAYS and path.is_file():
        arrays = _from_arrays(read_arrays(path))
    elif path.suffix.lower() in IMAGES and path.is_file():
        arrays = {"x": read_images([path])}
    elif path.is_file():
        raise InvalidInput(f"{str(source)!r} is none of {', '.join((*ARRAYS, *IMAGES, *MIDI, *SOUNDS))}, and no folder")
    elif isinstance(source, str) and not path.suffix and os.sep not in source:
        raise InvalidInput(f"unknown data set {source!r}; {nearest(source, list_datasets(data_dir))}")
    else:
        raise InvalidInput(f"there is no file or folder {str(source)!r}")
    rows = divided(source, split, len(arrays["x"]))
    return {k: v[rows] for k, v in arrays.items()}


def _own_splits(path, split):
    """Arrays of a folder with sub-folders train, validation and test."""
    folders, classes = own_splits(path, split)
    parts = [_from_folder(folder, classes) for folder in folders]
    shapes = {p["x"].shape[1:] for p in parts}
    if len(shapes) > 1:
        raise InvalidInput(f"{str(path)!r} holds images of several sizes: {sorted(shapes)}")
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _from_folder(path, classes=None):
    """Images of a folder, sorted by path: x uint8 [N, H, W, C]; y int32 [N] where every sub-folder is a class."""
    files = list_files(path, IMAGES, classes)
    x, y = read_images([f for f, _ in files]), np.array([k for _, k in files], "int32")
    return {"x": x} if y[0] < 0 else {"x": x, "y": y}


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
