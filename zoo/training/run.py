"""Training runs: a model, its data and a recipe, in a folder that can be resumed."""

import dataclasses
import pathlib

import keras
import tensorflow as tf

from zoo import pretrained
from zoo.data import load_dataset
from zoo.errors import InvalidInput
from zoo.files import locked, output_folder, read_json, write_json, writing
from zoo.pretrained.store import checked_preset
from zoo.quiet import waiting
from zoo.training.checkpoint import Checkpoint
from zoo.training.data import data_arguments, datasets, describe, said_of
from zoo.training.logs import EpochLogger, KLPerUnitLogger, forget_after
from zoo.training.progress import Progress
from zoo.training.recipe import Recipe
from zoo.training.stages import stages_of
from zoo.training.timing import TimingLogger, timing
from zoo.training.trackers import TRACKERS, TensorBoard, specs_of

RUN, LOG, KL_LOG, TIMES, LOCK = "run.json", "log.csv", "kl_per_unit.csv", "timing.csv", ".training"
SAID = ("from", "stages", "reference", "target", "notes")  # what a card has of its preset as it is


def train(directory, preset=None, *, resume=False, overwrite=False, tensorboard=False, verbose=True, epochs=None):
    """Train a model in a folder, and leave there a model that `zoo.load` reads.

    The folder holds `run.json` (everything that was asked for), `log.csv`, `kl_per_unit.csv`, `timing.csv` and
    `checkpoint.npz` after each epoch, and at the end `card.json` and `model.weights.h5`. The stages before the last
    have such folders in it.
    One process at a time trains in a folder.

    Args:
        directory: must be empty or new, unless `resume` or `overwrite`.
        preset: {"model", "config", "data": {"name", "split", "validation"}, "recipe", "from", "stages"}, see
            `zoo.training.stages`; with `resume` that of the run.
        resume: go on from the last checkpoint, in whichever stage it is. Together with the same settings, machine and
            thread count, the weights at the end are those of a run that was never interrupted.
        tensorboard: also write TensorBoard logs, as the recipe's callbacks="tensorboard" does.
        epochs: None, or with `resume` how many there are to be in all, more than the run was begun with; a schedule of
            the learning rate is stretched to the last of them.
        verbose: print a line an epoch, and on a terminal a bar within it (`Progress`).

    Returns:
        (model, Keras history), of the last stage.

    Raises:
        InvalidInput, OutputExists: bad settings, data that do not fit the model, a folder in use.
        FloatingPointError: updates stayed non-finite; the last checkpoint is untouched.
    """
    directory = pathlib.Path(directory)
    preset = checked_preset(read_json(directory / RUN) if resume else preset)
    if epochs is not None:
        preset = longer(preset, epochs)
    specs_of("tensorboard" if tensorboard else None)
    stages = stages_of(directory, preset)
    ready, models = [], {}
    for stage in stages:  # all of them, so that a mistake in the last is found before the first is trained
        with waiting(f"preparing {stage.model} and its data"):
            ready.append(prepared(stage, models))
        models[stage.name] = ready[-1][0]
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / LOCK, busy=f"another process trains in {directory}"):
        if not resume:
            output_folder(directory, overwrite, kept=[LOCK])
        if not resume or epochs is not None:
            write_json(directory / RUN, preset)
        return train_stages(directory, preset, stages, ready, resume, tensorboard, verbose)


def train_stages(directory, preset, stages, ready, resume, tensorboard, verbose):
    """Train the stages of a preset that are not there yet; `ready` are the (model, data) of all that were prepared."""
    models = {stage.name: model for stage, (model, _) in zip(stages, ready, strict=True)}
    for number, stage in enumerate(stages, 1):
        if len(stages) > 1 and verbose:
            print(f"stage {number} of {len(stages)}: {stage.name or directory.name}, {stage.model}", flush=True)
        if stage is not stages[-1] and (stage.folder / "card.json").exists():
            models[stage.name] = pretrained.load(stage.folder)
            continue
        model, data = ready[0] if number == 1 else prepared(stage, models)
        if verbose:
            print(said_of(model), flush=True)
        history, epochs = fit(stage, model, data, resume, tensorboard, verbose)
        models[stage.name] = model
        said = preset if stage is stages[-1] else stage.entry
        took = timing([s.folder / TIMES for s in (stages if stage is stages[-1] else [stage])])
        pretrained.save(model, stage.folder, card=card_of(stage, said, epochs, took), overwrite=True)
    return model, history


def longer(preset, epochs):
    """A preset whose last stage has so many epochs."""
    recipe = Recipe.of({**preset.get("recipe", {}), "epochs": epochs})
    asked = Recipe.of(preset.get("recipe", {})).epochs
    if epochs < asked:
        raise InvalidInput(f"epochs must be at least the {asked} that the run was begun with, got {epochs}")
    return {**preset, "recipe": {**preset.get("recipe", {}), "epochs": recipe.epochs}}


def prepared(stage, models):
    """(model, data) of a stage, checked; `models` are those of the stages before it."""
    recipe = stage.recipe
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    source = stage.begin and (models[stage.begin] if stage.begin in models else pretrained.load(stage.begin))
    keras.utils.set_random_seed(recipe.seed)
    model = stage.build(source)
    recipe.check_scalars(model)
    return model, datasets(model, stage.entry["data"], recipe, first_epoch=0)


def fit(stage, model, data, resume, tensorboard, verbose):
    """Train a stage's model in its folder, from its checkpoint where it has one and `resume`: (history, epochs)."""
    recipe, folder = stage.recipe, stage.folder
    train_data, validation_data, steps = data
    if stage.goes_on:
        model.steps.assign(0)  # schedules and averages begin anew
    elif not (resume and Checkpoint(folder, {}).exists):
        model.adapt(load_dataset(**data_arguments(model, stage.entry["data"], recipe), shuffle=False))
    model.compile(
        recipe.make_optimizer(steps), jit_compile=recipe.jit_compile, steps_per_execution=recipe.steps_per_execution
    )
    stateful = recipe.stateful_callbacks()
    checkpoint = Checkpoint(folder, stateful)
    for callback in (checkpoint, *stateful.values()):
        callback.set_model(model)
    epoch = checkpoint.restore() if resume else 0
    if epoch:
        train_data, _, _ = datasets(model, stage.entry["data"], recipe, first_epoch=epoch)
    for name in (LOG, KL_LOG, TIMES):
        forget_after(folder / name, epoch)
    folder.mkdir(exist_ok=True)
    callbacks = [
        *recipe.schedule_callbacks(),
        *stateful.values(),
        KLPerUnitLogger(folder / KL_LOG),
        EpochLogger(folder / LOG),
        TimingLogger(folder / TIMES),
        *trackers(stage, tensorboard, lambda: next(iter(validation_data or train_data))),
        checkpoint,
        *([Progress()] if verbose else []),
    ]
    history = model.fit(
        train_data,
        epochs=recipe.epochs,
        initial_epoch=epoch,
        steps_per_epoch=steps,
        validation_data=validation_data,
        callbacks=callbacks,
        verbose=0,
    )
    return history, epoch + len(history.epoch)


def trackers(stage, tensorboard, batch):
    """The callbacks that a stage's recipe names, and TensorBoard's where that is asked for besides."""
    about = {"model": stage.model, "config": stage.config, "recipe": dataclasses.asdict(stage.recipe)}
    context = {"directory": stage.folder, "about": {**about, "data": stage.entry["data"]}, "batch": batch}
    found = stage.recipe.trackers(**context)
    named = any(isinstance(tracker, TensorBoard) for tracker in found)
    return [*found, *([TRACKERS.create("tensorboard", **context)] if tensorboard and not named else [])]


def card_of(stage, preset, epochs, took):
    """What the card of a finished stage, which `took` that (`timing`), says beside its model."""
    if stage.goes_on:
        epochs += pretrained.read_card(stage.origin).get("epochs_trained", 0)
    return {
        "data": describe(stage.entry["data"]),
        "recipe": {**dataclasses.asdict(stage.recipe), "callbacks": None},  # who watched is no part of what was made
        "seed": stage.recipe.seed,
        "epochs_trained": epochs,
        **({"timing": took} if took else {}),
        **{key: preset[key] for key in SAID if key in preset},
    }
