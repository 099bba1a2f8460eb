"""Training runs: a model, its data and a recipe, in a folder that can be resumed."""

import copy
import dataclasses
import os
import pathlib
from typing import NamedTuple

import keras
import tensorflow as tf

from zoo import pretrained
from zoo.errors import InvalidInput
from zoo.files import locked, output_folder, read_json, write_json, writing
from zoo.precision import computing
from zoo.pretrained.limits import entries
from zoo.pretrained.store import BEGUN_IN, check_saved, checked_preset
from zoo.pretrained.trial import try_out
from zoo.quiet import say_once, waiting
from zoo.training import compiling
from zoo.training.checkpoint import Checkpoint
from zoo.training.cluster import strategy_of
from zoo.training.data import datasets, describe, names_of, to_adapt
from zoo.training.defaults import said_of
from zoo.training.distribute import check_batch_size, fit_together, is_chief, same_everywhere, scope, sizes, workplace
from zoo.training.logs import EpochLogger, KLPerUnitLogger, forget_after
from zoo.training.progress import Progress
from zoo.training.recipe import Recipe
from zoo.training.stages import stages_of
from zoo.training.timing import TimingLogger, timing
from zoo.training.trackers import PROFILED, TRACKERS, specs_of

RUN, LOG, KL_LOG, TIMES, LOCK = "run.json", "log.csv", "kl_per_unit.csv", "timing.csv", ".training"
SAID = ("from", "stages", "reference", "target", "chosen_on", "notes")


def train(
    directory,
    preset=None,
    *,
    resume=False,
    overwrite=False,
    tensorboard=False,
    profile=False,
    verbose=True,
    epochs=None,
    distribute=None,
    tune=False,
):
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
        profile: have TensorBoard's profiler record the third to the twelfth update of each stage.
        epochs: None, or with `resume` how many there are to be in all, more than the run was begun with; a schedule of
            the learning rate is stretched to the last of them.
        verbose: print a line an epoch, and on a terminal a bar within it (`Progress`).
        distribute: None, "auto", "mirrored" or "multi_worker": the devices that share each batch, see
            `zoo.training.cluster`. The course of a run is the same on any number of them, to rounding.
        tune: measure whether XLA compiles the updates, and how many a call makes, and have that in the recipe.

    Returns:
        (model, Keras history), of the last stage.

    Raises:
        InvalidInput, OutputExists: bad settings, data that do not fit the model, a folder in use.
        FloatingPointError: updates stayed non-finite; the last checkpoint is untouched.
        WorkerLost: of several hosts one is gone; the last checkpoint is untouched.
    """
    strategy = strategy_of(distribute)
    with workplace(strategy, pathlib.Path(directory).expanduser(), resume) as folder, scope(strategy):
        watched = Watched(tensorboard, profile, verbose and is_chief(strategy))
        return run(folder, preset, strategy, watched, resume, overwrite, epochs, tune)


class Watched(NamedTuple):
    """How a run is watched: TensorBoard's logs, its profiler, lines printed."""

    tensorboard: bool
    profile: bool
    verbose: bool


def run(directory, preset, strategy, watched, resume, overwrite, epochs, tune):
    """`train` in this process' own folder; `strategy` shares the batches, None for one device."""
    preset = read_json(directory / RUN) if resume else copy.deepcopy(preset)
    begun_in = preset.get(BEGUN_IN) if resume and isinstance(preset, dict) else os.getcwd()
    preset = checked_preset(preset)
    if epochs is not None:
        preset = longer(preset, epochs)
    specs_of("tensorboard" if watched.tensorboard or watched.profile else None)
    stages = stages_of(directory, preset, begun_in)
    ready, models = [], {}
    for stage in stages:  # all of them, so that a mistake in the last is found before the first is trained
        with waiting(f"preparing {stage.model} and its data"):
            ready.append(prepared(stage, models, strategy, fresh=not resume))
        models[stage.name] = ready[-1][0]
        check_saved(ready[-1][0], stage.folder, {**said_of_run(stage), **kept_of(preset)})
    if tune and not strategy:
        preset = tuned(preset, stages, ready)
        stages = stages_of(directory, preset, begun_in)
    same_everywhere(strategy, preset=preset, data=[steps for _, (_, _, steps) in ready])
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / LOCK, busy=f"another process trains in {directory}"):
        if not resume:
            output_folder(directory, overwrite, kept=[LOCK])
        if not resume or epochs is not None or tune:
            write_json(directory / RUN, {**preset, BEGUN_IN: begun_in})
        return train_stages(directory, preset, stages, ready, resume, strategy, watched)


def tuned(preset, stages, ready):
    """The preset with what was measured in its stages' recipes; it is said on a line each."""
    entries = []
    for stage, (model, (batches, _, steps)) in zip(stages, ready, strict=True):
        chosen, found = compiling.measured(stage.recipe, model, batches, steps)
        print(f"measured: {found}; taken: {', '.join(f'{key} {value}' for key, value in chosen.items())}", flush=True)
        entries.append({**stage.entry, "recipe": {**stage.entry.get("recipe", {}), **chosen}})
    return {**preset, **({"stages": entries[:-1]} if entries[1:] else {}), **entries[-1]}


def train_stages(directory, preset, stages, ready, resume, strategy, watched):
    """Train the stages of a preset that are not there yet; `ready` are the (model, data) of all that were prepared."""
    models = {stage.name: model for stage, (model, _) in zip(stages, ready, strict=True)}
    for number, stage in enumerate(stages, 1):
        if len(stages) > 1 and watched.verbose:
            print(f"stage {number} of {len(stages)}: {stage.name or directory.name}, {stage.model}", flush=True)
        last = stage is stages[-1]
        if not last and (stage.folder / "card.json").exists():
            models[stage.name] = pretrained.load(stage.folder)
            continue
        model, data = ready[0] if number == 1 else prepared(stage, models, strategy)
        if watched.verbose:
            print(*said_of(model, stage.recipe, data[-1]), sep="\n", flush=True)
        stage = settled(stage, model, data[-1], strategy)
        history, epochs = fit(stage, model, data, resume, strategy, watched)
        models[stage.name] = model
        said = preset if last else stage.entry
        took = timing([s.folder / TIMES for s in (stages if last else [stage])], sizes(strategy))
        pretrained.save(model, stage.folder, card=card_of(stage, said, epochs, took), overwrite=True)
    return model, history


def longer(preset, epochs):
    """A preset whose last stage has so many epochs."""
    recipe = Recipe.of({**preset.get("recipe", {}), "epochs": epochs})
    asked = Recipe.of(preset.get("recipe", {})).epochs
    if epochs < asked:
        raise InvalidInput(f"epochs must be at least the {asked} that the run was begun with, got {epochs}")
    return {**preset, "recipe": {**preset.get("recipe", {}), "epochs": recipe.epochs}}


def prepared(stage, models, strategy, fresh=False):
    """(model, data) of a stage, checked; `models` are those of the stages before it.

    The entry of a `fresh` one learns the names of columns and classes, so that they mean the same ever after.
    """
    recipe = stage.recipe
    check_batch_size(strategy, recipe.batch_size)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    source = stage.begin and (models[stage.begin] if stage.begin in models else pretrained.load(stage.begin))
    if any(key == "class_name" for key, _ in entries(stage.config, "the preset")):  # layers that a file describes
        try_out(stage.model, stage.config, "the preset")
    keras.utils.set_random_seed(recipe.seed)
    with computing(recipe.precision):
        model = stage.build(source)
    recipe.check_scalars(model)
    for data in (stage.data, stage.entry["data"]):
        data |= names_of(model, stage.data, fresh)
    return model, datasets(model, stage.data, recipe, epochs_done=0)


def settled(stage, model, steps, strategy):
    """The stage with a recipe that leaves nothing open."""
    recipe = stage.recipe
    if not strategy:
        return stage._replace(recipe=compiling.settled(recipe, stage.folder, model, steps))
    if recipe.jit_compile is True:
        say_once("several devices share a batch, and XLA compiles for one: jit_compile is left out")
    together = 1 if recipe.steps_per_execution == "auto" else recipe.steps_per_execution
    return stage._replace(recipe=dataclasses.replace(recipe, jit_compile=False, steps_per_execution=together))


def fit(stage, model, data, resume, strategy, watched):
    """Train a stage's model in its folder, from its checkpoint where it has one and `resume`: (history, epochs)."""
    recipe, folder = stage.recipe, stage.folder
    train_data, validation_data, steps = data
    if stage.goes_on:
        model.steps.assign(0)  # schedules and averages begin anew
    elif not (resume and Checkpoint(folder, {}).exists):
        model.adapt(to_adapt(model, stage.data, recipe))
    model.compile(
        recipe.make_optimizer(steps),
        jit_compile=recipe.jit_compile,
        steps_per_execution=recipe.updates_together(steps),
        skip_norm=recipe.skip_norm,
    )
    stateful = recipe.stateful_callbacks()
    checkpoint = Checkpoint(folder, stateful)
    for callback in (checkpoint, *stateful.values()):
        callback.set_model(model)
    epoch = checkpoint.restore() if resume else 0
    if epoch:
        train_data, _, _ = datasets(model, stage.data, recipe, epochs_done=epoch)
    calls = (recipe.epochs - epoch) * (steps // recipe.updates_together(steps))
    if watched.profile and calls < PROFILED[0]:
        raise InvalidInput(f"the profiler records from call {PROFILED[0]} on, and this run makes {calls}")
    same_everywhere(strategy, **{"epoch to go on with": epoch})
    for name in (LOG, KL_LOG, TIMES):
        forget_after(folder / name, epoch)
    folder.mkdir(exist_ok=True)
    callbacks = [
        *recipe.schedule_callbacks(),
        *stateful.values(),
        KLPerUnitLogger(folder / KL_LOG),
        EpochLogger(folder / LOG),
        TimingLogger(folder / TIMES),
        *(trackers(stage, watched, lambda: next(iter(validation_data or train_data))) if is_chief(strategy) else []),
        checkpoint,
        *([Progress()] if watched.verbose else []),
    ]
    if strategy:
        data = train_data, validation_data, steps
        history = fit_together(strategy, model, data, recipe.epochs, epoch, callbacks)
        return history, epoch + len(history.epoch)
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


def trackers(stage, watched, batch):
    """The callbacks that a stage's recipe names, and TensorBoard's where that is asked for besides."""
    about = {"model": stage.model, "config": stage.config, "recipe": dataclasses.asdict(stage.recipe)}
    context = {"directory": stage.folder, "about": {**about, "data": stage.entry["data"]}, "batch": batch}
    specs = [spec if isinstance(spec, dict) else {"name": spec} for spec in specs_of(stage.recipe.callbacks)]
    if (watched.tensorboard or watched.profile) and all(spec["name"] != "tensorboard" for spec in specs):
        specs.append({"name": "tensorboard"})
    profile = {"tensorboard": {"profile": PROFILED}} if watched.profile else {}
    return [TRACKERS.create({**spec, **profile.get(spec["name"], {})}, **context) for spec in specs]


def card_of(stage, preset, epochs, took):
    """What the card of a finished stage, which `took` that (`timing`), says beside its model."""
    if stage.goes_on:
        epochs += pretrained.read_card(stage.origin).get("epochs_trained", 0)
    return {
        **said_of_run(stage),
        "epochs_trained": epochs,
        **({"timing": took} if took else {}),
        **kept_of(preset),
    }


def said_of_run(stage):
    """What a card says of a run that is known before it."""
    return {
        "data": {**describe(stage.data), "name": stage.entry["data"]["name"]},
        "recipe": {**dataclasses.asdict(stage.recipe), "callbacks": None},  # who watched is no part of what was made
        "seed": stage.recipe.seed,
    }


def kept_of(preset):
    """What a card has of its preset as it is."""
    return {key: preset[key] for key in SAID if key in preset}
