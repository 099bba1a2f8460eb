"""Training runs: a model, its data and a recipe, in a folder that can be resumed."""

import csv
import dataclasses
import functools
import pathlib
import sys

import keras
import tensorflow as tf

from zoo import pretrained
from zoo.creation import create, model_class
from zoo.data import (
    check_dataset,
    describe_dataset,
    list_datasets,
    load_arrays,
    load_dataset,
    load_semi_supervised,
)
from zoo.errors import InvalidInput
from zoo.files import output_folder, read_json, write_json
from zoo.training.callbacks import KLPerUnitLogger
from zoo.training.checkpoint import FILE as CHECKPOINT
from zoo.training.checkpoint import Checkpoint
from zoo.training.recipe import Recipe

RUN, LOG, KL_LOG = "run.json", "log.csv", "kl_per_unit.csv"


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
