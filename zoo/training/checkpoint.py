"""Checkpoints of a training run: every variable and every callback's state, in a file that appears whole."""

import contextlib
import io
import os
import pathlib
import zipfile

import keras
import numpy as np

from zoo.errors import InvalidInput
from zoo.files import atomic

FILE, OLDER = "checkpoint.npz", "checkpoint.older.npz"
LAYOUT = 2  # of the file; 1 knew one optimiser and had no number


class Checkpoint(keras.callbacks.Callback):
    """Writes `checkpoint.npz` into a folder at the end of each epoch: model, optimiser, and `stateful` callbacks.

    The one of the epoch before stays beside it, as `checkpoint.older.npz`.

    Random numbers of models need no state of their own: they derive from the model's seed and its step counter. That of
    dropout layers is a variable of theirs.

    Args:
        directory: the run's folder.
        stateful: name -> callback with `state() -> {key: array}` and `restore(dict)`.
    """

    def __init__(self, directory, stateful):
        super().__init__()
        self.path, self.older = (pathlib.Path(directory) / name for name in (FILE, OLDER))
        self.stateful = stateful

    @property
    def exists(self):
        return self.path.exists() or self.older.exists()

    def variables(self):
        """Of the model, of every player's optimiser, and the states of its layers."""
        known = {id(variable) for variable in (*self.model.weights, *self.model.metrics_variables)}
        states = [variable for variable in self.model.variables if id(variable) not in known]
        optimizers = {id(player.optimizer): player.optimizer for player in self.model.players()}
        moments = [variable for optimizer in optimizers.values() for variable in optimizer.variables]
        return [*self.model.weights, *moments, *states]

    def on_epoch_end(self, epoch, logs=None):
        arrays = {f"variable/{i}": v.numpy() for i, v in enumerate(self.variables())}
        for name, callback in self.stateful.items():
            arrays |= {f"{name}/{key}": value for key, value in callback.state().items()}
        arrays |= {"epoch": np.array(epoch + 1), "layout": np.array(LAYOUT)}
        content = io.BytesIO()
        np.savez(content, **arrays)
        with atomic(self.path) as temporary:
            temporary.write_bytes(content.getbuffer())
            if self.path.exists():
                os.replace(self.path, self.older)

    def restore(self):
        """Load the file into the model and the callbacks; returns the epoch to go on with (0 where there is no file).

        Where the file is damaged, or missing, the one of the epoch before takes its place, with a word.

        Raises:
            InvalidInput: the files are damaged, belong to another model or optimiser, or have an earlier layout.
        """
        if not self.exists:
            return 0
        try:
            return self.restore_from(self.path)
        except Damaged as error:
            if not self.older.exists():
                raise InvalidInput(f"{error}, and there is no older one: start the run anew") from None
            epoch = self.restore_from(self.older)
            print(f"{error}: going on from {self.older.name}, which is of epoch {epoch}", flush=True)
            return epoch

    def restore_from(self, path):
        """Load one file; the model and the callbacks are as they were unless all of it fits."""
        arrays = read_arrays(path)
        if arrays.get("layout") != LAYOUT:
            raise InvalidInput(f"{path} was written by an earlier version of the zoo: start the run anew")
        variables = self.variables()
        saved = [arrays.get(f"variable/{i}") for i in range(len(variables))]
        if any(s is None or s.shape != tuple(v.shape) for s, v in zip(saved, variables, strict=True)):
            raise InvalidInput(f"{path} belongs to another model or optimiser: resume with the run's own settings")
        with damaged(path):
            epoch = int(arrays["epoch"])
            for name, callback in self.stateful.items():
                prefix = f"{name}/"
                callback.restore({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        return epoch


class Damaged(InvalidInput):
    """A checkpoint that cannot be read."""


@contextlib.contextmanager
def damaged(path):
    """Whatever is said of a file that is cut off, missing or full of other things becomes `Damaged`."""
    try:
        yield
    except Exception as error:
        raise Damaged(f"{path} is damaged ({type(error).__name__})") from error


def read_arrays(path):
    """Name -> array of a checkpoint, from a file whose arrays are not larger than it is."""
    with damaged(path), zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("compressed")
        return dict(file)
