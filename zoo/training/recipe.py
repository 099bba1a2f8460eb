"""Recipes: how a model is trained, as plain settings that are checked once."""

import dataclasses
import itertools
from typing import get_args

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive, choose
from zoo.precision import PRECISIONS
from zoo.registry import check_arguments
from zoo.training.callbacks import EarlyStopping, ExponentialMovingAverage
from zoo.training.optimizers import make
from zoo.training.schedules import SCHEDULES
from zoo.training.trackers import specs_of


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: passes over the training data.
        batch_size: examples per update; a last, smaller batch of a pass is left out.
        steps_per_epoch: None, an epoch is a pass over the data; or so many updates, after each of which there are a
            validation, of as many batches at most, and a checkpoint: of data whose pass takes days.
        optimizer: name of a Keras optimiser, or a dict with its arguments: {"name": "adamw", "weight_decay": 1e-4}.
        learning_rate: the optimiser's, before its schedule lowers it.
        schedule: "constant", or "cosine": along a half cosine to a hundredth of the rate at the last epoch.
        restarts: None, or the epochs at which the schedule of the rate begins anew, each part ending as the whole
            would (Loshchilov & Hutter 2017, arXiv:1608.03983).
        warmup_steps: updates over which the rate rises linearly from 0.
        kl: None, or a KL schedule: {"name": "linear" | "sigmoid" | "cyclical", "steps": updates, ...}.
        schedules: None, or such schedules of other scalars of the model by name, as {"mmd.weight": {"name": "linear",
            "steps": 1000}}.
        kept: None, or the parts that stay as they are: "encoder", "decoder", "posterior", "prior", "likelihood".
        ema: decay of the average of the weights, None for none.
        clipnorm: None, or the largest norm of the whole gradient.
        skip_norm: None, or the norm of the whole gradient above which an update is left out and counted as skipped
            (Child 2021, arXiv:2011.10650).
        precision: in which the networks compute, "float32" or "bfloat16"; weights, distributions and costs are float32
            all the same, and so is the trained model once it is loaded.
        patience: None, or after how many epochs without a better validation loss training stops.
        jit_compile: whether XLA compiles the update; "auto" has it do so on a GPU alone.
        steps_per_execution: updates per call into TensorFlow, at most: as many as divide those of an epoch. Callbacks
            are called once per such call, and the average of the weights is taken there; "auto" is 20.
        callbacks: None, or where the run is watched from: "tensorboard", "wandb", "mlflow", a dict of such a name with
            arguments, as {"name": "wandb", "project": "digits"}, or a list of these. They need vae-zoo[NAME] installed.
        seed: of weights, data order and draws.
        deterministic: bit-for-bit reproducible operators.
    """

    epochs: int = 50
    batch_size: int = 128
    steps_per_epoch: int | None = None
    optimizer: str | dict = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    restarts: list | None = None
    warmup_steps: int = 0
    kl: dict | None = None
    schedules: dict | None = None
    kept: list | None = None
    ema: float | None = 0.999
    clipnorm: float | None = None
    skip_norm: float | None = None
    precision: str = "float32"
    patience: int | None = None
    jit_compile: bool | str = "auto"
    steps_per_execution: int | str = "auto"
    callbacks: list | dict | str | None = None
    seed: int = 0
    deterministic: bool = False

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_type(field.name, getattr(self, field.name), field.type)
        check_positive(epochs=self.epochs, batch_size=self.batch_size)
        check_positive(steps_per_epoch=1 if self.steps_per_epoch is None else self.steps_per_epoch)
        if self.steps_per_execution != "auto":
            check_positive(steps_per_execution=self.steps_per_execution)
        if not self.learning_rate > 0:
            raise InvalidInput(f"learning_rate must be positive, got {self.learning_rate!r}")
        for name in ("clipnorm", "skip_norm"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InvalidInput(f"{name} must be positive, got {getattr(self, name)!r}")
        choose("precision", self.precision, PRECISIONS)
        if self.jit_compile not in (True, False, "auto"):
            raise InvalidInput(f"jit_compile is true, false or auto, got {self.jit_compile!r}")
        choose("schedule", self.schedule, {"constant": 0, "cosine": 0})
        starts = [0, *(self.restarts or []), self.epochs]
        if not all(isinstance(epoch, int) for epoch in starts) or sorted(set(starts)) != starts:
            raise InvalidInput(f"restarts are rising epochs between 0 and {self.epochs}, got {self.restarts!r}")
        specs_of(self.callbacks)
        self.make_optimizer(1), self.schedule_callbacks(), self.stateful_callbacks()  # they check their own settings

    @classmethod
    def of(cls, settings):
        """A recipe from a dict, unknown settings refused with the nearest names."""
        check_arguments("a recipe", settings, [field.name for field in dataclasses.fields(cls)])
        return cls(**settings)

    def make_optimizer(self, steps_per_epoch):
        """The Keras optimiser, for so many updates in an epoch."""
        rate = float(self.learning_rate)
        if self.schedule == "cosine" or self.warmup_steps:
            starts = [epoch * steps_per_epoch for epoch in (0, *(self.restarts or []), self.epochs)]
            parts = [self.part(stop - start) for start, stop in itertools.pairwise(starts)]
            rate = parts[0] if len(parts) == 1 else Restarts(parts, starts[:-1])
        return make(self.optimizer, rate, self.clipnorm)

    def part(self, steps):
        """The rate over one part of the training, as a function of the updates since its start."""
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if self.warmup_steps else self.learning_rate,
            decay_steps=max(1, steps - self.warmup_steps),
            alpha=0.01 if self.schedule == "cosine" else 1.0,
            warmup_target=self.learning_rate if self.warmup_steps else None,
            warmup_steps=self.warmup_steps,
        )

    @property
    def moved(self):
        """Name of a scalar of the model -> its schedule."""
        if self.kl is not None and "beta" in (self.schedules or {}):
            raise InvalidInput("kl is the schedule of beta: leave one of the two out")
        return {**({} if self.kl is None else {"beta": self.kl}), **(self.schedules or {})}

    def schedule_callbacks(self):
        return [SCHEDULES.create(schedule, variable=name) for name, schedule in self.moved.items()]

    def updates_together(self, steps):
        """How many updates a call makes in epochs of `steps`: Keras would go on into the next epoch to fill one."""
        return max(count for count in range(1, self.steps_per_execution + 1) if steps % count == 0)

    def keep(self, model):
        """Hold the `kept` parts of a model as they are; without one left to train, raise `InvalidInput`."""
        for name in self.kept or []:
            choose(f"part of a {model.registry_name}", name, model.parts).trainable = False
        if not model.trainable_variables:
            raise InvalidInput(f"kept names {', '.join(self.kept)}, and nothing is left to train")

    def check_scalars(self, model):
        """Raise `InvalidInput` for a schedule of what `model` has not."""
        for name in self.moved:
            choose(f"scalar of a {model.registry_name}", name, model.scalars)

    def stateful_callbacks(self):
        """Name -> callback whose state belongs to a checkpoint, in the order in which they run."""
        callbacks = {}
        if self.ema is not None:
            callbacks["ema"] = ExponentialMovingAverage(self.ema)
        if self.patience is not None:
            callbacks["early_stopping"] = EarlyStopping(self.patience)
        return callbacks


@keras.saving.register_keras_serializable("zoo")
class Restarts(keras.optimizers.schedules.LearningRateSchedule):
    """The first of `schedules` from update 0 on, each further one from its update in `starts` on."""

    def __init__(self, schedules, starts):
        self.schedules, self.starts = schedules, starts

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rate = self.schedules[0](step)
        for schedule, start in zip(self.schedules[1:], self.starts[1:], strict=True):
            rate = tf.where(step >= start, schedule(step - start), rate)
        return rate

    def get_config(self):
        return {"schedules": [keras.saving.serialize_keras_object(s) for s in self.schedules], "starts": self.starts}

    @classmethod
    def from_config(cls, config):
        return cls([keras.saving.deserialize_keras_object(s) for s in config["schedules"]], config["starts"])


def check_type(name, value, kind):
    """Raise `InvalidInput` unless a recipe's value is of its kind; whole numbers serve as floats, booleans do not."""
    accepted = kind | int if isinstance(1.0, kind) else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in (kind, *get_args(kind))):
        expected = getattr(kind, "__name__", str(kind))
        raise InvalidInput(f"{name} of a recipe is {expected}, got {value!r}")
