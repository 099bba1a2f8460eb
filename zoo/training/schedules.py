"""Schedules of the KL weight, as Keras callbacks."""

import math

import keras

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
        self.model.scalars[self.variable].assign(self.weight(int(self.model.steps.numpy())))


class LinearKL(KLSchedule):
    """From `start` to `stop` in `steps` updates, then constant. Bowman et al. 2016, arXiv:1511.06349."""

    def __init__(self, steps, start=0.0, stop=1.0, variable="beta"):
        super().__init__()
        self.variable = variable
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

    def __init__(self, steps, cycles=4, ramp=0.5, start=0.0, stop=1.0, variable="beta"):
        super().__init__(steps, start, stop, variable)
        check_positive(cycles=cycles)
        if not 0 < ramp <= 1:
            raise InvalidInput(f"ramp is the rising share of a cycle, in (0, 1], got {ramp!r}")
        self.cycles, self.ramp = cycles, ramp

    def weight(self, step):
        if step >= self.steps:
            return self.stop
        place = (step * self.cycles / self.steps) % 1.0
        return self.start + (self.stop - self.start) * min(1.0, place / self.ramp)


SCHEDULES = Registry("schedule")
for name, schedule in (("linear", LinearKL), ("sigmoid", SigmoidKL), ("cyclical", CyclicalKL)):
    SCHEDULES.register(name)(schedule)
