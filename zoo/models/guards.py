"""What stops a training that goes nowhere, and data that do not fit the model."""

import warnings

import keras

from zoo.data.check import said_range
from zoo.errors import InvalidInput

EXPLODED = 10  # times the loss before the first update


class Guard(keras.callbacks.Callback):
    """Stops with a clear message on rows that do not fit the model, and on updates that stay non-finite.

    Args:
        patience: how many updates of one epoch may be left out, or all of it, before training stops.
    """

    def __init__(self, patience=100):
        super().__init__()
        self.patience = patience

    def on_train_begin(self, logs=None):
        self.start = None

    def on_train_batch_end(self, batch, logs=None):
        if self.start is None and "loss" in (logs or {}):
            self.start = float(logs["loss"])
        skipped = float(self.model.skipped.result())
        if not skipped:
            return
        self.check_rows(batch)
        if skipped >= min(self.patience, self.params.get("steps") or self.patience):
            raise FloatingPointError(
                f"{int(skipped)} updates of this epoch had a loss or gradient that is not finite, and were skipped; "
                "training stops. Lower the learning rate, clip gradients (clipnorm) or look for outliers in the data; "
                "the last checkpoint is untouched"
            )

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if self.start is not None and loss > EXPLODED * max(abs(self.start), 1.0):
            warnings.warn(
                f"epoch {epoch + 1}: the loss has gone from {self.start:.3g} up to {loss:.3g} nats; "
                "lower the learning rate, or clip gradients (clipnorm)",
                stacklevel=2,
            )
            self.start = loss

    def on_predict_begin(self, logs=None):
        self.model.tally.reset_state()

    def check_rows(self, batch, logs=None):
        """Raise `InvalidInput` if rows were counted that do not fit."""
        for (name, spec), rows in zip(self.model.batch_spec.items(), self.model.tally.unfit.numpy(), strict=True):
            if rows:
                wanted = said_range(spec)
                bounds = f" or outside {wanted}" if wanted != ".." else ""
                raise InvalidInput(
                    f"{rows:g} rows of {name} in batch {batch + 1} hold values that are NaN, infinite{bounds}; "
                    "nothing was learnt from that batch"
                )

    on_test_batch_end = on_predict_batch_end = check_rows
