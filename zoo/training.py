"""Training runs: a model, its data and a recipe, in a folder that can be resumed."""

import csv
import dataclasses
import functools
import itertools
import pathlib
import sys

import keras
import tensorflow as tf

from zoo import pretrained
from zoo.callbacks import KL_SCHEDULES, EarlyStopping, ExponentialMovingAverage, KLPerUnitLogger
from zoo.checkpoint import FILE as CHECKPOINT
from zoo.checkpoint import Checkpoint
from zoo.data import (
    check_dataset,
    describe_dataset,
    list_datasets,
    load_arrays,
    load_dataset,
    load_semi_supervised,
)
from zoo.errors import InvalidInput, check_positive, choose
from zoo.files import output_folder, read_json, write_json
from zoo.registry import check_arguments, create, model_class

RUN, LOG, KL_LOG = "run.json", "log.csv", "kl_per_unit.csv"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: passes over the training data.
        batch_size: examples per update; a last, smaller batch of a pass is left out.
        learning_rate: of Adam, at the start.
        schedule: "constant", or "cosine": along a half cosine to a hundredth of the rate at the last epoch.
        restarts: None, or the epochs at which the schedule of the rate begins anew, each part ending as the whole
            would (Loshchilov & Hutter 2017, arXiv:1608.03983).
        warmup_steps: updates over which the rate rises linearly from 0.
        kl: None, or a KL schedule: {"name": "linear" | "sigmoid" | "cyclical", "steps": updates, ...}.
        ema: decay of the average of the weights, None for none.
        clipnorm: None, or the largest norm of the whole gradient.
        patience: None, or after how many epochs without a better validation loss training stops.
        jit_compile: compile the step with XLA: faster for dense networks, slower for convolutions on CPU.
        steps_per_execution: updates per call into TensorFlow; callbacks are called once per such call.
        seed: of weights, data order and draws.
        deterministic: bit-for-bit reproducible operators.
    """

    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    restarts: list | None = None
    warmup_steps: int = 0
    kl: dict | None = None
    ema: float | None = 0.999
    clipnorm: float | None = None
    patience: int | None = None
    jit_compile: bool = False
    steps_per_execution: int = 1
    seed: int = 0
    deterministic: bool = False

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_type(field.name, getattr(self, field.name), field.type)
        check_positive(epochs=self.epochs, batch_size=self.batch_size, steps_per_execution=self.steps_per_execution)
        if not self.learning_rate > 0:
            raise InvalidInput(f"learning_rate must be positive, got {self.learning_rate!r}")
        if self.clipnorm is not None and not self.clipnorm > 0:
            raise InvalidInput(f"clipnorm must be positive, got {self.clipnorm!r}")
        choose("schedule", self.schedule, {"constant": 0, "cosine": 0})
        starts = [0, *(self.restarts or []), self.epochs]
        if not all(isinstance(epoch, int) for epoch in starts) or sorted(set(starts)) != starts:
            raise InvalidInput(f"restarts are rising epochs between 0 and {self.epochs}, got {self.restarts!r}")
        self.kl_callbacks(), self.stateful_callbacks()  # they check their own settings

    @classmethod
    def of(cls, settings):
        """A recipe from a dict, unknown settings refused with the nearest names."""
        check_arguments("a recipe", settings, [field.name for field in dataclasses.fields(cls)])
        return cls(**settings)

    def optimizer(self, steps_per_epoch):
        rate = self.learning_rate
        if self.schedule == "cosine" or self.warmup_steps:
            starts = [epoch * steps_per_epoch for epoch in (0, *(self.restarts or []), self.epochs)]
            parts = [self.part(stop - start) for start, stop in itertools.pairwise(starts)]
            rate = parts[0] if len(parts) == 1 else Restarts(parts, starts[:-1])
        return keras.optimizers.Adam(rate, global_clipnorm=self.clipnorm)

    def part(self, steps):
        """The rate over one part of the training, as a function of the updates since its start."""
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if self.warmup_steps else self.learning_rate,
            decay_steps=max(1, steps - self.warmup_steps),
            alpha=0.01 if self.schedule == "cosine" else 1.0,
            warmup_target=self.learning_rate if self.warmup_steps else None,
            warmup_steps=self.warmup_steps,
        )

    def kl_callbacks(self):
        if self.kl is None:
            return []
        return [KL_SCHEDULES.create(self.kl)]

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
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        expected = getattr(kind, "__name__", str(kind))
        raise InvalidInput(f"{name} of a recipe is {expected}, got {value!r}")


def train(directory, preset=None, *, start=None, resume=False, overwrite=False, tensorboard=False, verbose="auto"):
    """Train a model in a folder, and leave there a model that `zoo.load` reads.

    The folder holds `run.json` (everything that was asked for), `log.csv`, `kl_per_unit.csv`, `checkpoint.npz` after
    each epoch, and at the end `card.json` and `model.weights.h5`.

    Args:
        directory: must be empty or new, unless `resume` or `overwrite`.
        preset: {"model", "config", "data": {"name", "split", "validation"}, "recipe", "start"}; with `resume` that of
            the run.
        start: name or folder of a pretrained model to start from, or another preset, which is trained in the folder's
            "start" first; the preset's model and config go over what it has.
        resume: go on from the last checkpoint. Together with the same settings, machine and thread count, the weights
            at the end are those of a run that was never interrupted.
        tensorboard: also write TensorBoard logs.
        verbose: Keras' progress display; "auto" is a bar on a terminal and a line an epoch elsewhere.

    Returns:
        (model, Keras history).

    Raises:
        InvalidInput, OutputExists: bad settings, data that do not fit the model, a folder in use.
        FloatingPointError: updates stayed non-finite; the last checkpoint is untouched.
    """
    directory = pathlib.Path(directory)
    if resume:
        preset = read_json(directory / RUN)
    start = start or preset.get("start")
    for part in ("model", "data") if not start else ("data",):
        if part not in preset:
            raise InvalidInput(f"the preset lacks {part!r}; it takes model, config, data, recipe, start and reference")
    recipe = Recipe.of(preset.get("recipe", {}))
    kl_callbacks = recipe.kl_callbacks()
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(recipe.seed)
    staged = isinstance(start, dict)
    preset = {**preset, "start": start if staged or start is None else str(start)}
    if staged and not resume:
        output_folder(directory, overwrite)
        write_json(directory / RUN, preset)
    model = starting_model(directory, preset, recipe.seed, verbose)
    train_data, validation_data, steps = datasets(model, preset["data"], recipe, first_epoch=0)
    if not staged and not resume:
        output_folder(directory, overwrite)
        write_json(directory / RUN, preset)
    if start:
        model.steps.assign(0)  # schedules and averages begin anew
    elif not (directory / CHECKPOINT).exists():
        model.adapt(load_dataset(**data_arguments(model, preset["data"], recipe), shuffle=False))
    model.compile(
        recipe.optimizer(steps), jit_compile=recipe.jit_compile, steps_per_execution=recipe.steps_per_execution
    )
    model.optimizer.build(model.trainable_variables)
    stateful = recipe.stateful_callbacks()
    checkpoint = Checkpoint(directory, stateful)
    checkpoint.set_model(model)
    for callback in stateful.values():
        callback.set_model(model)
    epoch = checkpoint.restore() if resume else 0
    if resume:
        train_data, _, _ = datasets(model, preset["data"], recipe, first_epoch=epoch)
        for name in (LOG, KL_LOG):
            forget_after(directory / name, epoch)
    callbacks = [
        *kl_callbacks,
        *stateful.values(),
        KLPerUnitLogger(directory / KL_LOG),
        keras.callbacks.CSVLogger(str(directory / LOG), append=resume),
        *([keras.callbacks.TensorBoard(str(directory / "tensorboard"))] if tensorboard else []),
        checkpoint,
    ]
    history = model.fit(
        train_data,
        epochs=recipe.epochs,
        initial_epoch=epoch,
        steps_per_epoch=steps,
        validation_data=validation_data,
        callbacks=callbacks,
        verbose=verbose if verbose != "auto" else 1 if sys.stdout.isatty() else 2,
    )
    card = {
        "data": describe(preset["data"]),
        "recipe": dataclasses.asdict(recipe),
        "seed": recipe.seed,
        "epochs_trained": len(history.epoch) + epoch,
        "reference": preset.get("reference", []),
    }
    if start:
        card["start"] = start if staged else str(start)
        card["epochs_trained"] += pretrained.read_card(directory / "start" if staged else start)["epochs_trained"]
    pretrained.save(model, directory, card=card, overwrite=True)
    return model, history


def starting_model(directory, preset, seed, verbose):
    """The untrained or pretrained model that a run begins with; a `start` that is a preset is trained or resumed."""
    start, config = preset["start"], preset.get("config", {})
    if not start:
        return create(preset["model"], **{"seed": seed, **config})
    if isinstance(start, dict):
        folder = directory / "start"
        if not (folder / "card.json").exists():
            folder.mkdir(exist_ok=True)
            train(folder, start, resume=(folder / RUN).exists(), verbose=verbose)
        start = folder
    return pretrained.load(start, preset.get("model"), **config)


def suggest_config(name, source, likelihood=None):
    """What a data set alone decides of a model's arguments: the shape, the classes, and how its pixels are modelled.

    Grey images are binarised unless another likelihood than "bernoulli" is asked for; colours are 8-bit levels.
    """
    arrays = load_arrays(source, "train", limit=1)
    config = {"data_shape": list(arrays["x"].shape[1:])}
    if likelihood is None and arrays["x"].shape[-1] != 1:
        config["likelihood"] = "discretized_logistic"
    elif likelihood in (None, "bernoulli"):
        config["binarize"] = "dynamic"
    if "num_classes" in model_class(name)[0].argument_names():
        config["num_classes"] = int(load_arrays(source, "train", labels=True)["y"].max()) + 1
    return config


def data_arguments(model, data, recipe, split="split"):
    """Arguments of `load_dataset` for one part of a preset's data."""
    return {
        "source": data["name"],
        "split": data.get(split, "train"),
        "batch_size": recipe.batch_size,
        "labels": "y" in model.data_spec,
        "limit": data.get("limit"),
        "data_dir": data.get("data_dir"),
    }


def describe(data):
    """A preset's data as a card has them: with the version and the protocol of a data set known by name."""
    if data["name"] not in list_datasets():
        return data
    info = describe_dataset(data["name"])
    return {**data, "version": info["version"], "protocol": info["protocol"]}


def datasets(model, data, recipe, first_epoch):
    """(training data from `first_epoch` on, validation data or None, updates per epoch), checked against the model."""
    load = functools.partial(load_labels if "num_labels" in data else load_part, model, data, recipe)
    steps = int(load("split", None).cardinality())
    train_data = load("split", first_epoch)
    check_dataset(train_data, model.data_spec)
    validation_data = None
    if data.get("validation"):
        validation_data = load("validation", None)
        check_dataset(validation_data, model.data_spec)
    elif recipe.patience:
        raise InvalidInput("early stopping needs validation data: name the split, such as validation='validation'")
    return train_data, validation_data, steps


def load_part(model, data, recipe, part, first_epoch):
    """The part "split" of a preset's data, shuffled, in whole batches, or the part "validation" in its order."""
    arguments = data_arguments(model, data, recipe, part)
    if part != "split":
        return load_dataset(**arguments, shuffle=False)
    return load_dataset(**arguments, shuffle=True, seed=recipe.seed, first_epoch=first_epoch, drop_remainder=True)


def load_labels(model, data, recipe, part, first_epoch):
    """As `load_part`, with "num_labels", "labels_seed" and "labelled_per_batch" of the data; held-out labels hidden."""
    arguments = data_arguments(model, data, recipe, part)
    if not arguments.pop("labels"):
        raise InvalidInput(f"a {model.registry_name} takes no labels: leave out num_labels, or use m1, m2 or m1_m2")
    return load_semi_supervised(
        **arguments,
        num_labels=data["num_labels"],
        seed=data.get("labels_seed", 0),
        labelled_per_batch=data.get("labelled_per_batch"),
        num_classes=model.data_spec["y"].maximum + 1,
        order_seed=recipe.seed,
        first_epoch=first_epoch,
    )


def forget_after(path, epoch):
    """Drop the rows of a log that a checkpoint at `epoch` does not know."""
    if not path.exists():
        return
    with open(path, newline="") as file:
        rows = [row for row in csv.reader(file) if not row[0].isdigit() or int(row[0]) < epoch]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
