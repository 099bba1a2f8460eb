"""Checkpoints of a training run: every variable and every callback's state, in one file that appears whole."""

import pathlib

import keras
import numpy as np

from zoo.errors import InvalidInput
from zoo.files import atomic

FILE = "checkpoint.npz"
LAYOUT = 2  # of the file; 1 knew one optimiser and had no number


class Checkpoint(keras.callbacks.Callback):
    """Writes `checkpoint.npz` into a folder at the end of each epoch: model, optimiser, and `stateful` callbacks.

    Random numbers of models need no state of their own: they derive from the model's seed and its step counter. That of
    dropout layers is a variable of theirs.

    Args:
        directory: the run's folder.
        stateful: name -> callback with `state() -> {key: array}` and `restore(dict)`.
    """

    def __init__(self, directory, stateful):
        super().__init__()
        self.path = pathlib.Path(directory) / FILE
        self.stateful = stateful

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
        with atomic(self.path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    def restore(self):
        """Load the file into the model and the callbacks; returns the epoch to go on with (0 where there is no file).

        Raises:
            InvalidInput: the file belongs to another model or optimiser, or has the layout of an earlier version.
        """
        if not self.path.exists():
            return 0
        with np.load(self.path, allow_pickle=False) as file:
            arrays = dict(file)
        if arrays.get("layout") != LAYOUT:
            raise InvalidInput(f"{self.path} was written by an earlier version of the zoo: start the run anew")
        variables = self.variables()
        saved = [arrays.get(f"variable/{i}") for i in range(len(variables))]
        if any(s is None or s.shape != tuple(v.shape) for s, v in zip(saved, variables, strict=True)):
            raise InvalidInput(f"{self.path} belongs to another model or optimiser: resume with the run's own settings")
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        for name, callback in self.stateful.items():
            prefix = f"{name}/"
            callback.restore({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})
        return int(arrays["epoch"])
