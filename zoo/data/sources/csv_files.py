"""CSV files as named columns: what separates their cells, whether they have a head, and what their numbers are."""

import csv
import io
import re

import numpy as np

from zoo.errors import InvalidInput, reason

SEPARATORS, SNIFFED = ",;\t|", 2**16
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")  # cells that hold nothing


def read_csv(path):
    """The columns of a CSV file: commas, semicolons, tabs or bars between them, points or commas in numbers.

    Raises:
        InvalidInput: no text, rows of several lengths, no rows.
    """
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise InvalidInput(f"{str(path)!r} is no text, and so no table")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    separator = separator_of(text)
    header, *rows = parsed_csv(text, separator, path)
    if not is_head(header, separator):
        header, rows = [str(number) for number in range(len(header))], [header, *rows]
    rows = [row for row in rows if any(map(str.strip, row))]
    names = [name.strip() for name in header]
    index = [number for number, name in enumerate(names) if not name][:1] if names and not names[0] else []
    names = [name or f"column {number}" for number, name in enumerate(names)]
    if len(set(names)) < len(names):
        raise InvalidInput(f"{str(path)!r} has two columns {next(n for n in names if names.count(n) > 1)!r}")
    if not rows:
        raise InvalidInput(f"{str(path)!r} has a head and no rows")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns = {name: cells for name, cells in columns.items() if name in header or any(map(str.strip, cells))}
    found = {name: numbers_of(cells, separator) for n, (name, cells) in enumerate(columns.items()) if n not in index}
    return found, ["the index, a column without a name"] if index else []


def is_head(cells, separator):
    """Whether the first row of a CSV file names the columns: by text, or by numbers that count them, as pandas does."""
    cells = [cell.strip() for cell in cells if cell.strip()]
    counts = cells == [str(number) for number in range(len(cells))]
    numbers = [numbers_of([cell], separator).dtype.kind for cell in cells]
    return counts or not ("O" not in numbers or "f" in numbers) or not cells


def separator_of(text):
    """What separates the cells: what divides the first lines into as many parts each, and the most."""
    lines = list(io.StringIO(text[:SNIFFED]))[:-1] or [text]

    def parts(separator):
        counts = [len(row) for row in csv.reader(lines[:50], delimiter=separator) if row]
        same = sum(count == counts[0] for count in counts[:-1]) / max(len(counts) - 1, 1) if counts else 0
        return (bool(counts) and counts[0] > 1) * same, counts[0] if counts else 0

    return max(SEPARATORS, key=parts)


def parsed_csv(text, separator, path):
    """The rows of a CSV file as lists of text, through pandas where it is installed, which is faster."""
    try:
        import pandas
    except ImportError:
        pandas = None
    if pandas is None:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    else:
        given = {"sep": separator, "header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": True}
        try:
            found = pandas.read_csv(io.StringIO(text, newline=""), **given)
            if found.isna().to_numpy().any():  # an empty cell is "", and one that is not there is none
                raise InvalidInput(f"the rows of {str(path)!r} have several lengths")
            rows = found.to_numpy().tolist()
        except pandas.errors.EmptyDataError:
            rows = []
        except pandas.errors.ParserError as error:
            raise InvalidInput(f"the rows of {str(path)!r} have several lengths: {reason(error)}") from None
    if not rows:
        raise InvalidInput(f"{str(path)!r} is empty")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InvalidInput(f"row {number} of {str(path)!r} has {len(row)} cells, the first has {len(rows[0])}")
    return rows


def is_number(cell):
    """Whether the text of a cell is a number, or stands for none."""
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in MISSING
    return True


def numbers_of(cells, separator):
    """A column of numbers [N], whole where all are, or of text.

    Where something else than a comma separates the cells, a comma in a number is its decimal point: 1.234,5.
    """
    cells = [cell.strip() for cell in cells]
    plain = without_commas(cells) if separator != "," and "," in "".join(cells) else cells
    if {cell.lower() for cell in plain} <= {"true", "false"}:
        plain = [str(int(cell.lower() == "true")) for cell in plain]
    if not all(map(is_number, plain)):
        return np.array(cells, object)
    if all(re.fullmatch(r"[+-]?\d{1,15}", cell) for cell in plain):
        return np.array(plain).astype("int64")
    return np.array([np.nan if cell.lower() in MISSING else float(cell) for cell in plain])


def without_commas(cells):
    """Cells with points in place of decimal commas, 1.234,5, or without those between thousands, 1,234.5."""
    if any(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+", cell) for cell in cells):
        return [cell.replace(",", "") for cell in cells]
    decimal = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?([eE][+-]?\d+)?"
    if all(cell.lower() in MISSING or re.fullmatch(decimal, cell) for cell in cells):
        return [cell.replace(".", "").replace(",", ".") for cell in cells]
    return cells
