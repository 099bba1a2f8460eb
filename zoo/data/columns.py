"""Named columns as examples: pandas' DataFrames, Parquet files and data sets of Hugging Face, as tables or pictures."""

import io

import numpy as np

from zoo.data.files import check_unpacked, decoded, pixels
from zoo.errors import InvalidInput, choose, reason

PARQUET = (".parquet",)
PICTURES, LABELS = ("image", "x"), ("label", "y")  # columns that are taken for pictures and labels unless one is named


def is_columns(source):
    """Whether a source in memory is a DataFrame or a data set of Hugging Face."""
    return bool(package_of(source))


def package_of(source):
    """ "pandas" or "datasets" where a source is one of theirs, else None."""
    packages = {cls.__module__.partition(".")[0] for cls in type(source).__mro__}
    return next(iter(packages & {"pandas", "datasets"}), None)


def columns_of(source, split, limit=None):
    """Name -> column, of the first `limit` rows of a table in memory.

    Raises:
        InvalidInput: a streaming data set, or a split that it has not: one that is not divided has "train" and "all".
    """
    if isinstance(source, dict):  # the splits of a data set of Hugging Face
        source, split = choose("split", split, source), "all"
    if split not in ("train", "all"):
        raise InvalidInput(f"a table in memory has no split {split!r}: pass the part that is meant")
    if package_of(source) == "pandas":
        source = source if hasattr(source, "columns") else source.to_frame()
        return {str(name): source[name].to_numpy()[:limit] for name in source.columns}
    if not hasattr(source, "__len__"):
        raise InvalidInput("a streaming data set is not taken: load it whole, with streaming=False")
    rows = source.select(range(len(source))[:limit])
    return {name: column_of(rows, name) for name in rows.column_names}


def column_of(dataset, name):
    """A column of a Hugging Face data set: an array where it holds numbers, else its cells."""
    column = dataset.select_columns([name])
    if "Image" in type(dataset.features[name]).__name__:
        return [row[name] for row in column.with_format(None)]
    return column.with_format("numpy")[:][name]


def read_parquet(path):
    """Name -> column of a Parquet file.

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
        check_unpacked(path, max(unpacked, 8 * about.num_rows * about.num_columns), path.stat().st_size)
        table = parquet.read_table(path)
        return {name: table[name].to_numpy() for name in table.column_names}
    except InvalidInput:
        raise
    except Exception as error:  # Arrow raises a dozen kinds
        raise InvalidInput(f"cannot read {str(path)!r}: {reason(error)}") from None


def as_arrays(columns, column=None, look=None, said=None):
    """{"x"} and, where there is a column "label" or "y", {"y"}, of named columns.

    x is the column that is named, or one called "image" or "x": pictures [N, H, W, C], or vectors [N, D]. Without one
    all columns of numbers are the features of a table, float32 [N, D].

    Raises:
        InvalidInput: no such column, text, cells of several shapes.
    """
    if column is not None:
        choose("column", column, columns)
    name = column or next((known for known in PICTURES if known in columns), None)
    label = next((known for known in LABELS if known in columns and known != name), None)
    arrays = {} if label is None else {"y": numbers(label, columns[label])}
    if name is None:
        features = [numbers(key, values) for key, values in columns.items() if key != label]
        if not features:
            raise InvalidInput(f"{said} has no column but {label!r}")
        return {"x": np.stack(features, 1).astype("float32"), **arrays}
    return {"x": examples(name, columns[name], look, said), **arrays}


def numbers(name, values):
    """A column [N] of numbers."""
    values = np.asarray(values)
    if values.dtype == object:
        values = np.array([np.nan if value is None else value for value in values])
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InvalidInput(
            f"column {name!r} holds no numbers: leave it out, number its values (pandas.factorize), or name the column "
            "that holds pictures"
        )
    return values


def examples(name, cells, look, said):
    """x [N, ...] of the cells of a column: pictures, arrays, lists of numbers, or encoded PNG and JPEG files."""
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
        return decoded(io.BytesIO(cell), name, len(cell))
    if hasattr(cell, "getexif"):  # an image of Pillow
        return pixels(cell, name)
    try:
        array = np.array(cell.tolist() if isinstance(cell, np.ndarray) and cell.dtype == object else cell)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} is no picture and holds no numbers")
    return array
