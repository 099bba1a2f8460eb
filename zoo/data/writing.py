"""Shards of TFRecord files, for data that do not fit in memory or are slow to decode."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.sources.examples import example_of
from zoo.data.sources.folder import INDEX
from zoo.data.sources.records import AROUND, PIECE
from zoo.data.spec import LABELS, LENGTH
from zoo.errors import InvalidInput, OutputExists, check_positive
from zoo.files import atomic

if TYPE_CHECKING:
    import tensorflow as tf


def write_shards(dataset: "tf.data.Dataset", folder: str | os.PathLike, shards: int = 16) -> int:
    """Write the rows of a data set into a new folder of TFRecord files and an index, and return their number.

    The rows go to the files in turn, so that whatever was sorted by class is mixed. The folder appears whole or not at
    all; `load_dataset(folder)` streams it.

    Args:
        dataset: batches as `load_dataset` gives them, of x uint8 or float32 and perhaps y; each row is written once.
        folder: must not exist.
        shards: how many files; some for every process that reads them.

    Raises:
        InvalidInput: sequences, a data set without an end, or no rows.
        OutputExists: the folder is there.
    """
    check_positive(shards=shards)
    folder = Path(folder)
    if folder.exists():
        raise OutputExists(f"{folder} is there already: choose another folder")
    if LENGTH in dataset.element_spec:
        raise InvalidInput("shards hold rows of one shape, and these are sequences")
    if dataset.cardinality() == -1:
        raise InvalidInput("the data set has no end: leave out first_epoch")
    with atomic(folder) as scratch:
        scratch.mkdir()
        rows = write_records(dataset, [scratch / f"{n:05}-of-{shards:05}.tfrecord" for n in range(shards)])
        if not rows:
            raise InvalidInput("the data set is empty: it yields no batch")
    return rows


def write_records(dataset, files):
    """Write rows into files in turn, and the index beside them: the number of rows."""
    import tensorflow as tf

    sizes, places, rows = [0] * len(files), [[] for _ in files], 0
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(tf.io.TFRecordWriter(str(file))) for file in files]
        for batch in dataset.as_numpy_iterator():
            for row in range(len(batch["x"])):
                file, number = rows % len(files), rows // len(files)
                record = example_of(batch["x"][row], batch[LABELS][row] if LABELS in batch else None)
                writers[file].write(record)
                if number % PIECE == 0:
                    places[file].append(sizes[file])
                sizes[file] += len(record) + AROUND
                rows += 1
    counts = [(rows - file + len(files) - 1) // len(files) for file in range(len(files))]
    index = {"names": [file.name for file in files], "bytes": sizes, "rows": counts, "places": sum(places, [])}
    np.savez(files[0].parent / INDEX, **index)
    return rows
