"""Named columns as examples: DataFrames of pandas, CSV and Parquet files, and data sets of Hugging Face."""

import os
from pathlib import Path

import numpy as np

from zoo.data.division import divided, in_order, owned, parts_of_rows, whole
from zoo.data.source import Arrays, Source
from zoo.data.sources.arrays import cast
from zoo.data.sources.csv_files import read_csv
from zoo.data.sources.examples import LABEL_NAMES, PICTURES
from zoo.data.sources.folder import CSV, NAMED
from zoo.data.sources.pictures import check_unpacked, decoded, pixels
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, choose, nearest, reason


def package_of(source):
    """ "pandas" or "datasets" where a source in memory is one of theirs, else None."""
    packages = {cls.__module__.partition(".")[0] for cls in type(source).__mro__}
    return next(iter(packages & {"pandas", "datasets"}), None)


def in_memory(source, said, **asked):
    """A source of a DataFrame, or of a data set of Hugging Face, which may bring splits."""
    if isinstance(source, dict):  # the splits of a data set of Hugging Face
        tables = {split: columns_of(source[split]) for split in source}
        sizes = [len(next(iter(columns.values()), ())) for columns in tables.values()]
        parts = np.repeat(np.arange(len(tables)), sizes)
        names = [name for name in next(iter(tables.values())) if all(name in table for table in tables.values())]
        columns = {name: stacked([columns[name] for columns in tables.values()]) for name in names}

        def rows_of(split):
            for name in split.split("+") if split != "all" else ():
                choose("split", name, tables)
            wanted = [number for number, name in enumerate(tables) if split == "all" or name in split.split("+")]
            return np.flatnonzero(np.isin(parts, wanted))

        known = {"names_of_classes": classes_of(next(iter(source.values())))}
        return of_columns(columns, said, rows_of, **known, **asked)
    return of_columns(columns_of(source), said, whole("a table"), names_of_classes=classes_of(source), **asked)


def stacked(columns):
    """One column of several: arrays, or lists of cells."""
    return np.concatenate(columns) if isinstance(columns[0], np.ndarray) else sum(map(list, columns), [])


def columns_of(source):
    """Name -> column of a table in memory."""
    if package_of(source) == "pandas":
        source = source if hasattr(source, "columns") else source.to_frame()
        if not source.columns.is_unique:
            raise InvalidInput(f"the table has two columns {source.columns[source.columns.duplicated()][0]!r}")
        return {str(name): of_series(source[name]) for name in source.columns}
    if not hasattr(source, "__len__"):
        raise InvalidInput("a streaming data set is not taken: load it whole, with streaming=False")
    return {name: column_of(source, name) for name in source.column_names}


def of_series(series):
    """The array of a column of pandas, whose own numbers with holes become floats."""
    array = series.to_numpy()
    with_holes = array.dtype == object and getattr(series.dtype, "kind", "O") in "biuf"
    return series.to_numpy("float64", na_value=np.nan) if with_holes else array


def column_of(dataset, name):
    """A column of a Hugging Face data set: an array where it holds numbers, else its cells."""
    column = dataset.select_columns([name])
    if "Image" in type(dataset.features[name]).__name__:
        return [row[name] for row in column.with_format(None)]
    return column.with_format("numpy")[:][name]


def classes_of(dataset):
    """Column -> names of the classes that its numbers stand for."""
    features = getattr(dataset, "features", None) or {}
    return {name: list(feature.names) for name, feature in features.items() if getattr(feature, "names", None)}


def of_files(files, said, by_position=False, **asked):
    """A source of CSV and Parquet files, whose columns are matched by name."""
    tables, left_out = [], list(files.left_out)
    for path in files.paths:
        columns, without = read_table(Path(path))
        tables.append(columns)
        left_out += [line for line in without if line not in left_out]
    names = [name for name in tables[0] if all(name in columns for columns in tables)]
    lacking = sorted({name for columns in tables for name in columns} - set(names))
    if lacking:
        lack = next(p for p, columns in zip(files.names, tables, strict=True) if lacking[0] not in columns)
        raise InvalidInput(f"the files of {said} have several columns: {lack!r} has no {lacking[0]!r}")
    counts = [len(next(iter(columns.values()), ())) for columns in tables]
    columns = tables[0] if len(tables) == 1 else {n: stacked([columns[n] for columns in tables]) for n in names}
    if files.parts is not None:
        rows_of, division = owned(said, np.repeat(files.parts, counts)), None
    else:
        of_names = None if files.alone else files.names
        rows_of = divided(said, sum(counts), lambda: parts_of_rows(counts, of_names), by_position)
        division = None if by_position else "name"
    found = of_columns(columns, said, rows_of, **asked)
    found.division, found.left_out = division, [*left_out, *found.left_out]
    return found


def read_table(path):
    """({name: column}, lines on what is left out) of a CSV or Parquet file."""
    if path.suffix.lower() in CSV:
        return read_csv(path)
    return read_parquet(path)


def read_parquet(path):
    """The columns of a Parquet file, without the index that pandas stores.

    Raises:
        InvalidInput: what is no whole file, or claims to hold far more than it does.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise InvalidInput(f"{str(path)!r} is read by pyarrow: pip install pyarrow") from None
    try:
        about = parquet.read_metadata(path)
        unpacked = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        check_unpacked(path, max(unpacked, 8 * about.num_rows * about.num_columns), os.path.getsize(path))
        table = parquet.read_table(path)
        index = index_of(table.schema)
        columns = {name: table[name].to_numpy() for name in table.column_names if name not in index}
    except InvalidInput:
        raise
    except Exception as error:  # Arrow raises a dozen kinds
        raise InvalidInput(f"cannot read {str(path)!r}: {reason(error)}") from None
    return columns, [f"the index {', '.join(index)}"] if index else []


def index_of(schema):
    """The names of the columns in which pandas stored a table's index."""
    names = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in names if isinstance(name, str) and name in schema.names]


def of_columns(columns, said, rows_of, labels=False, column=None, look=None, like=None, names_of_classes=()):
    """A source of named columns.

    x is the column that is named, or one called "image" or "x" that holds pictures or arrays; else all columns of
    numbers are the features of a table, float32 [N, D].

    Args:
        labels: whether y is wanted, or the name of its column; else it is called "label" or "y".
        like: of `open_source`: the names of columns and classes that are to be those of a model.

    Raises:
        InvalidInput: no such column, text, cells of several shapes.
    """
    like = like or {}
    if column is not None:
        choose("column", column, columns)
    name = column or next((known for known in PICTURES if known in columns and not is_flat(columns[known])), None)
    label = label_of(columns, labels, name, like, said)
    own = dict(names_of_classes).get(label)
    y, classes = labels_of(label, columns[label], like.get("classes"), own) if label and labels else (None, None)
    known = {"label": label, "classes": classes, "has_labels": y is not None}
    y = {} if y is None else {LABELS: y}
    if name is not None:
        return Cells(name, columns[name], y, look, said, rows_of, **known)
    if look:
        raise InvalidInput(f"size and color are for pictures, and {said} is a table of numbers")
    x, features, left_out = features_of(columns, label, bool(labels), like, said)
    return Arrays({"x": x, **y}, said, "a table", rows_of, columns=features, left_out=left_out, **known)


class Cells(Source):
    """The cells of a column of pictures or arrays, decoded when they are used."""

    def __init__(self, name, cells, y, look, said, rows_of, **known):
        super().__init__(said, f"the column {name!r} of a table", len(cells), rows_of, **known)
        self.name, self.cells, self.y, self.look = name, cells, y, look

    def select(self, rows):
        listed_rows = np.arange(len(self.cells))[rows]
        self.cells = self.cells[rows] if isinstance(self.cells, np.ndarray) else [self.cells[n] for n in listed_rows]
        self.y = {name: values[rows] for name, values in self.y.items()}

    def in_memory(self):
        x = cast("x", examples(self.name, self.cells, self.look, self.said))
        return self.loaded(Arrays({"x": x, **self.y}, self.said, self.kind, self.rows_of))

    def arrays(self):
        return self.in_memory().arrays()


def is_flat(values):
    """Whether the cells of a column are numbers or text, and no pictures or arrays."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.ndim == 1
    cell = next((value for value in values if value is not None), 0)
    return isinstance(cell, (str, int, float, bool, np.generic))


def label_of(columns, wanted, name, like, said):
    """The name of the column of labels; None where there is none, or it is a feature as others."""
    asked = wanted if isinstance(wanted, str) else like.get("label") if wanted else None
    if asked is not None:
        choose(f"column of labels of {said}:", asked, columns)
        return asked
    of_before = "name" in like and not like.keys() & {"division", "columns"}  # a y was no feature then
    every = wanted or name is not None or of_before
    known = LABEL_NAMES if every else LABEL_NAMES[:1]  # a y is a feature unless it is asked for
    found = next((label for label in known if label in columns and label != name), None)
    return None if found in (like.get("columns") or ()) else found


def labels_of(name, values, known, own):
    """(y [N] or None, names of the classes or None) of a column of labels; text is numbered by its names.

    Args:
        known: the names of the classes by the numbers that they are to have, or None.
        own: those that the numbers of the column stand for, or None.
    """
    values = np.asarray(values)
    if values.dtype.kind == "O" and not any(isinstance(value, str) for value in values):
        values = numbers(name, values) if holds_numbers(values) else values
    if values.dtype.kind in "biuf" and values.ndim == 1:
        if known and own and values.dtype.kind != "f":
            if values.max(initial=-1) >= len(own):
                raise InvalidInput(f"column {name!r} has the class {values.max()}, and names for {len(own)}")
            values = in_classes(name, [own[value] if value >= 0 else "" for value in values], known)
        holes = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        if holes.any() and (values[~holes] % 1 == 0).all():
            values = np.where(holes, -1, values).astype("int64")  # unknown
        return cast(LABELS, values), known or own
    if values.dtype.kind not in "OU":
        return None, None
    text = [value if isinstance(value, str) else "" if is_hole(value) else str(value) for value in values.tolist()]
    classes = known or in_order(set(text) - {""})
    return in_classes(name, text, classes), list(classes)


def is_hole(value):
    """Whether a cell holds nothing: None, NaN, or pandas' NA."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def in_classes(name, values, classes):
    """int32 [N]: the numbers of names of classes, -1 where there is no name."""
    number = {"": -1, **{text: place for place, text in enumerate(classes)}}
    if unknown := sorted(set(values) - number.keys()):
        raise InvalidInput(f"column {name!r} has an unknown class {unknown[0]!r}; {nearest(unknown[0], classes)}")
    return np.array([number[value] for value in values], "int32")


def features_of(columns, label, labelled, like, said):
    """(x float32 [N, D], the names of its columns, lines on what is left out) of a table."""
    if wanted := like.get("columns"):
        if missing := [name for name in wanted if name not in columns]:
            raise InvalidInput(
                f"{said} has no column {missing[0]!r}, which the model needs; {nearest(missing[0], columns)}"
            )
        beside = [name for name in columns if name not in {*wanted, label}]
        x = np.stack([numbers(name, columns[name]) for name in wanted], 1).astype("float32")
        return x, list(wanted), [listed("column", beside)] if beside else []
    text = [name for name, values in columns.items() if name != label and not holds_numbers(values)]
    features = [name for name in columns if name != label and name not in text]
    if not features:
        raise InvalidInput(
            f"{said} has no column of numbers, but {listed('column', text or [label])}: number their values, or name "
            "the column that holds pictures"
        )
    left_out = [listed("column", text) + " of no numbers"] if text else []
    if label is not None and not labelled:
        left_out.append(f"column {label!r}, which labels=True takes as y")
    x = np.stack([numbers(name, columns[name]) for name in features], 1).astype("float32")
    return x, features, left_out


def listed(noun, names):
    """Names in words, the first of them."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{noun}{'s' * (len(names) > 1)} {', '.join(map(repr, names[:NAMED]))}{more}"


def holds_numbers(values):
    """Whether a column holds numbers, or nothing."""
    if not isinstance(values, np.ndarray):
        return False
    if values.dtype == object:
        values = [value for value in values if not is_hole(value)] if values.ndim == 1 else [()]
        return all(isinstance(value, (int, float, bool, np.number)) for value in values)
    return values.ndim == 1 and values.dtype.kind in "biuf"


def numbers(name, values):
    """A column [N] of numbers."""
    values = np.asarray(values)
    if values.dtype == object:
        values = np.array([np.nan if np.ndim(value) == 0 and is_hole(value) else value for value in values])
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InvalidInput(
            f"column {name!r} holds no numbers: leave it out, number its values (pandas.factorize), or name the column "
            "that holds pictures"
        )
    return values


def examples(name, cells, look, said):
    """x [N, ...] of the cells of a column: pictures, arrays, lists of numbers, or files of pictures."""
    if isinstance(cells, np.ndarray) and cells.dtype != object:
        x = list(cells)
    else:
        x = [example(cell, f"{name} of row {row}") for row, cell in enumerate(cells)]
    if x and x[0].dtype == np.uint8 and x[0].ndim == 2:
        x = [picture[..., None] for picture in x]
    if look:
        return look.apply_to_all(x, said)
    if shapes := {array.shape for array in x} - {x[0].shape}:
        raise InvalidInput(
            f"column {name!r} holds shapes {x[0].shape} and {shapes.pop()}: give pictures one size and color"
        )
    return np.stack(x)


def example(cell, name):
    """A cell as an array; pictures as uint8 [H, W, 1 or 3]."""
    cell = cell.get("bytes") if isinstance(cell, dict) else cell
    if isinstance(cell, bytes):
        return decoded(cell, name, len(cell))
    if hasattr(cell, "getexif"):  # an image of Pillow
        return pixels(cell, name)
    try:
        array = np.array(cell.tolist() if isinstance(cell, np.ndarray) and cell.dtype == object else cell)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} is no picture and holds no numbers")
    return array
