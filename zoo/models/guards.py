"""What stops a training that goes nowhere, before it begins or once it shows, and data that do not fit the model."""

import contextlib
import functools
import inspect
import math
import numbers
import os
import pathlib
import warnings

import keras

from zoo.data.check import said_range
from zoo.errors import InvalidInput

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
EXPLODED = 10  # times the loss before the first update
COPIES, SEEDS = 4, 128  # of what is drawn: parameters, noise, draws and their log density; bytes of a row's seed


def check_keras():
    """Raise `InvalidInput` unless Keras runs on TensorFlow, with images [H, W, C] and weights in float32."""
    backend, policy = keras.backend.backend(), keras.config.dtype_policy().name
    if backend != "tensorflow":
        raise InvalidInput(f"Keras runs on {backend}: set KERAS_BACKEND=tensorflow before anything imports keras")
    if keras.config.image_data_format() != "channels_last":
        raise InvalidInput('images are [H, W, C] here: keras.config.set_image_data_format("channels_last")')
    if keras.config.floatx() != "float32":
        raise InvalidInput(
            f"models take float32, and Keras' floatx is {keras.config.floatx()}: keras.config.set_floatx('float32')"
        )
    if policy not in POLICIES:
        mixed = f"mixed_{policy}" if f"mixed_{policy}" in POLICIES else "float32"
        raise InvalidInput(
            f"log densities need float32, and Keras' dtype policy is {policy}: keras.config.set_dtype_policy({mixed!r})"
        )


def check_trainable(model):
    """Raise `InvalidInput` where there is nothing to train."""
    if not model.trainable_variables:
        raise InvalidInput("no weight of the model is trainable: set model.trainable = True, or that of some layers")


def check_memory(what, rows, row_size):
    """Raise `InvalidInput` where rows of so many numbers, several times over, need more memory than there is."""
    wanted, there = rows * (COPIES * 4 * row_size + SEEDS), memory()
    if wanted > there:
        raise InvalidInput(
            f"{what} would take more than {wanted / 2**30:,.0f} GB, and this machine has {there / 2**30:,.0f}: "
            "ask for fewer, several times"
        )


def check_draws(model, inputs, num_samples):
    """As `check_memory`, of so many draws of the latents for each row of a model's inputs."""
    rows = len(next(iter(inputs.values())))
    check_memory(f"{num_samples} draws of each row", num_samples * rows, model.row_size)


def check_temperature(model, temperature):
    """A temperature of draws from a model, or `InvalidInput`."""
    if not isinstance(temperature, numbers.Real) or not 0 <= temperature < math.inf:
        raise InvalidInput(f"temperature must be a number from 0, got {temperature!r}")
    if "temperature" not in inspect.signature(model.draw).parameters:
        raise InvalidInput(f"the prior of a {model.registry_name} has no scale for a temperature")
    return float(temperature)


@functools.cache
def memory():
    """Bytes of memory that this process may have, infinite where the system does not say."""
    found = [math.inf]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError):  # of a container
        found.append(int(pathlib.Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)


class Guard(keras.callbacks.Callback):
    """Stops with a clear message on rows that do not fit the model, and on updates that stay non-finite or too steep.

    Not while the scale of a loss in half precision is falling, which takes as many updates as it has to be halved.

    Args:
        patience: how many updates of one epoch may be left out, or all of it, before training stops.
    """

    comes_with_calls = True

    def __init__(self, patience=100):
        super().__init__()
        self.patience = patience

    def on_train_begin(self, logs=None):
        self.start = None

    def on_train_batch_end(self, batch, logs=None):
        skipped = (logs or {}).get("skipped", True)
        if skipped:  # which the logs may know of one replica alone
            skipped = float(self.model.skipped.result())
        if not skipped:
            self.start = float(logs["loss"]) if self.start is None and logs else self.start
            return
        self.check_rows(batch, then="; nothing was learnt from that batch")
        if skipped >= min(self.patience, self.params.get("steps") or self.patience) and not self.scale_falls():
            raise FloatingPointError(
                f"{int(skipped)} updates of this epoch had a loss or gradient that is not finite{self.or_steep()}, and "
                "were skipped; training stops. Lower the learning rate, clip gradients (clipnorm) or look for outliers "
                "in the data; the last checkpoint is untouched"
            )

    def or_steep(self):
        """What else is skipped, in words."""
        most = self.model.skip_norm
        return "" if most is None else f", or a gradient whose norm is above skip_norm={most:g}"

    def scale_falls(self):
        """Whether the loss is scaled, still by more than 1."""
        optimizer = self.model.optimizer
        return isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and bool(optimizer.dynamic_scale > 1)

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

    def check_rows(self, batch, logs=None, then=""):
        """Raise `InvalidInput` if rows were counted that do not fit; `then` ends its message."""
        for (name, spec), rows in zip(self.model.batch_spec.items(), self.model.tally.unfit.numpy(), strict=True):
            if rows:
                number = batch + 1 if self.model.steps_per_execution == 1 else int(self.model.tally.batches)
                wanted = said_range(spec)
                bounds = f" or outside {wanted}" if wanted != ".." else ""
                raise InvalidInput(
                    f"{rows:g} rows of {name} in batch {number} hold values that are NaN, infinite{bounds}{then}"
                )

    on_test_batch_end = on_predict_batch_end = check_rows
