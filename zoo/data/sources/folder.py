"""What a folder or a pattern holds: files of one kind, their splits and classes, and what is left out."""

import collections
import glob
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data.division import SYNONYMS, divided, in_order, owned, parts_of_names
from zoo.data.tfds.catalogue import SPLITS
from zoo.errors import InvalidInput, reason

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
SOUNDS, MIDI = (".wav",), (".mid", ".midi")
PARQUET, CSV = (".parquet",), (".csv", ".tsv")
RECORDS = re.compile(r"\.(tfrecords?|array_?record)(-\d+-of-\d+)?$", re.IGNORECASE)
INDEX = "index.npz"  # beside files of records
ENDINGS = {"pictures": IMAGES, "sounds": SOUNDS, "piano rolls": MIDI, "tables": (*PARQUET, *CSV)}
WITHOUT_CLASSES = ("tables", "records")  # whose sub-folders are no classes
TAKEN = "PNG, JPEG, WebP, TIFF, BMP, WAV, MIDI, CSV, Parquet, TFRecord or ArrayRecord"
SYSTEM = re.compile(
    r"\..*|__MACOSX|__pycache__|@eaDir|lost\+found|\$RECYCLE\.BIN|System Volume Information|Thumbs\.db|desktop\.ini|"
    + re.escape(INDEX),
    re.IGNORECASE,
)  # what systems and programs leave in folders
NAMED = 3  # files that a line names


class Files(NamedTuple):
    """Files of one kind inside a folder.

    Attributes:
        names: as paths inside the folder, by split, by class, by name.
        labels: int32 [N], the numbers of `classes`; -1 where files are in no class folder.
        parts: int [N], the splits that the folder brings (`SPLITS`), or None.
        left_out: lines on what else there is.
        inside: the folders around everything, which are a part of the files' names where these are divided.
        alone: whether it is one file, which was named as such.
    """

    folder: str
    kind: str
    names: list
    labels: np.ndarray
    classes: list | None
    parts: np.ndarray | None
    left_out: list
    inside: str = ""
    alone: bool = False

    @property
    def paths(self):
        return [f"{self.folder}/{name}" if self.folder else name for name in self.names]

    def take(self, keep):
        """Those files for which `keep`, bool [N], holds."""
        rows = np.flatnonzero(keep)
        parts = None if self.parts is None else self.parts[rows]
        return self._replace(names=[self.names[row] for row in rows], labels=self.labels[rows], parts=parts)

    def rows_of(self, said, by_position=False):
        """A function of a split that gives its files."""
        if self.parts is not None:
            return owned(said, self.parts)
        return divided(
            said, len(self.names), lambda: parts_of_names([f"{self.inside}{name}" for name in self.names]), by_position
        )


def kind_of(name):
    """What a file holds, by its ending: a key of `ENDINGS`, "records", or None."""
    if RECORDS.search(name):
        return "records"
    ending = os.path.splitext(name)[1].lower()
    return next((kind for kind, endings in ENDINGS.items() if ending in endings), None)


def is_pattern(source):
    """Whether a source names several files, or such as are elsewhere."""
    return "://" in str(source) or (glob.has_magic(str(source)) and not Path(source).expanduser().exists())


def files_of(source, said, by_position=False):
    """The `Files` of a folder, or of a pattern.

    Raises:
        InvalidInput: none that are taken, as many of one kind as of another, or classes that cannot be told.
    """
    if is_pattern(source):
        folder = os.path.dirname(re.split(r"[*?\[]", os.path.expanduser(str(source)))[0])
        names = [file.removeprefix(folder).lstrip("/") for file in matching(source)]
        return sorted_out(folder, names, said, by_position)
    folder = Path(source).expanduser()
    names, outside, inside = look_through(folder), [], ""
    while (only := wrapper(names)) is not None:
        outside += [name for name in names if not name.startswith(f"{only}/")]
        inside = f"{inside}{only}/"
        folder, names = folder / only, [name.partition("/")[2] for name in names if name.startswith(f"{only}/")]
    found = sorted_out(str(folder), names, said, by_position)
    return found._replace(left_out=[*found.left_out, *([counted(outside)] if outside else [])], inside=inside)


def wrapper(names):
    """The one folder that all files are in, where their classes or splits are folders in it; else None."""
    known = [name for name in names if kind_of(name)]
    tops = {name.partition("/")[0] for name in known}
    alone = (
        len(tops) == 1
        and all(name.count("/") > 1 for name in known)
        and not {top.lower() for top in tops} & SYNONYMS.keys()
    )
    return tops.pop() if alone else None


def matching(pattern):
    """The files of a pattern, sorted."""
    import tensorflow as tf

    try:
        found = sorted(tf.io.gfile.glob(os.path.expanduser(str(pattern))))
    except tf.errors.OpError as error:
        raise InvalidInput(f"cannot look for {str(pattern)!r}: {reason(error)}") from None
    fixed = os.path.dirname(re.split(r"[*?\[]", os.path.expanduser(str(pattern)))[0])
    found = [f for f in found if not any(map(SYSTEM.fullmatch, f.removeprefix(fixed).strip("/").split("/")))]
    if not found:
        raise InvalidInput(f"no file matches {str(pattern)!r}")
    return found


def look_through(folder):
    """The files in a folder and its sub-folders, as paths inside it, without what systems leave there."""
    found, seen = [], set()
    parents = {os.path.realpath(folder), *map(str, Path(os.path.realpath(folder)).parents)}  # to which no link leads
    for root, folders, files in os.walk(folder, followlinks=True, onerror=refuse_folder):
        seen.add(os.path.realpath(root))
        folders[:] = [
            name
            for name in folders
            if not SYSTEM.fullmatch(name) and os.path.realpath(os.path.join(root, name)) not in seen | parents
        ]
        inside = os.path.relpath(root, folder)
        files = [name for name in files if not SYSTEM.fullmatch(name)]
        found += files if inside == "." else [f"{inside}/{name}" for name in files]
    return sorted(name.replace(os.sep, "/") for name in found)


def refuse_folder(error):
    """What is raised for a folder that cannot be looked into."""
    raise InvalidInput(f"cannot look into {error.filename!r}: {reason(error)}")


def sorted_out(folder, names, said, by_position=False):
    """The `Files` of the kind that most of the files are."""
    kinds = collections.Counter(kind for kind in map(kind_of, names) if kind)
    if not kinds:
        raise InvalidInput(f"no {TAKEN} files in {said}" + (f", but {counted(names)}" if names else ""))
    (kind, count), *others = kinds.most_common(2)
    if others and others[0][1] == count:
        raise InvalidInput(
            f"{said} holds {count} {kind} and {count} {others[0][0]}: put them into folders of their own, or name "
            "those that are meant by a pattern"
        )
    rest = [name for name in names if kind_of(name) != kind]
    left_out, names = [counted(rest)] if rest else [], [name for name in names if kind_of(name) == kind]
    names, parts, beside = own_splits(names, kind)
    if beside:
        left_out.append(f"{counted(beside)} in no split")
    tops = [inside_split(name, parts) for name in names]
    labels, classes = np.full(len(names), -1, "int32"), None
    if kind not in WITHOUT_CLASSES:
        inside = np.array(["/" in top for top in tops])
        if inside.any() and not inside.all():
            if inside.sum() <= (~inside).sum():
                folders = ", ".join(sorted({top.partition("/")[0] for top in tops if "/" in top})[:NAMED])
                raise InvalidInput(
                    f"{said} holds {(~inside).sum()} {kind} in itself and {inside.sum()} in sub-folders ({folders}): "
                    "are these classes? Move the ones or the others away"
                )
            left_out.append(f"{counted([n for n, i in zip(names, inside, strict=True) if not i])} beside the classes")
            names, tops = ([n for n, i in zip(each, inside, strict=True) if i] for each in (names, tops))
            parts = None if parts is None else parts[inside]
        if inside.any():
            folders = [top.partition("/")[0] for top in tops]
            classes = in_order(folders, numbers=not by_position)
            labels = np.array([classes.index(name) for name in folders], "int32")
        else:
            labels = np.full(len(names), -1, "int32")
    keys = [(0 if parts is None else parts[row], labels[row], tops[row]) for row in range(len(names))]
    order = sorted(range(len(names)), key=keys.__getitem__)
    found = Files(folder, kind, names, labels, classes, parts, left_out)
    parts = None if parts is None else parts[order]
    return found._replace(names=[names[row] for row in order], labels=labels[order], parts=parts)


def own_splits(names, kind):
    """(names, the part of each or None, names of what is in no part) of files that bring splits of their own.

    They are in folders "train" and others, or, of tables and records, are called so: train.csv, test.csv.
    """

    def split_of(name):
        top, inside, _ = name.partition("/")
        if not inside and kind in WITHOUT_CLASSES:
            top = re.split(r"[-_.]", top)[0]
        elif not inside:
            return None
        return SYNONYMS.get(top.lower())

    found = [split_of(name) for name in names]
    if "train" not in found and not (found and None not in found):
        return names, None, []
    beside = [name for name, split in zip(names, found, strict=True) if split is None]
    names = [name for name, split in zip(names, found, strict=True) if split is not None]
    return names, np.array([SPLITS.index(split) for split in found if split is not None]), beside


def inside_split(name, parts):
    """A path without the folder of its split."""
    return name if parts is None else name.partition("/")[2] or name


def counted(names):
    """Files in words: how many of each ending, and the first of them."""
    endings = collections.Counter(os.path.splitext(name)[1].lower() or "other" for name in names)
    said = " and ".join(f"{count} {ending} file{'s' * (count > 1)}" for ending, count in endings.most_common())
    shown = ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")
    return f"{said} ({shown})"
