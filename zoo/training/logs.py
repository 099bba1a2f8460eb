"""Logs of a run: CSV files that are replaced whole at the end of each epoch, so that no kill costs a row."""

import csv
import io
import pathlib

import keras

from zoo.errors import InvalidInput
from zoo.files import write_bytes


class EpochLogger(keras.callbacks.Callback):
    """Writes what Keras reports of each epoch: a header, then a row an epoch."""

    def __init__(self, path):
        super().__init__()
        self.path = pathlib.Path(path)

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        header, *rows = read_rows(self.path) or [["epoch"]]
        header += sorted(name for name in logs if name not in header)
        rows.append([epoch, *(logs.get(name, "") for name in header[1:])])
        write_rows(self.path, [header, *rows])


class KLPerUnitLogger(keras.callbacks.Callback):
    """Writes the mean KL of every latent unit, nats: a row a latent and epoch.

    There is no file of a model whose KL has no closed form over units, as those of flows.
    """

    def __init__(self, path):
        super().__init__()
        self.path = pathlib.Path(path)

    def on_epoch_begin(self, epoch, logs=None):
        self.values = {}

    def on_test_begin(self, logs=None):
        self.read()

    def read(self):
        if not self.values:
            metrics = self.model.unit_metrics.items()
            self.values = {name: m.kl_per_unit().numpy() for name, m in metrics if m.total is not None}

    def on_epoch_end(self, epoch, logs=None):
        self.read()
        rows = [[epoch, name, *(f"{value:.6g}" for value in kl)] for name, kl in self.values.items()]
        if rows:
            write_rows(self.path, [*read_rows(self.path), *rows])


def read_rows(path):
    """The rows of a CSV file, [] where there is none, without blank ones and a last one that was cut off.

    Raises:
        InvalidInput: it is not one.
    """
    try:
        text = path.read_bytes().decode()
        return [row for row in csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline="")) if row]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} is not a log of the zoo: {error}; move it away to go on") from None


def write_rows(path, rows):
    """Write a CSV file at once."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_bytes(path, text.getvalue().encode())


def forget_after(path, epoch):
    """Drop the rows of a log that a checkpoint at `epoch` does not know."""
    rows = read_rows(path)
    known = {"epoch", *map(str, range(epoch))}
    kept = [row for row in rows if row[0] in known]
    if kept != rows:
        write_rows(path, kept)
