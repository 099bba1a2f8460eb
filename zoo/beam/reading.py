"""Files as batches of rows: TFRecord, ArrayRecord, Parquet and pictures; a row that cannot be read is told apart."""

import functools
import io
import os
import re

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from zoo.beam.batches import Batch, rows_of
from zoo.data.columns import LABELS as LABEL_NAMES
from zoo.data.columns import PARQUET, PICTURES, example
from zoo.data.files import IMAGES, decoded
from zoo.data.records import layout_of
from zoo.data.shards import RECORDS, array_reader, is_array_record
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, reason

RANGE, PICTURES_AT_ONCE = 2**14, 256  # rows that are drawn in one place, files that are read there


def kind_of(path):
    """ "records", "parquet" or "pictures"; None of other files."""
    name = path.lower()
    kinds = {"records": RECORDS.search(name), "parquet": name.endswith(PARQUET), "pictures": name.endswith(IMAGES)}
    return next((kind for kind, there in kinds.items() if there), None)


def check_pattern(pattern):
    """Raise `InvalidInput` unless a pattern matches files that can be read."""
    try:
        (found,) = FileSystems.match([os.path.expanduser(pattern)], limits=[1])
    except Exception as error:  # of file systems that are not installed, and of Beam's own kind
        raise InvalidInput(f"cannot look for {pattern!r}: {reason(error)}") from None
    if not found.metadata_list:
        raise InvalidInput(f"no file matches {pattern!r}")
    first = found.metadata_list[0].path
    if os.path.isdir(first):
        raise InvalidInput(f"{pattern!r} is a folder: name its files, such as '{pattern.rstrip('/')}/*.png'")
    if kind_of(first) is None:
        raise InvalidInput(f"{first!r} is no TFRecord, ArrayRecord, Parquet, PNG or JPEG file")


def units_of(pattern):
    """What is read at a time: a file of records, a row group of a table as (file, group, rows before), or pictures."""
    pictures = []
    for metadata in FileSystems.match([os.path.expanduser(pattern)])[0].metadata_list:
        if kind_of(metadata.path) == "parquet":
            yield from row_groups(metadata.path)
        elif kind_of(metadata.path) == "pictures":
            pictures.append(metadata.path)
            if len(pictures) == PICTURES_AT_ONCE:
                yield pictures
                pictures = []
        else:
            yield metadata.path
    if pictures:
        yield pictures


def row_groups(path):
    from pyarrow import parquet

    try:
        with FileSystems.open(path) as file:
            about, before = parquet.read_metadata(file), 0
            for group in range(about.num_row_groups):
                yield path, group, before
                before += about.row_group(group).num_rows
    except Exception:  # the reader says what is wrong
        yield path, 0, 0


class ReadRows(beam.DoFn):
    """Units -> `Batch`es of x and y by key, and of what cannot be read.

    A key is the file's name inside the pattern's folder with the number of the row, of pictures the name alone, or what
    the column or feature `key` of the row holds.
    """

    def __init__(self, pattern, shape, column=None, key=None, look=None):
        self.folder = os.path.dirname(re.split(r"[*?\[]", os.path.expanduser(pattern))[0])
        self.shape, self.column, self.key, self.look = tuple(shape), column, key, look
        self.rows = rows_of(shape)

    def process(self, unit):
        if isinstance(unit, list):
            yield from self.pictures(unit)
            return
        path = unit if isinstance(unit, str) else unit[0]
        try:
            if kind_of(path) is None:
                raise InvalidInput("it is no TFRecord, ArrayRecord, Parquet, PNG or JPEG file")
            yield from self.records(path) if isinstance(unit, str) else self.table(*unit)
        except Exception as error:  # whatever a broken file makes its reader stumble over
            said = re.sub(r"^\{\{.*?\}\} ", "", reason(error))  # TensorFlow names its operations before it
            yield failure(self.name_of(path), f"the file, or the rest of it, cannot be read: {said}")

    def name_of(self, path):
        return path.removeprefix(self.folder).lstrip("/")

    def pictures(self, paths):
        keys, values = [], []
        for path in paths:
            try:
                with FileSystems.open(path) as file:
                    content = file.read()
                picture = decoded(io.BytesIO(content), self.name_of(path), len(content))
                values.append(self.look.apply(picture) if self.look else picture)
                keys.append(self.name_of(path))
            except (InvalidInput, OSError) as error:
                yield failure(self.name_of(path), error)
        yield Batch(keys, {"x": values})

    def records(self, path):
        parse, file, row = None, self.name_of(path), 0
        for contents in read_records(path, self.rows):
            names = [f"{file}:{number}" for number in range(row, row + len(contents))]
            row += len(contents)
            try:
                parse = parse or parser(layout_of(contents[0].numpy(), path, self.column, self.look))
                fields = {name: value.numpy() for name, value in parse(contents).items()}
                yield Batch(self.keys_of(contents, names), fields)
            except Exception:  # one of them is not as the others are
                yield from self.one_by_one(contents.numpy(), names)

    def one_by_one(self, contents, names):
        keys, parts = [], []
        for content, name in zip(contents, names, strict=True):
            try:
                (key,) = self.keys_of([content], [name])
                parsed = layout_of(content, name, self.column, self.look).parse([content])
                parts.append({field: value.numpy()[0] for field, value in parsed.items()})
                keys.append(key)
            except Exception as error:
                yield failure(name, error)
        fields = {field for part in parts for field in part}
        yield Batch(keys, {field: [part.get(field, np.int32(-1)) for part in parts] for field in fields})

    def keys_of(self, contents, names):
        """The keys of records: their names, or what a feature holds."""
        if self.key is None:
            return names
        from tensorflow.core.example.example_pb2 import Example

        contents = map(bytes, getattr(contents, "numpy", lambda: contents)())
        features = [Example.FromString(content).features.feature[self.key] for content in contents]
        values = [list(getattr(feature, feature.WhichOneof("kind") or "bytes_list").value) for feature in features]
        if any(len(value) != 1 for value in values):
            raise InvalidInput(f"a record has no feature {self.key!r} of one value")
        return [v.decode() if isinstance(v, bytes) else str(v) for (v,) in values]

    def table(self, path, group, before):
        from pyarrow import parquet

        with FileSystems.open(path) as opened:
            file = parquet.ParquetFile(opened)
            for rows in file.iter_batches(self.rows, row_groups=[group]):
                columns = dict(zip(rows.schema.names, rows.columns, strict=True))
                names = [f"{self.name_of(path)}:{before + number}" for number in range(rows.num_rows)]
                before += rows.num_rows
                yield from self.cells(columns, names)

    def cells(self, columns, names):
        """The rows of some cells of a table."""
        if self.key is not None and self.key not in columns:
            raise InvalidInput(f"there is no column {self.key!r}")
        keys = names if self.key is None else list(map(str, columns.pop(self.key).to_pylist()))
        name = self.column or next((known for known in PICTURES if known in columns), None)
        label = next((known for known in LABEL_NAMES if known in columns and known != name), None)
        y = {} if label is None else {LABELS: columns.pop(label).to_numpy(zero_copy_only=False)}
        if name is None:
            features = [column.to_numpy(zero_copy_only=False) for column in columns.values()]
            yield Batch(keys, {"x": np.stack(features, 1).astype("float32"), **y})
        elif (x := self.numbers(columns[name])) is not None:
            yield Batch(keys, {"x": x, **y})
        else:
            found = [self.cell(cell, key) for cell, key in zip(columns[name], keys, strict=True)]
            rows = [row for row, value in enumerate(found) if not isinstance(value, InvalidInput)]
            yield from (failure(keys[row], error) for row, error in enumerate(found) if row not in set(rows))
            fields = {"x": [found[row] for row in rows], **{field: values[rows] for field, values in y.items()}}
            yield Batch([keys[row] for row in rows], fields)

    def numbers(self, column):
        """An array of a column of lists of one length, in the shape of the model's where they have so many numbers."""
        import pyarrow

        lists = pyarrow.types.is_list(column.type) or pyarrow.types.is_fixed_size_list(column.type)
        if not lists or column.null_count or not pyarrow.types.is_primitive(column.type.value_type):
            return None
        flat = column.flatten().to_numpy(zero_copy_only=False)
        size = int(np.prod(self.shape))
        lengths = column.value_lengths().to_numpy() if len(column) else np.array([size])
        return flat.reshape(-1, *self.shape) if (lengths == size).all() else None

    def cell(self, value, key):
        """An array of a cell of Arrow's, or the `InvalidInput` that it raises."""
        numbers = value.is_valid and hasattr(value, "values")
        try:
            x = example(value.values.to_numpy(zero_copy_only=False) if numbers else value.as_py(), key)
            x = x.reshape(self.shape) if x.ndim == 1 and x.size == np.prod(self.shape) else x
            x = x[..., None] if x.dtype == np.uint8 and x.ndim == 2 else x
            return self.look.apply(x) if self.look else x
        except InvalidInput as error:
            return error


def failure(key, error):
    """A batch of nothing but a row that cannot be read."""
    return Batch([], {}, [(key, str(error))])


@functools.lru_cache(maxsize=16)
def parser(layout):
    """The `parse` of a layout as a graph."""
    import tensorflow as tf

    return tf.function(layout.parse, input_signature=[tf.TensorSpec([None], tf.string)])


def read_records(path, rows):
    """The records of a file, string [rows] at a time."""
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
    except tf.errors.DataLossError:  # those before the broken one, and then its error
        for record in records.skip(read):
            yield record[None]


def ranges(count):
    """(first, last + 1) of the rows that are drawn at a time."""
    return [(start, min(start + RANGE, count)) for start in range(0, count, RANGE)]


class NumberedRows(beam.DoFn):
    """Ranges of rows -> `Batch`es of nothing but a key, and of the classes in turn where a model needs one."""

    def __init__(self, shape, classes=None):
        self.rows, self.classes = rows_of(shape), classes

    def process(self, limits):
        for start in range(*limits, self.rows):
            rows = np.arange(start, min(start + self.rows, limits[1]))
            yield Batch(list(map(str, rows)), {LABELS: rows % self.classes} if self.classes else {})
