"""Keras callbacks: schedules of the KL weight, averaging of weights, and guards."""

import csv
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive
from zoo.registry import Registry


class KLSchedule(keras.callbacks.Callback):
    """Moves the model's `beta` before each step to `weight(step)`, the step being the optimiser's count of updates.

    `beta` and the count are saved with a checkpoint, so a resumed run continues the schedule.
    """

    def weight(self, step):
        """The KL weight at an update."""
        raise NotImplementedError

    def on_train_batch_begin(self, batch, logs=None):
        self.model.beta.assign(self.weight(int(self.model.steps.numpy())))


class LinearKL(KLSchedule):
    """From `start` to `stop` in `steps` updates, then constant. Bowman et al. 2016, arXiv:1511.06349."""

    def __init__(self, steps, start=0.0, stop=1.0):
        super().__init__()
        check_positive(steps=steps)
        self.steps, self.start, self.stop = steps, start, stop

    def weight(self, step):
        return self.start + (self.stop - self.start) * min(1.0, step / self.steps)


class SigmoidKL(LinearKL):
    """As `LinearKL`, along a logistic curve from -6 to 6, rescaled to meet both ends."""

    def weight(self, step):
        def logistic(x):
            return 1 / (1 + math.exp(-x))

        low, high = logistic(-6), logistic(6)
        rise = (logistic(12 * min(1.0, step / self.steps) - 6) - low) / (high - low)
        return self.start + (self.stop - self.start) * rise


class CyclicalKL(LinearKL):
    """Equal cycles over `steps` updates, each rising for the share `ramp` and then staying; `stop` after the last.

    Fu et al. 2019, arXiv:1903.10145: 4 cycles, half of each rising.
    """

    def __init__(self, steps, cycles=4, ramp=0.5, start=0.0, stop=1.0):
        super().__init__(steps, start, stop)
        check_positive(cycles=cycles)
        if not 0 < ramp <= 1:
            raise InvalidInput(f"ramp is the rising share of a cycle, in (0, 1], got {ramp!r}")
        self.cycles, self.ramp = cycles, ramp

    def weight(self, step):
        if step >= self.steps:
            return self.stop
        place = (step * self.cycles / self.steps) % 1.0
        return self.start + (self.stop - self.start) * min(1.0, place / self.ramp)


KL_SCHEDULES = Registry("KL schedule")
for name, schedule in (("linear", LinearKL), ("sigmoid", SigmoidKL), ("cyclical", CyclicalKL)):
    KL_SCHEDULES.register(name)(schedule)


class StopWhenNotFinite(keras.callbacks.Callback):
    """Stops training with a clear message once `patience` updates of one epoch, or all of it, were not finite."""

    def __init__(self, patience=100):
        super().__init__()
        self.patience = patience

    def on_train_batch_end(self, batch, logs=None):
        skipped = float(self.model.skipped.result())
        if skipped >= min(self.patience, self.params.get("steps") or self.patience):
            raise FloatingPointError(
                f"{int(skipped)} updates of this epoch had a loss or gradient that is not finite, and were skipped; "
                "training stops. Lower the learning rate, clip gradients (clipnorm) or look for outliers in the data; "
                "the last checkpoint is untouched"
            )


class ExponentialMovingAverage(keras.callbacks.Callback):
    """Averages every floating-point weight; validation inside `fit` and the model after it use the average.

    Keras' own `use_ema` overwrites the weights at the end of `fit`, which no resumed run survives; here the trained
    weights stay in place until the training ends. Polyak & Juditsky 1992.

    Args:
        decay: of the average, per update; early on it is held below (1 + t) / (10 + t).
    """

    def __init__(self, decay=0.999):
        super().__init__()
        if not 0 < decay < 1:
            raise InvalidInput(f"the decay of the weight average lies between 0 and 1, got {decay!r}")
        self.decay = decay
        self.average, self.last, self.restored = None, 0, None

    def set_model(self, model):
        super().set_model(model)
        self.weights = [v for v in model.weights if v is not model.beta and v.dtype == "float32"]

    def on_train_begin(self, logs=None):
        self.last = int(self.model.steps.numpy())
        start = self.restored or [w.numpy() for w in self.weights]
        self.average, self.restored = [tf.Variable(value) for value in start], None
        self.update = tf.function(self.move)  # of this fit: a graph keeps the variables it was traced with

    def state(self):
        """The average, for a checkpoint."""
        return {str(i): v.numpy() for i, v in enumerate(self.average)}

    def restore(self, state):
        """Take up the average of a checkpoint when training begins."""
        self.restored = [state[str(i)] for i in range(len(state))]

    def move(self, keep):
        for average, weight in zip(self.average, self.weights, strict=True):
            average.assign_add((1 - keep) * (tf.convert_to_tensor(weight) - average))

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.steps.numpy())
        keep = min(self.decay, (1 + step) / (10 + step)) ** (step - self.last)
        self.update(tf.constant(keep, tf.float32))
        self.last = step

    def swap(self):
        for average, weight in zip(self.average, self.weights, strict=True):
            value = weight.numpy()
            weight.assign(average)
            average.assign(value)

    def on_test_begin(self, logs=None):
        if self.average is not None:
            self.swap()

    on_test_end = on_test_begin

    def on_train_end(self, logs=None):
        self.swap()
        self.average = None


class EarlyStopping(keras.callbacks.Callback):
    """Stops when the validation loss has not improved for `patience` epochs and goes back to the best weights.

    Comes after `ExponentialMovingAverage` in the list of callbacks, so that the weights it keeps are those that were
    validated. While a KL schedule moves beta the losses are not comparable, and the count starts anew. Count, best
    value and best weights survive a resumed run.
    """

    def __init__(self, patience):
        super().__init__()
        check_positive(patience=patience)
        self.patience = patience
        self.wait, self.best, self.beta, self.best_weights = 0, math.inf, math.nan, None

    def state(self):
        """Count, best value and best weights, for a checkpoint."""
        weights = {f"weight/{i}": w for i, w in enumerate(self.best_weights)}
        return {"wait": np.array(self.wait), "best": np.array(self.best), "beta": np.array(self.beta), **weights}

    def restore(self, state):
        """Take up the state of a checkpoint."""
        self.wait, self.best, self.beta = int(state["wait"]), float(state["best"]), float(state["beta"])
        self.best_weights = [state[f"weight/{i}"] for i in range(len(state) - 3)]

    def on_test_begin(self, logs=None):
        self.validated = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" not in (logs or {}):
            raise InvalidInput("early stopping needs validation data")
        beta = float(self.model.beta.numpy())
        loss = logs["val_loss"] if math.isfinite(logs["val_loss"]) else math.inf
        if loss < self.best or beta != self.beta:
            self.wait, self.best, self.beta, self.best_weights = 0, loss, beta, self.validated
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)


class KLPerUnitLogger(keras.callbacks.Callback):
    """Appends the mean KL of every latent unit, nats, to a CSV file at the end of each epoch."""

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
        with open(self.path, "a", newline="") as file:
            writer = csv.writer(file)
            for name, kl in self.values.items():
                writer.writerow([epoch, name, *(f"{value:.6g}" for value in kl)])
