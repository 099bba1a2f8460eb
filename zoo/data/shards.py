"""Files of records, TFRecord and ArrayRecord, as pieces of rows that can be read in any order.

A piece is a run of rows of one file. Where the pieces of TFRecord files begin is read from an `index.npz` beside them,
as `write_shards` leaves it, or found by a walk over the heads of their records.
"""

import functools
import os
import re
from typing import NamedTuple

import numpy as np

from zoo.data.division import divided
from zoo.errors import InvalidInput, reason
from zoo.quiet import waiting

RECORDS = re.compile(r"\.(tfrecords?|array_?record)(-\d+-of-\d+)?$")
INDEX = "index.npz"  # of a folder of TFRecord files: names, bytes and rows of each, and the places of all pieces
PIECE, LEAST = 1024, 200  # rows of a piece, and pieces of a source, where it has so many rows
HEAD, AROUND, CHUNK = 8, 16, 2**24  # bytes: of the length before a record, around it, and read at a time
GZIP = b"\x1f\x8b"


class Pieces(NamedTuple):
    """Pieces of files: int64 [P, 4] of (file, place where its piece of the index begins, rows skipped there, rows)."""

    files: list
    table: np.ndarray

    @property
    def counts(self):
        return self.table[:, 3]

    def take(self, which, limit=None):
        """Some of the pieces, up to so many rows."""
        table = self.table[which].copy()
        if limit is not None:
            before = np.cumsum(table[:, 3]) - table[:, 3]
            table[:, 3] = np.minimum(table[:, 3], np.maximum(limit - before, 0))
        return Pieces(self.files, table[table[:, 3] > 0])


def pieces_of(files, source, split, limit):
    """The `Pieces` of a split of files of records: 80/10/10 of the pieces by a fixed permutation, in stored order."""
    with waiting(f"looking through {len(files)} files of records"):
        known = stored_index(files)
        tables = [table_of(number, *(known.get(file) or index_of(file))) for number, file in enumerate(files)]
    pieces = Pieces(files, finer(np.concatenate(tables)))
    if not len(pieces.table):
        raise InvalidInput(f"{str(source)!r} holds no records")
    which = divided(source, split, len(pieces.table))
    return pieces.take(which if isinstance(which, slice) else np.sort(which), limit)


def table_of(file, places, rows):
    """[P, 4] of a file whose pieces begin at `places`."""
    counts = np.minimum(PIECE, rows - PIECE * np.arange(len(places)))
    return np.stack([np.full(len(places), file), places, np.zeros(len(places), "int64"), counts], 1).astype("int64")


def finer(table):
    """Pieces of fewer rows, where there are so few that they could neither be divided nor mixed."""
    rows = table[:, 3].sum()
    size = max(1, min(PIECE, rows // LEAST))
    parts = -(-table[:, 3] // size)
    table, number = np.repeat(table, parts, 0), np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    table[:, 2] = number * size
    table[:, 3] = np.minimum(size, table[:, 3] - table[:, 2])
    return table


def is_array_record(path):
    return "array" in RECORDS.search(path)[1]


def index_of(path):
    """(places of the pieces int64 [P], rows) of a file."""
    try:
        if is_array_record(path):
            rows = array_reader(path).num_records()
            return np.arange(0, rows, PIECE), rows
        places = record_places(path)
        return places[::PIECE], len(places)
    except InvalidInput:
        raise
    except Exception as error:  # of TensorFlow's file systems, and of array_record
        raise InvalidInput(f"cannot read {path!r}: {reason(error)}") from None


def record_places(path):
    """Where each record of a TFRecord file begins, in bytes.

    Raises:
        InvalidInput: the file is cut off, compressed, or something else.
    """
    import tensorflow as tf

    start, place, chunk, places, size = 0, 0, b"", [], tf.io.gfile.stat(path).length
    with tf.io.gfile.GFile(path, "rb") as file:
        while place < size:
            if place + HEAD > start + len(chunk):
                file.seek(place)
                start, chunk = place, file.read(CHUNK)
            following = place + AROUND + int.from_bytes(chunk[place - start : place - start + 8], "little")
            if following > size:
                packed = not places and chunk.startswith(GZIP)
                raise InvalidInput(f"{path!r} is {'compressed: unpack it' if packed else 'no whole TFRecord file'}")
            places.append(place)
            place = following
    return np.array(places, "int64")


def read_index(path):
    """(names, bytes and rows of the files, places of their pieces) of an index.

    Raises:
        InvalidInput: it is damaged, or something else.
    """
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path, "rb") as file, np.load(file, allow_pickle=False) as index:
            names, sizes, rows, places = (index[name] for name in ("names", "bytes", "rows", "places"))
        fits = len(names) == len(sizes) == len(rows) and rows.min() >= 0 and len(places) == (-(-rows // PIECE)).sum()
    except Exception as error:  # of zips, of NumPy and of file systems
        raise InvalidInput(f"{path!r} cannot be read as an index of shards: {reason(error)}") from None
    if not fits or places.min() < 0:
        raise InvalidInput(f"{path!r} is no index of shards: remove it, and the files are looked through")
    return names, sizes, rows, places


def stored_index(files):
    """File -> (places, rows) of the TFRecord files whose folder has an index that fits them."""
    import tensorflow as tf

    found = {}
    for folder in {os.path.dirname(file) for file in files}:
        path = os.path.join(folder, INDEX)
        if tf.io.gfile.exists(path):
            names, sizes, rows, places = read_index(path)
            ends = np.cumsum(-(-rows // PIECE))
            for name, size, count, part in zip(names, sizes, rows, np.split(places, ends[:-1]), strict=True):
                file = os.path.join(folder, str(name))
                if file in files and tf.io.gfile.stat(file).length == size:
                    found[file] = part, int(count)
    return found


@functools.lru_cache(maxsize=64)
def array_reader(path):
    """An open ArrayRecord file."""
    try:
        from array_record.python.array_record_module import ArrayRecordReader
    except ImportError:
        raise InvalidInput(f"{path!r} is read by array_record: pip install array_record") from None
    return ArrayRecordReader(path, "readahead_buffer_size:0")


def read_pieces(pieces, table):
    """string [rows]: the records of pieces int64 [n, 4] of one kind of files, in a graph."""
    import tensorflow as tf

    files = tf.constant(pieces.files)
    if is_array_record(pieces.files[0]):
        records = tf.numpy_function(
            read_array_records, [tf.gather(files, table[:, 0]), table], tf.string, stateful=False
        )
        return tf.ensure_shape(records, [None])

    def piece(row):
        file, place, skipped, rows = (row[i] for i in range(4))  # on `tf.unstack` TensorFlow 2.21's optimiser crashes
        opened = tf.raw_ops.TFRecordDatasetV2(
            filenames=files[file][None], compression_type="", buffer_size=2**18, byte_offsets=place[None]
        )
        return tf.data.experimental.from_variant(opened, tf.TensorSpec([], tf.string)).skip(skipped).take(rows)

    rows = tf.data.Dataset.from_tensor_slices(table).flat_map(piece)
    return rows.batch(tf.reduce_sum(table[:, 3])).get_single_element()


def read_array_records(files, table):
    """Records of pieces of ArrayRecord files, an array of bytes."""
    found = []
    for file, (_, place, skipped, rows) in zip(files, table, strict=True):
        found += array_reader(file.decode()).read(int(place + skipped), int(place + skipped + rows))
    return np.array(found, object)
