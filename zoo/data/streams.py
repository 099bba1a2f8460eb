"""Rows that are read from files while they are wanted: files of records, and more pictures than memory holds."""

import glob
import os
import re
from pathlib import Path

import numpy as np

from zoo.data.catalogue import DATASETS
from zoo.data.division import check_split, divided, files_of_split, list_files, own_splits
from zoo.data.files import IMAGES, read_image, read_images
from zoo.data.records import layout_of
from zoo.data.shards import INDEX, RECORDS, is_array_record, pieces_of, read_pieces
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, reason

IN_MEMORY = 2**30  # bytes of the pictures of a folder; what has more is streamed


class Records:
    """Files of records.

    Attributes:
        counts: int64 [P], rows of each piece that can be read alone.
        row_bytes: of what `read` gives for a row.
        portable: whether TensorFlow's own operations do all of it, so that another machine can.
    """

    def __init__(self, files, source, split, limit=None, look=None, column=None):
        import tensorflow as tf

        if len({is_array_record(file) for file in files}) > 1:
            raise InvalidInput(f"{str(source)!r} holds TFRecord and ArrayRecord files: name those of one kind")
        self.pieces = pieces_of(files, source, split, limit)
        first = read_pieces(self.pieces, self.pieces.table[:1] // [1, 1, 1, self.pieces.counts[0]]).numpy()[0]
        self.layout = layout_of(first, repr(str(source)), column, look)
        self.counts, self.row_bytes = self.pieces.counts, len(first)
        with tf.device("/CPU:0"):
            self.table = tf.constant(self.pieces.table)
        self.has_labels = self.layout.y is not None
        self.portable = look is None and not is_array_record(files[0])

    def read(self, which, skipped, rows):
        """The rows of the pieces `which`, without the first `skipped` of each: columns [sum of rows, ...].

        They are parsed together where that makes them no larger.
        """
        import tensorflow as tf

        file, place, before, _ = tf.unstack(tf.gather(self.table, which), num=4, axis=1)
        records = read_pieces(self.pieces, tf.stack([file, place, before + skipped, rows], 1))
        return self.layout.parse(records) if self.layout.keeps_size else {"record": records}

    def parse(self, columns):
        """{"x" [B, ...], "y" int32 [B]} of B rows of what `read` gives."""
        return columns if self.layout.keeps_size else self.layout.parse(columns["record"])


class Pictures:
    """PNG and JPEG files of one folder, a piece each; attributes and methods as `Records`."""

    portable, row_bytes = False, 100

    def __init__(self, folder, names, classes, source, look=None):
        import tensorflow as tf

        self.folder = folder
        with tf.device("/CPU:0"):
            self.names, self.classes = tf.constant(names), tf.constant(classes)
        self.source, self.look = source, look
        self.counts = np.ones(len(names), "int64")
        self.has_labels = classes.min() >= 0
        self.shape = None
        self.shape = self.pictures(names[:1]).shape[1:]

    def read(self, which, skipped, rows):
        import tensorflow as tf

        names = {"name": tf.gather(self.names, which)}
        return {**names, LABELS: tf.gather(self.classes, which)} if self.has_labels else names

    def parse(self, columns):
        import tensorflow as tf

        def pictures(names):
            return self.pictures([name.decode() for name in names])

        x = tf.numpy_function(pictures, [columns["name"]], tf.uint8, stateful=False)
        x = {"x": tf.ensure_shape(x, [None, *self.shape])}
        return {**x, LABELS: columns[LABELS]} if self.has_labels else x

    def pictures(self, names):
        """uint8 [B, H, W, C] of files, which have the shape of the first of all."""
        x = read_images([self.folder / name for name in names], self.look, self.source)
        if self.shape not in (None, x.shape[1:]):
            raise InvalidInput(
                "images must have one size and colour mode, or be given them (size, color): "
                f"the first of {self.source} is {self.shape}, {names[0]!r} is {x.shape[1:]}"
            )
        return x


def is_stream(source, look=None):
    """Whether a source is read while it is used: a pattern, records, or a folder of more pictures than memory holds."""
    if not isinstance(source, (str, os.PathLike)) or source in DATASETS:
        return False
    path = Path(source).expanduser()
    return is_pattern(source) or bool(RECORDS.search(path.name)) or has_records(path) or exceeds(path, look)


def is_pattern(source):
    """Whether a source names several files, or such as are elsewhere."""
    return "://" in str(source) or (glob.has_magic(str(source)) and not Path(source).expanduser().exists())


def has_records(path):
    """Whether there are files of records in a folder, or in its sub-folder of training data."""
    inside = path / "train" if (path / "train").is_dir() else path
    if not inside.is_dir():
        return False
    with os.scandir(inside) as entries:
        return any(RECORDS.search(entry.name) for entry in entries)


def exceeds(path, look):
    """Whether the pictures of a folder would take more than `IN_MEMORY` bytes."""
    inside = path / "train" if (path / "train").is_dir() else path
    if not inside.is_dir():
        return False
    try:
        names = list_files(inside, IMAGES)
        first = read_image(inside / names[0][0])
    except InvalidInput:  # whoever reads it says what is wrong
        return False
    return len(names) * (look.apply(first) if look else first).nbytes > IN_MEMORY


def open_stream(source, split="train", *, limit=None, look=None, column=None):
    """`Records` or `Pictures` of one split of a source for which `is_stream`; see `load_dataset` for the arguments.

    Raises:
        InvalidInput: a pattern that matches nothing or files of several kinds, and what is said of each kind.
    """
    check_split(split)
    path, said = Path(source).expanduser(), repr(str(source))
    if is_pattern(source) or not path.is_dir():
        files = matching(os.path.expanduser(source))
    elif has_records(path):
        own = own_splits(path, split)[0] if (path / "train").is_dir() else []
        split = "all" if own else split
        files = sorted(str(file) for folder in own or [path] for file in folder.iterdir() if RECORDS.search(file.name))
    elif column is not None:
        raise InvalidInput(f"column is for records and tables, and {said} is none")
    else:
        names, classes = files_of_split(path, IMAGES, split)
        return Pictures(path, names[:limit], classes[:limit], said, look)
    if all(map(RECORDS.search, files)):
        return Records(files, source, split, limit, look, column)
    if column is None and all(file.lower().endswith(IMAGES) for file in files) and "://" not in said:
        names, classes = in_classes(os.path.expanduser(source), files)
        rows = np.arange(len(names))[divided(source, split, len(names))][:limit]
        return Pictures(folder_of(source), [names[row] for row in rows], classes[rows], said, look)
    raise InvalidInput(f"{said} matches {files[0]!r}: a pattern is of TFRecord, ArrayRecord, PNG or JPEG files alone")


def matching(pattern):
    """The files of a pattern, sorted."""
    import tensorflow as tf

    try:
        files = sorted(file for file in tf.io.gfile.glob(str(pattern)) if os.path.basename(file) != INDEX)
    except tf.errors.OpError as error:
        raise InvalidInput(f"cannot look for {str(pattern)!r}: {reason(error)}") from None
    if not files:
        raise InvalidInput(f"no file matches {str(pattern)!r}")
    return files


def folder_of(pattern):
    """The folder that all files of a pattern are in, by the pattern alone."""
    return Path(os.path.dirname(re.split(r"[*?\[]", os.path.expanduser(pattern))[0]))


def in_classes(pattern, files):
    """(names inside the folder of a pattern, classes int32 [N]): a class a sub-folder, -1 where there are none."""
    names = [os.path.relpath(file, folder_of(pattern)) for file in files]
    folders = [os.path.dirname(name) for name in names]
    known = {folder: number for number, folder in enumerate(sorted(set(folders)))}
    return names, np.array([-1 if "" in known else known[folder] for folder in folders], "int32")
