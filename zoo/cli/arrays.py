"""Arrays in and out of commands: a user's own examples batch by batch, and files of NumPy."""

import contextlib
import pathlib

import numpy as np
import typer

from zoo.errors import InvalidInput, choose
from zoo.files import atomic

BATCH = 100
FORMATS = ("png", "npy", "npz")


def target(output, format, default):
    """The file to write, of the format that is asked for by name or by the file's ending, PNG where neither is."""
    if format is not None:
        choose("format", format, dict.fromkeys(FORMATS))
        output = output or pathlib.Path(f"{default}.{format}")
        if output.suffix != f".{format}":
            raise InvalidInput(f"--format {format} does not go with --output {output}")
    return output or pathlib.Path(f"{default}.png")


def is_array(path):
    """Whether a file is one of NumPy's."""
    return path.suffix in (".npy", ".npz")


def check_array(path):
    """Raise `InvalidInput` unless a file's name is that of one of NumPy's."""
    if not is_array(path):
        raise InvalidInput(f"--output is a file that ends in .npy or .npz, got {str(path)!r}")


def write_arrays(path, arrays):
    """Write arrays by name as .npz, or the only one as .npy."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        if path.suffix == ".npz":
            np.savez(file, **arrays)
        else:
            np.save(file, *arrays.values())


@contextlib.contextmanager
def saying(path, what):
    """Say that a file is written, what is in it, and whether it takes the place of another; `what` may be called."""
    there = pathlib.Path(path).exists()
    yield
    replaced = " (in place of the one that was there)" if there else ""
    typer.echo(f"wrote {path}{replaced}: {what() if callable(what) else what}")


def in_batches(function, fields):
    """{name: [N, ...]} of a function of fields [N, ...] that gives such a dict, a hundred rows at a time."""
    import tensorflow as tf

    count = len(next(iter(fields.values())))
    batches = [{k: tf.constant(v[i : i + BATCH]) for k, v in fields.items()} for i in range(0, count, BATCH)]
    parts = [function(batch) for batch in batches]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
