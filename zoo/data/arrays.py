"""Examples as NumPy arrays: from a named data set, a folder of images, a file, or arrays the caller has."""

import functools
import os
from pathlib import Path

import numpy as np

from zoo.data.catalogue import DATASETS, SPLITS, list_datasets, resolve_data_dir
from zoo.data.check import check_batch
from zoo.data.files import ARRAYS, IMAGES, read_arrays, read_images
from zoo.data.prepare import read_split
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, check_positive, choose, nearest

_ALL = (*SPLITS, "all")


def load_arrays(source="digits", split="train", *, labels=False, limit=None, data_dir=None):
    """One split as a dict of arrays: "x" [N, H, W, C] and, with `labels`, "y" int32 [N].

    Args:
        source: a name (`list_datasets`); a folder of PNG or JPEG images, or one image; an .npy or .npz file; an array,
            or a dict of arrays with "x" (and "y"; further fields are kept). See `load_dataset` for what they may hold.
        split: "train", "validation", "test" or "train+validation"; folders and files also know "all". Arrays in
            memory have no splits: they are taken whole.
        limit: only the first `limit` examples.

    Arrays of named data sets are cached and read-only. Images of uint8 stay so, other numbers become float32, and
    labels and other whole numbers beside the images int32.
    """
    if isinstance(source, str) and source in DATASETS:
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


def load_fields(source, data_spec, limit=None):
    """The whole of a source as a model with this `data_spec` takes it: a dict of arrays, checked.

    Labels are left out unless the model cannot do without.
    """
    needed = any(name == LABELS and not spec.optional for name, spec in data_spec.items())
    arrays = load_arrays(source, "all", labels=needed, limit=limit)
    check_batch(arrays, data_spec)
    return arrays


def names_of(source, count):
    """What `count` examples of a source are called: their files' names, or numbers."""
    path = Path(source)
    if path.is_dir() and not (path / "train").is_dir():
        return [str(file.relative_to(path)) for file, _ in list_images(path)][:count]
    return [path.name] if path.suffix.lower() in IMAGES else list(map(str, range(count)))


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
    rows = _divide(len(x), (200, 200))[split]
    return {"x": x[rows], "y": digits.target[rows].astype("int32")}


def _divide(count, held_out):
    """Split name -> row numbers under one fixed permutation; `held_out` = sizes of validation and test."""
    order = np.random.RandomState(0).permutation(count)  # RandomState: its stream is frozen for good
    first, second = count - sum(held_out), count - held_out[1]
    return {
        "train": order[:first],
        "validation": order[first:second],
        "test": order[second:],
        "train+validation": order[:second],
        "all": np.arange(count),
    }


def _from_path(source, split, data_dir):
    """Arrays of a folder or file, divided 80/10/10 by a fixed permutation unless it brings its own splits."""
    path = Path(source).expanduser()
    if split not in _ALL:
        raise InvalidInput(f"unknown split {split!r}; {nearest(split, _ALL)}")
    if path.is_dir():
        if (path / "train").is_dir():
            return _own_splits(path, split)
        arrays = _from_folder(path)
    elif path.suffix in ARRAYS and path.is_file():
        arrays = _from_arrays(read_arrays(path))
    elif path.suffix.lower() in IMAGES and path.is_file():
        arrays = {"x": read_images([path])}
    elif path.is_file():
        raise InvalidInput(f"{str(source)!r} is none of {', '.join((*ARRAYS, *IMAGES))}, and no folder of images")
    elif isinstance(source, str) and not path.suffix and os.sep not in source:
        raise InvalidInput(f"unknown data set {source!r}; {nearest(source, list_datasets(data_dir))}")
    else:
        raise InvalidInput(f"there is no file or folder {str(source)!r}")
    count = len(arrays["x"])
    tenth = count // 10
    if split != "all" and not tenth:
        raise InvalidInput(f"{str(source)!r} holds {count} examples, too few to divide: use split='all'")
    rows = slice(None) if split == "all" else _divide(count, (tenth, tenth))[split]
    return {k: v[rows] for k, v in arrays.items()}


def _own_splits(path, split):
    """Arrays of a folder with sub-folders train, validation and test."""
    names = [s for s in SPLITS[:3] if (path / s).is_dir()] if split == "all" else split.split("+")
    missing = [n for n in names if not (path / n).is_dir()]
    if missing:
        raise InvalidInput(f"{str(path)!r} has a folder 'train' but no folder {missing[0]!r}")
    classes = sorted({d.name for n in names for d in (path / n).iterdir() if d.is_dir()})
    parts = [_from_folder(path / n, classes) for n in names]
    shapes = {p["x"].shape[1:] for p in parts}
    if len(shapes) > 1:
        raise InvalidInput(f"{str(path)!r} holds images of several sizes: {sorted(shapes)}")
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _from_folder(path, classes=None):
    """Images of a folder, sorted by path: x uint8 [N, H, W, C]; y int32 [N] where every sub-folder is a class."""
    files = list_images(path, classes)
    x, y = read_images([f for f, _ in files]), np.array([k for _, k in files], "int32")
    return {"x": x} if y[0] < 0 else {"x": x, "y": y}


def list_images(path, classes=None):
    """[(file, class)] of a folder, sorted by path; the class is -1 where the images are in the folder itself."""

    def images(folder):
        return sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGES)

    classes = sorted(d.name for d in path.iterdir() if d.is_dir()) if classes is None else classes
    files = [(f, -1) for f in images(path)]
    if not files:
        files = [(f, k) for k, name in enumerate(classes) if (path / name).is_dir() for f in images(path / name)]
    if not files:
        raise InvalidInput(f"no PNG or JPEG images in {str(path)!r}")
    return files


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
