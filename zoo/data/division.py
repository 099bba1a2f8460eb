"""Which rows belong to a split: of splits that the data bring, or 80/10/10 by what each row is called.

A file's part follows from its own name, and that of a row of a table from its number, so that all keep their parts when
others are added. Runs of before (`by_position`) divide by one permutation of all rows, as they began.
"""

import functools
import re
import zlib

import numpy as np

from zoo.data.tfds.catalogue import SPLITS
from zoo.errors import InvalidInput, nearest

ALL = (*SPLITS, "all")
SYNONYMS = {  # what people call the splits -> their names
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class EmptyPart(InvalidInput):
    """No row belongs to a split, for there are so few."""


def permuted(count, held_out):
    """Split name -> row numbers under one fixed permutation; `held_out` = sizes of validation and test."""
    order = np.random.RandomState(0).permutation(count)  # RandomState: its stream is frozen for good
    first, second = count - sum(held_out), count - held_out[1]
    parts = {"train": order[:first], "validation": order[first:second], "test": order[second:]}
    return {**parts, "train+validation": order[:second]}


def check_split(split):
    """Raise `InvalidInput` unless `split` is one that folders and files know."""
    if split not in ALL:
        raise InvalidInput(f"unknown split {split!r}; {nearest(split, ALL)}")


def in_parts(split, parts):
    """Rows, int64 [N], of the parts (0, 1, 2 of train, validation, test) of all."""
    wanted = [SPLITS.index(name) for name in split.split("+")]
    return np.flatnonzero(np.isin(parts, wanted))


def parts_of_names(names):
    """int [N]: the part of each file, by its name alone."""
    tenth = np.array([zlib.crc32(name.encode("utf-8", "surrogateescape")) % 10 for name in names])
    return np.select([tenth == 8, tenth == 9], [1, 2], 0)


def parts_of_rows(counts, names=None):
    """int [sum of counts]: the part of each row of files of so many rows, by its number in its file.

    Of ten rows that stand together one is for validation and one for test, drawn by the name of the file.
    """
    seeds = [0] if names is None else [zlib.crc32(name.encode("utf-8", "surrogateescape")) for name in names]
    parts = []
    for count, seed in zip(counts, seeds, strict=True):
        drawn = np.random.RandomState(seed).rand(-(-count // 10), 10)
        ranks = drawn.argsort(1).argsort(1)
        parts.append(np.select([ranks == 8, ranks == 9], [1, 2], 0).ravel()[:count])
    return np.concatenate(parts)


def divided(said, count, parts, by_position=False):
    """A function of a split that gives its rows: of `count` rows that bring no splits, in `parts` where they are asked.

    Args:
        parts: () -> int [N].
    """
    parts = functools.cache(parts)

    def rows(split):
        check_split(split)
        if split == "all":
            return slice(None)
        if by_position and count >= 10:
            return permuted(count, (count // 10, count // 10))[split]
        found = in_parts(split, parts())
        if not len(found):
            raise EmptyPart(f"{said} holds {count} examples, too few to divide: none is of {split}; use split='all'")
        return found

    return rows


def owned(said, parts, splits=SPLITS[:3]):
    """A function of a split that gives its rows: of data that bring their own splits.

    Args:
        parts: int [N]: which of `splits` each row is in.
    """
    there = [split for number, split in enumerate(splits) if (parts == number).any()]

    def rows(split):
        check_split(split)
        if split == "all":
            return np.argsort(parts, kind="stable")
        if missing := [name for name in split.split("+") if name not in there]:
            raise InvalidInput(f"{said} brings splits of its own but no {missing[0]}; it has {', '.join(there)}")
        return in_parts(split, parts)

    return rows


def whole(what):
    """A function of a split that gives its rows: of what is in memory, and is all of one part."""

    def rows(split):
        if split not in ("train", "all"):
            check_split(split)
            raise InvalidInput(f"{what} in memory has no split {split!r}: pass the part that is meant")
        return slice(None)

    return rows


def in_order(names, numbers=True):
    """Names of classes in their order: by number where all are whole numbers, else by name."""
    names = sorted(set(names))
    return sorted(names, key=int) if numbers and all(re.fullmatch(r"\d+", name) for name in names) else names
