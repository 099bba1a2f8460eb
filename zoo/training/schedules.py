"""Schedules that move a scalar variable of a model with the updates, as Keras callbacks."""

import math

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive, choose
from zoo.quiet import say_once
from zoo.registry import Registry

SCHEDULES = Registry("schedule")


class Schedule(keras.callbacks.Callback):
    """Moves a scalar of the model to `at(step)` before each update, the step being the model's count of updates.

    It does so in the training graph, however many updates a call makes. The scalar and the count are saved with a
    checkpoint, so a resumed run continues the schedule. Validation is measured at the value that the schedule ends
    with, `at(math.inf)`, so that its epochs can be compared.

    Args:
        variable: a name of `model.scalars`: "beta", the weight of the KL; "temperature"; "mmd.weight", ...
    """

    def __init__(self, variable="beta"):
        super().__init__()
        self.moves = variable

    def set_model(self, model):
        super().set_model(model)
        self.scalar = choose("scalar of the model", self.moves, model.scalars)

    def at(self, step):
        """The scalar's value at an update, of a number or a float64 tensor, in TensorFlow's operations."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        self.scalar.assign(float(self.at(int(self.model.steps.numpy()))))

    def on_test_begin(self, logs=None):
        self.held = float(self.scalar.numpy())
        self.scalar.assign(float(self.at(math.inf)))

    def on_test_end(self, logs=None):
        self.scalar.assign(self.held)

    def on_train_end(self, logs=None):
        steps = int(self.model.steps.numpy())
        now, end = self.at(steps), self.at(math.inf)
        if not math.isclose(now, end, rel_tol=0.01):
            say_once(
                f"{self.moves} is {now:.3g} after {steps} updates, and its schedule ends at {end:.3g}: "
                "give the schedule fewer steps, or train for more epochs"
            )


@SCHEDULES.register("linear")
class Linear(Schedule):
    """From `start` to `stop` in `steps` updates, then constant. Bowman et al. 2016, arXiv:1511.06349.

    Args:
        steps: how many updates the way takes.
        start, stop: the values at its ends.
    """

    def __init__(self, steps, start=0.0, stop=1.0, variable="beta"):
        super().__init__(variable)
        check_positive(steps=steps)
        self.steps, self.start, self.stop = steps, start, stop

    def at(self, step):
        return self.start + (self.stop - self.start) * self.rise(tf.cast(step, tf.float64))

    def rise(self, step):
        """The share of the way that is gone at an update."""
        return tf.minimum(step / self.steps, 1.0)


@SCHEDULES.register("sigmoid")
class Sigmoid(Linear):
    """As `Linear`, along a logistic curve from -6 to 6, rescaled to meet both ends."""

    def rise(self, step):
        low, high = 1 / (1 + math.exp(6)), 1 / (1 + math.exp(-6))
        return (tf.sigmoid(12 * super().rise(step) - 6) - low) / (high - low)


@SCHEDULES.register("cyclical")
class Cyclical(Linear):
    """Equal cycles over `steps` updates, each rising for the share `ramp` and then staying; `stop` after the last.

    Fu et al. 2019, arXiv:1903.10145: 4 cycles, half of each rising.

    Args:
        cycles: how many there are.
        ramp: the share of a cycle in which the value rises, in (0, 1].
    """

    def __init__(self, steps, cycles=4, ramp=0.5, start=0.0, stop=1.0, variable="beta"):
        super().__init__(steps, start, stop, variable)
        check_positive(cycles=cycles)
        if not 0 < ramp <= 1:
            raise InvalidInput(f"ramp is the rising share of a cycle, in (0, 1], got {ramp!r}")
        self.cycles, self.ramp = cycles, ramp

    def rise(self, step):
        share = tf.minimum(step * self.cycles / self.steps % 1.0 / self.ramp, 1.0)
        return tf.where(step >= self.steps, tf.ones_like(share), share)


LinearKL, SigmoidKL, CyclicalKL = Linear, Sigmoid, Cyclical  # as schedules of beta are called
