"""Which examples of a folder or file belong to a split."""

import os

import numpy as np

from zoo.data.catalogue import SPLITS
from zoo.errors import InvalidInput, nearest
from zoo.quiet import say_once

ALL = (*SPLITS, "all")
KERAS = {"train": "train", "val": "validation"}


def divide(count, held_out):
    """Split name -> row numbers under one fixed permutation; `held_out` = sizes of validation and test."""
    order = np.random.RandomState(0).permutation(count)  # RandomState: its stream is frozen for good
    first, second = count - sum(held_out), count - held_out[1]
    return {
        "train": order[:first],
        "validation": order[first:second],
        "test": order[second:],
        "train+validation": order[:second],
    }


def check_split(split):
    """Raise `InvalidInput` unless `split` is one that folders and files know."""
    if split not in ALL:
        raise InvalidInput(f"unknown split {split!r}; {nearest(split, ALL)}")


def divided(source, split, count):
    """The rows of a split of `count` examples: 80/10/10 by a fixed permutation."""
    check_split(split)
    if split == "all":
        return slice(None)
    tenth = count // 10
    if not tenth:
        raise InvalidInput(f"{str(source)!r} holds {count} examples, too few to divide: use split='all'")
    return divide(count, (tenth, tenth))[split]


def keras_split(arrays, split, said):
    """{"x", and "y"} of a split of arrays as Keras' data sets have them: x_train, y_train, x_test, y_test.

    Images [N, H, W] get a channel axis, labels [N, 1] lose theirs. The validation set is x_val, or where there is none
    a tenth of x_train by a fixed permutation, which is said.
    """
    check_split(split)
    parts = {name: keras_part(arrays, name) for name in ("train", "val", "test") if f"x_{name}" in arrays}
    wanted = ["train", "val", "test"] if split == "all" else split.replace("validation", "val").split("+")
    if "val" not in parts:
        count = len(parts["train"]["x"])
        rows = divide(count, (count // 10, 0))
        if not count // 10:
            raise InvalidInput(f"{said} holds {count} training examples, too few to divide")
        say_once(f"the validation set of {said} is a tenth of its x_train, drawn by a fixed permutation")
        parts |= {new: {k: v[rows[old]] for k, v in parts["train"].items()} for new, old in KERAS.items()}
    if missing := [name for name in wanted if name not in parts and split != "all"]:
        raise InvalidInput(f"{said} has an x_train but no x_{missing[0]}")
    found = [parts[name] for name in wanted if name in parts]
    return {k: np.concatenate([part[k] for part in found]) for k in found[0]}


def keras_part(arrays, name):
    """{"x", and "y"} of one part of arrays as Keras has them."""
    part = {k: arrays[f"{k}_{name}"] for k in ("x", "y") if f"{k}_{name}" in arrays}
    if part["x"].ndim == 3:
        part["x"] = part["x"][..., None]
    if "y" in part and part["y"].shape[1:] == (1,):
        part["y"] = part["y"][:, 0]
    return part


def own_splits(path, split):
    """(folders of a split, names of the classes) of a folder with sub-folders train, validation and test."""
    check_split(split)
    names = [s for s in SPLITS[:3] if (path / s).is_dir()] if split == "all" else split.split("+")
    missing = [n for n in names if not (path / n).is_dir()]
    if missing:
        raise InvalidInput(f"{str(path)!r} has a folder 'train' but no folder {missing[0]!r}")
    return [path / n for n in names], sorted({d.name for n in names for d in (path / n).iterdir() if d.is_dir()})


def files_of_split(path, endings, split):
    """(names inside a folder, classes int32 [N]) of a split: of the folder's own, or of all files, divided.

    They are sorted by path; a class is -1 where the files are in the folder itself.

    Raises:
        InvalidInput: no such files, or no such split.
    """
    check_split(split)
    if (path / "train").is_dir():
        folders, classes = own_splits(path, split)
        found = [(f"{f.name}/{name}", label) for f in folders for name, label in list_files(f, endings, classes)]
    else:
        found = list_files(path, endings)
        rows = divided(path, split, len(found))
        found = found[rows] if isinstance(rows, slice) else [found[row] for row in rows]
    return [name for name, _ in found], np.array([label for _, label in found], "int32")


def list_files(path, endings, classes=None):
    """[(name, class)] of the files in a folder or in its sub-folders, which are the classes; see `files_of_split`."""

    def names(folder):
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in endings)

    classes = sorted(d.name for d in path.iterdir() if d.is_dir()) if classes is None else classes
    found = [(name, -1) for name in names(path)]
    if not found:
        inside = [(label, folder) for label, folder in enumerate(classes) if (path / folder).is_dir()]
        found = [(f"{folder}/{name}", label) for label, folder in inside for name in names(path / folder)]
    if not found:
        what = "PNG or JPEG images" if ".png" in endings else f"{' or '.join(endings)} files"
        raise InvalidInput(f"no {what} in {str(path)!r}")
    return found
