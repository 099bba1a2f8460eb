"""Which examples of a folder or file belong to a split."""

import numpy as np

from zoo.data.catalogue import SPLITS
from zoo.errors import InvalidInput, nearest

ALL = (*SPLITS, "all")


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


def own_splits(path, split):
    """(folders of a split, names of the classes) of a folder with sub-folders train, validation and test."""
    check_split(split)
    names = [s for s in SPLITS[:3] if (path / s).is_dir()] if split == "all" else split.split("+")
    missing = [n for n in names if not (path / n).is_dir()]
    if missing:
        raise InvalidInput(f"{str(path)!r} has a folder 'train' but no folder {missing[0]!r}")
    return [path / n for n in names], sorted({d.name for n in names for d in (path / n).iterdir() if d.is_dir()})


def list_files(path, endings, classes=None):
    """[(file, class)] of a folder, sorted by path; the class is -1 where the files are in the folder itself."""

    def files(folder):
        return sorted(f for f in folder.iterdir() if f.suffix.lower() in endings)

    classes = sorted(d.name for d in path.iterdir() if d.is_dir()) if classes is None else classes
    found = [(f, -1) for f in files(path)]
    if not found:
        found = [(f, k) for k, name in enumerate(classes) if (path / name).is_dir() for f in files(path / name)]
    if not found:
        what = "PNG or JPEG images" if ".png" in endings else f"{' or '.join(endings)} files"
        raise InvalidInput(f"no {what} in {str(path)!r}")
    return found
