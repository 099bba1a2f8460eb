"""Keras callbacks: averaging of weights, and early stopping."""

import math

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive


class ExponentialMovingAverage(keras.callbacks.Callback):
    """Averages every floating-point weight of the model itself. Polyak & Juditsky 1992.

    From an epoch's validation to the next epoch's start, and after `fit`, the average stands in the model: what is
    validated, saved or looked at there is one and the same. `fit` runs this callback before all others.

    Keras' own `use_ema` overwrites the weights at the end of `fit`, which no resumed run survives.

    Args:
        decay: of the average, per update; early on it is held below (1 + t) / (10 + t). After a call that makes
            several updates the last one's weights count for all of them.
    """

    comes_first = comes_with_calls = True

    def __init__(self, decay=0.999):
        super().__init__()
        if not 0 < decay < 1:
            raise InvalidInput(f"the decay of the weight average lies between 0 and 1, got {decay!r}")
        self.decay = decay
        self.other, self.in_place, self.last, self.restored = None, False, 0, None

    def set_model(self, model):
        super().set_model(model)
        scalars = {id(v) for v in model.scalars.values()}
        self.weights = [v for v in model.own_weights if id(v) not in scalars and v.dtype == "float32"]

    def on_train_begin(self, logs=None):
        self.last = int(self.model.steps.numpy())
        self.in_place = self.restored is not None and self.in_place
        self.other = [tf.Variable(value) for value in self.restored or [w.numpy() for w in self.weights]]
        self.restored = None
        self.update = tf.function(self.move)  # of this fit: a graph keeps the variables it was traced with

    def state(self):
        """For a checkpoint: which of the two stands in the model, the average or the trained weights, and the other."""
        return {"in_place": np.array(self.in_place), **{str(i): v.numpy() for i, v in enumerate(self.other)}}

    def restore(self, state):
        """Take up the state of a checkpoint when training begins."""
        self.in_place = bool(state.get("in_place", False))
        self.restored = [state[str(i)] for i in range(len(self.weights))]

    def move(self, keep):
        for average, weight in zip(self.other, self.weights, strict=True):
            average.assign_add((1 - keep) * (tf.convert_to_tensor(weight) - average))

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.steps.numpy())
        keep = min(self.decay, (1 + step) / (10 + step)) ** (step - self.last)
        self.update(tf.constant(keep, tf.float32))
        self.last = step

    def put(self, in_place):
        """Have the average in the model, or the trained weights."""
        if self.other is None or self.in_place == in_place:
            return
        for other, weight in zip(self.other, self.weights, strict=True):
            value = weight.numpy()
            weight.assign(other)
            other.assign(value)
        self.in_place = in_place

    def on_test_begin(self, logs=None):
        self.put(in_place=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.put(in_place=False)

    def on_epoch_end(self, epoch, logs=None):
        self.put(in_place=True)

    def on_train_end(self, logs=None):
        self.put(in_place=True)
        self.other, self.in_place = None, False


class EarlyStopping(keras.callbacks.Callback):
    """Stops when the validation loss has not improved for `patience` epochs and goes back to the best weights.

    While a schedule moves a scalar the count stands still. Count, best value and best weights survive a resumed run.
    """

    def __init__(self, patience):
        super().__init__()
        check_positive(patience=patience)
        self.patience = patience
        self.wait, self.best, self.scalars, self.best_weights = 0, math.inf, None, None

    def state(self):
        """Count, best value and best weights, for a checkpoint."""
        weights = {f"weight/{i}": w for i, w in enumerate(self.best_weights)}
        return {"wait": np.array(self.wait), "best": np.array(self.best), "scalars": np.array(self.scalars), **weights}

    def restore(self, state):
        """Take up the state of a checkpoint."""
        self.wait, self.best, self.scalars = int(state["wait"]), float(state["best"]), state["scalars"].tolist()
        self.best_weights = [state[f"weight/{i}"] for i in range(len(state) - 3)]

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" not in (logs or {}):
            raise InvalidInput("early stopping needs validation data")
        moved, self.scalars = self.scalars, [float(v.numpy()) for v in self.model.scalars.values()]
        loss = logs["val_loss"] if math.isfinite(logs["val_loss"]) else math.inf
        if loss < self.best or self.best_weights is None:
            self.wait, self.best, self.best_weights = 0, loss, self.model.get_weights()
            return
        self.wait = self.wait + 1 if moved == self.scalars else 0
        if self.wait >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
