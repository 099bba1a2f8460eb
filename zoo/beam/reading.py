"""Files as batches of rows: TFRecord, ArrayRecord, Parquet and pictures; a row that cannot be read is told apart."""

import os
import re

import apache_beam as beam
import numpy as np
import pyarrow
from apache_beam.io.filesystems import FileSystems
from pyarrow import parquet

from zoo.beam.batches import Batch, rows_of
from zoo.data.sources import tables
from zoo.data.sources.examples import keys_of, layout_of, parser
from zoo.data.sources.folder import PARQUET, kind_of
from zoo.data.sources.pictures import decoded
from zoo.data.sources.records import read_whole
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, reason

RANGE, PICTURES_AT_ONCE = 2**14, 256  # rows that are drawn in one place, files that are read there
TAKEN = "TFRecord, ArrayRecord, Parquet, PNG, JPEG, WebP, TIFF or BMP file"


def is_read(path):
    """Whether a file is of a kind that pipelines read."""
    return kind_of(path) in ("records", "pictures") or path.lower().endswith(PARQUET)


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
    if not is_read(first):
        raise InvalidInput(f"{first!r} is no {TAKEN}")


def units_of(pattern):
    """What is read at a time, (kind, paths, row group of a table, rows before it)."""
    paths = [found.path for found in FileSystems.match([os.path.expanduser(pattern)])[0].metadata_list]
    pictures = [path for path in paths if kind_of(path) == "pictures"]
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        yield "pictures", pictures[start : start + PICTURES_AT_ONCE], 0, 0
    for path in paths:
        if kind_of(path) == "tables":
            yield from (("tables", [path], *place) for place in row_groups(path))
        elif kind_of(path) != "pictures":
            yield "records", [path], 0, 0


def row_groups(path):
    """(number, rows before it) of the groups of a table."""
    try:
        with FileSystems.open(path) as file:
            about = parquet.read_metadata(file)
            sizes = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
    except Exception:  # the reader says what is wrong
        sizes = [0]
    return enumerate(np.cumsum([0, *sizes[:-1]]).tolist())


class ReadRows(beam.DoFn):
    """Units -> `Batch`es of x and y by key, and of what cannot be read.

    A key is the file's name inside the pattern's folder with the number of the row, of pictures the name alone, or what
    the column or feature `key` of the row holds. `like` is the data of the model's card.
    """

    def __init__(self, pattern, shape, column=None, key=None, look=None, like=None):
        self.folder = os.path.dirname(re.split(r"[*?\[]", os.path.expanduser(pattern))[0])
        self.shape, self.column, self.key, self.look, self.like = tuple(shape), column, key, look, like or {}
        self.rows = rows_of(shape)

    def process(self, unit):
        kind, paths, *place = unit
        try:
            if not is_read(paths[0]):
                raise InvalidInput(f"it is no {TAKEN}")
            if kind == "tables":
                yield from self.tables(paths[0], *place)
            else:
                yield from {"pictures": self.pictures, "records": self.records}[kind](paths)
        except Exception as error:  # whatever a broken file makes its reader stumble over
            said = re.sub(r"^\{\{.*?\}\} ", "", reason(error))  # TensorFlow names its operations before it
            yield failure(self.name_of(paths[0]), f"the file, or the rest of it, cannot be read: {said}")

    def name_of(self, path):
        return path.removeprefix(self.folder).lstrip("/")

    def one_by_one(self, keys, read):
        """A batch of the rows that `read(number)` -> {field: value} can read, and what is wrong with the others."""
        parts, good = [], []
        for number, key in enumerate(keys):
            try:
                parts.append(read(number))
                good.append(key)
            except Exception as error:
                yield failure(key, error)
        fields = {field for part in parts for field in part}
        yield Batch(good, {field: [part.get(field, np.int32(-1)) for part in parts] for field in fields})

    def pictures(self, paths):
        def read(number):
            with FileSystems.open(paths[number]) as file:
                content = file.read()
            picture = decoded(content, self.name_of(paths[number]), len(content))
            return {"x": self.look.apply(picture) if self.look else picture}

        return self.one_by_one([self.name_of(path) for path in paths], read)

    def records(self, paths):
        parse, file, row = None, self.name_of(paths[0]), 0
        for contents in read_whole(paths[0], self.rows):
            if contents is None:
                yield failure(f"{file}:{row}", "the record is broken: its checksum is another")
                row += 1
                continue
            names = [f"{file}:{number}" for number in range(row, row + len(contents))]
            row += len(contents)
            try:
                parse = parse or parser(layout_of(contents[0].numpy(), paths[0], self.column, self.look))
                fields = {name: value.numpy() for name, value in parse(contents).items()}
                yield Batch(keys_of(contents.numpy(), self.key) if self.key else names, fields)
            except Exception:  # one of them is not as the others are
                yield from self.each_record(contents.numpy(), names)

    def each_record(self, contents, names):
        def read(number):
            parsed = layout_of(contents[number], names[number], self.column, self.look).parse([contents[number]])
            return {field: value.numpy()[0] for field, value in parsed.items()}

        return self.one_by_one(keys_of(contents, self.key) if self.key else names, read)

    def tables(self, path, group, before):
        with FileSystems.open(path) as opened:
            file = parquet.ParquetFile(opened)
            index = tables.index_of(file.schema_arrow)
            for rows in file.iter_batches(self.rows, row_groups=[group]):
                columns = dict(zip(rows.schema.names, rows.columns, strict=True))
                names = [f"{self.name_of(path)}:{before + number}" for number in range(rows.num_rows)]
                before += rows.num_rows
                if self.key is not None and self.key not in columns:
                    raise InvalidInput(f"there is no column {self.key!r}")
                keys = names if self.key is None else list(map(str, columns.pop(self.key).to_pylist()))
                yield from self.cells({k: v for k, v in columns.items() if k not in index}, keys, self.name_of(path))

    def cells(self, columns, keys, said):
        """The rows of some cells of a table, whose columns are Arrow's."""
        arrays = {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}
        like = {k: v for k, v in self.like.items() if k != "label" or v in arrays}
        table = tables.of_columns(arrays, said, None, True, self.column, None, like)
        if table.classes and not like.get("classes"):
            raise InvalidInput("the labels are text, and the model's card does not say their numbers")
        if not isinstance(table, tables.Cells):
            yield Batch(keys, table.labelled(table.has_labels).arrays())
        elif (x := numbers(columns[table.name], self.shape)) is not None:
            yield Batch(keys, {"x": x, **table.y})
        else:
            y = table.y
            yield from self.one_by_one(
                keys, lambda row: {"x": self.cell(table.cells[row], keys[row]), **{f: v[row] for f, v in y.items()}}
            )

    def cell(self, value, key):
        """An array of a cell, in the shape of the model's where it has so many numbers."""
        x = tables.example(value, key)
        x = x.reshape(self.shape) if x.ndim == 1 and x.size == np.prod(self.shape) else x
        x = x[..., None] if x.dtype == np.uint8 and x.ndim == 2 else x
        return self.look.apply(x) if self.look else x


def numbers(column, shape):
    """An array [N, *shape] of a column of lists of so many numbers each; None of another."""
    lists = pyarrow.types.is_list(column.type) or pyarrow.types.is_fixed_size_list(column.type)
    if not lists or column.null_count or not pyarrow.types.is_primitive(column.type.value_type):
        return None
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, *shape) if (column.value_lengths().to_numpy() == np.prod(shape)).all() else None


def failure(key, error):
    """A batch of nothing but a row that cannot be read."""
    return Batch([], {}, [(key, str(error))])


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
