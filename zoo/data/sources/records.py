"""Files of records, TFRecord and ArrayRecord, as pieces of rows that can be read in any order.

A piece is a run of rows of one file. Where the pieces of TFRecord files begin is read from an `index.npz` beside them,
as `write_shards` leaves it, or found by a walk over the heads of their records.
"""

import copy
import functools
import itertools
import os

import numpy as np

from zoo.data.division import divided, owned, parts_of_rows
from zoo.data.source import Source
from zoo.data.sources.examples import layout_of
from zoo.data.sources.folder import INDEX, RECORDS
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, reason
from zoo.quiet import waiting

PIECE, LEAST = 1024, 200  # rows of a piece, and pieces of a source, where it has so many rows
HEAD, AROUND, CHUNK = 8, 16, 2**24  # bytes: of the length before a record, around it, and read at a time
GZIP = b"\x1f\x8b"


class Records(Source):
    """Files of records.

    Attributes:
        table: of the pieces, int64 [P, 4]: (file, place where its piece of the index begins, rows skipped there, rows).
        counts: int64 [P], the rows of each piece.
        row_bytes: of what `read` gives for a row.
        portable: whether TensorFlow's own operations do all of it, so that another machine can.
    """

    streamed = True

    def __init__(self, files, said, look=None, column=None, by_position=False):
        self.files = files.paths
        if len({is_array_record(file) for file in self.files}) > 1:
            raise InvalidInput(f"{said} holds TFRecord and ArrayRecord files: name those of one kind")
        with waiting(f"looking through {len(self.files)} files of records"):
            known = stored_index(self.files)
            tables = [table_of(n, *(known.get(file) or index_of(file))) for n, file in enumerate(self.files)]
        self.table = finer(np.concatenate(tables), by_position)
        if not len(self.table):
            raise InvalidInput(f"{said} holds no records")
        if files.parts is not None:
            rows_of, division = owned(said, files.parts[self.table[:, 0]]), None
        else:
            each = np.bincount(self.table[:, 0], minlength=len(self.files))
            names = None if files.alone else files.names
            rows_of = divided(said, len(self.table), lambda: parts_of_rows(each, names), by_position)
            division = None if by_position else "name"
        super().__init__(said, "records", int(self.table[:, 3].sum()), rows_of, division=division)
        try:
            first = read_records(self.files, self.table[:1] // [1, 1, 1, self.table[0, 3]]).numpy()[0]
        except Exception as error:  # of TensorFlow: a damaged record, or an index of other files
            file = self.files[self.table[0, 0]]
            raise InvalidInput(f"the first record of {file!r} is broken, or {INDEX} is: {reason(error)}") from None
        self.layout = layout_of(first, said, column, look)
        self.row_bytes, self.has_labels = len(first), self.layout.y is not None
        self.portable = (
            self.layout.look is None and self.layout.form != "encoded" and not is_array_record(self.files[0])
        )

    @property
    def counts(self):
        return self.table[:, 3]

    def part(self, name, limit):
        """As any source's, of whole pieces."""
        pieces = self.rows_of(name)
        pieces = np.arange(len(self.table))[pieces if isinstance(pieces, slice) else np.sort(pieces)]
        taken = copy.copy(self)
        taken.table = at_most(self.table[pieces], limit)
        taken.count = int(taken.counts.sum())
        return taken

    def read(self, which, skipped, rows):
        """The rows of the pieces `which`, without the first `skipped` of each: columns [sum of rows, ...].

        They are parsed together where that makes them no larger.
        """
        import tensorflow as tf

        with tf.init_scope(), tf.device("/CPU:0"):
            table = tf.constant(self.table)
        file, place, before, _ = tf.unstack(tf.gather(table, which), num=4, axis=1)
        records = read_records(self.files, tf.stack([file, place, before + skipped, rows], 1))
        return self.layout.parse(records) if self.layout.keeps_size else {"record": records}

    def parse(self, columns):
        """{"x" [B, ...], "y" int32 [B]} of B rows of what `read` gives."""
        found = columns if self.layout.keeps_size else self.layout.parse(columns["record"])
        return {name: value for name, value in found.items() if self.labels or name != LABELS}


def at_most(table, limit):
    """The first pieces of a table, up to so many rows."""
    table = table.copy()
    if limit is not None:
        before = np.cumsum(table[:, 3]) - table[:, 3]
        table[:, 3] = np.minimum(table[:, 3], np.maximum(limit - before, 0))
    return table[table[:, 3] > 0]


def table_of(file, places, rows):
    """[P, 4] of a file whose pieces begin at `places`."""
    counts = np.minimum(PIECE, rows - PIECE * np.arange(len(places)))
    return np.stack([np.full(len(places), file), places, np.zeros(len(places), "int64"), counts], 1).astype("int64")


def finer(table, of_all=False):
    """Pieces of fewer rows, where a file (or `of_all`) has so few that they could neither be divided nor mixed."""
    rows = np.bincount(table[:, 0], table[:, 3]).astype("int64")
    rows = np.full_like(rows, rows.sum()) if of_all else rows
    size = np.clip(rows // LEAST, 1, PIECE)[table[:, 0]]
    parts = -(-table[:, 3] // size)
    number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    table, size = np.repeat(table, parts, 0), np.repeat(size, parts)
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
        places = np.array(list(record_places(path)), "int64")
        return places[::PIECE], len(places)
    except InvalidInput:
        raise
    except Exception as error:  # of TensorFlow's file systems, and of array_record
        raise InvalidInput(f"cannot read {path!r}: {reason(error)}") from None


def record_places(path):
    """Where each record of a TFRecord file begins, in bytes, one after another.

    Raises:
        InvalidInput: the file is cut off, compressed, or something else; behind the records before that.
    """
    import tensorflow as tf

    start, place, chunk, size = 0, 0, b"", tf.io.gfile.stat(path).length
    with tf.io.gfile.GFile(path, "rb") as file:
        while place < size:
            if place + HEAD > start + len(chunk):
                file.seek(place)
                start, chunk = place, file.read(CHUNK)
            following = place + AROUND + int.from_bytes(chunk[place - start : place - start + 8], "little")
            if following > size:
                packed = not place and chunk.startswith(GZIP)
                raise InvalidInput(f"{path!r} is {'compressed: unpack it' if packed else 'no whole TFRecord file'}")
            yield place
            place = following


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


def read_records(paths, table):
    """string [rows]: the records of pieces int64 [n, 4] of one kind of files, in a graph."""
    import tensorflow as tf

    files = tf.constant(paths)
    if is_array_record(paths[0]):
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


def read_whole(path, rows):
    """The records of a file, string [rows] at a time; what is broken of it is passed over, one record after another.

    For a record that is broken None is yielded in its place.

    Raises:
        InvalidInput: a length is broken, so that nobody knows where the next record begins.
    """
    import tensorflow as tf

    if is_array_record(path):
        reader = array_reader(path)
        for start in range(0, reader.num_records(), rows):
            yield tf.constant(reader.read(start, min(start + rows, reader.num_records())))
        return
    opened = tf.raw_ops.TFRecordDataset(filenames=[path], compression_type="", buffer_size=2**20)
    records, read = tf.data.experimental.from_variant(opened, tf.TensorSpec([], tf.string)), 0
    options = tf.data.Options()  # to look for what could be made faster takes longer than to read a small file
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    try:
        for found in records.batch(rows).with_options(options):
            yield found
            read += len(found)
    except tf.errors.DataLossError:
        for place in itertools.islice(record_places(path), read, None):
            try:
                yield read_records([path], np.array([[0, place, 0, 1]]))
            except tf.errors.DataLossError:
                yield None
