"""Rows on their way through a pipeline: what is known of each, its seed, and whether a model takes it."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zoo.data.check import check_batch
from zoo.data.sources.examples import LABEL_NAMES
from zoo.data.spec import LABELS, FieldSpec
from zoo.errors import InvalidInput

MOST, BYTES = 1024, 2**24  # rows of a batch, and bytes of its data in single precision


class Batch(NamedTuple):
    """Rows by key, with an array of values, or a list of one a row, of each field; (key, reason) of unreadable ones."""

    keys: list
    fields: dict
    failed: Sequence = ()

    @property
    def nbytes(self):
        """Of the arrays."""
        values = [value for field in self.fields.values() for value in (field if isinstance(field, list) else [field])]
        return sum(value.nbytes for value in values)


class Result(NamedTuple):
    """What a model says of the rows of a batch: name -> array [N, ...], and (key, reason) of those it does not take."""

    keys: list
    outputs: dict
    failed: list

    @property
    def nbytes(self):
        """Of the arrays."""
        return sum(value.nbytes for value in self.outputs.values())


def rows_of(shape):
    """How many rows of data of a shape make up a batch."""
    return max(1, min(MOST, BYTES // (4 * int(np.prod(shape)))))


def seed_of(key, seed):
    """A whole number of 63 bits that hangs on a row's key and the run's seed alone, on any machine."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def arrays_of(batch, specs, seed):
    """(keys, {input: array [N, ...]}, failed): the rows that fit, as a signature takes them, and those that do not.

    Args:
        specs: input -> `FieldSpec`. Labels that are not there are unknown, and what has a mask is observed.
    """
    if not batch.keys:
        return [], {}, list(batch.failed)
    given = {name: spec for name, spec in specs.items() if name in batch.fields}
    batch = batch._replace(fields={name: of_one_dtype(batch.fields[name], spec) for name, spec in given.items()})
    fits = np.ones(len(batch.keys), bool)
    for name, spec in given.items():
        fits &= fitting(batch.fields[name], spec)
    rows = np.flatnonzero(fits)
    keys = batch.keys if fits.all() else [batch.keys[row] for row in rows]
    failed = [*batch.failed, *((batch.keys[row], reason_of(batch, row, given)) for row in np.flatnonzero(~fits))]
    arrays = {name: as_input(batch.fields[name], rows, spec) for name, spec in given.items()}
    for name, spec in specs.items():
        if name not in given:
            arrays[name] = left_out(name, spec, keys, seed)
    return keys, arrays, failed


def of_one_dtype(values, spec):
    """Values whose pixels of uint8 are divided by 255 where others are beside them."""
    if not isinstance(values, list) or len({value.dtype for value in values}) < 2:
        return values
    return [as_input(value[None], [0], spec)[0] for value in values]


def fitting(values, spec):
    """bool [N]: which rows have the shape, and values in the range, of a field."""
    if isinstance(values, list):
        same = np.array([np.shape(value) == tuple(spec.shape) for value in values])
        found = np.zeros(len(values), bool)
        if same.any():
            found[same] = fitting(np.stack([v for v, fits in zip(values, same, strict=True) if fits]), spec)
        return found
    if values.shape[1:] != tuple(spec.shape) or values.dtype.kind not in "biuf":
        return np.zeros(len(values), bool)
    flat = values.reshape(len(values), -1)
    if values.dtype == np.uint8 and np.dtype(spec.dtype).kind == "f":
        return np.ones(len(values), bool)
    found = np.isfinite(flat).all(1)
    found &= True if spec.minimum is None else (flat >= spec.minimum).all(1)
    return found & (True if spec.maximum is None else (flat <= spec.maximum).all(1))


def reason_of(batch, row, specs):
    """Why a model does not take a row."""
    try:
        check_batch({name: np.asarray(batch.fields[name][row])[None] for name in specs}, specs)
    except InvalidInput as error:
        return str(error)
    return "its values are not what the model takes"


def as_input(values, rows, spec):
    """An array [N, ...] of some rows of values, in a field's dtype, pixels of uint8 divided by 255."""
    if isinstance(values, list):
        values = np.stack([values[row] for row in rows]) if len(rows) else np.zeros((0, *spec.shape), spec.dtype)
    elif len(rows) < len(values):
        values = values[rows]
    if values.dtype == np.uint8 and np.dtype(spec.dtype).kind == "f":
        return np.divide(values, np.float32(255), dtype="float32")
    return values.astype(spec.dtype, copy=False)


def left_out(name, spec, keys, seed):
    """What stands for an input that the rows do not have."""
    if spec.role in ("data", "condition") and not spec.optional:
        raise InvalidInput(f"the model needs {name} of every row, in a column or feature {' or '.join(called(name))}")
    if spec.role == "seed":
        return np.array([seed_of(key, seed) for key in keys], spec.dtype)
    return np.full((len(keys), *spec.shape), 1 if spec.role == "mask" else -1, spec.dtype)


def called(name):
    """The names of columns and features that a field goes by."""
    return LABEL_NAMES if name == LABELS else [name]


def specs_from(described):
    """Input -> `FieldSpec`, of what JSON holds of them."""
    return {name: FieldSpec(**{**spec, "shape": tuple(spec["shape"])}) for name, spec in described.items()}
