"""Keras callbacks: averaging of weights, and early stopping."""

import math

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive


class ExponentialMovingAverage(keras.callbacks.Callback):
    """Averages every floating-point weight of the model itself; validation in `fit` and the model after it use it.

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
        scalars = {id(v) for v in model.scalars.values()}
        self.weights = [v for v in model.own_weights if id(v) not in scalars and v.dtype == "float32"]

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
    validated. While a schedule moves a scalar the losses are not comparable, and the count starts anew. Count, best
    value and best weights survive a resumed run.
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

    def on_test_begin(self, logs=None):
        self.validated = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" not in (logs or {}):
            raise InvalidInput("early stopping needs validation data")
        scalars = [float(v.numpy()) for v in self.model.scalars.values()]
        loss = logs["val_loss"] if math.isfinite(logs["val_loss"]) else math.inf
        if loss < self.best or scalars != self.scalars:
            self.wait, self.best, self.scalars, self.best_weights = 0, loss, scalars, self.validated
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
