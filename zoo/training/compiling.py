"""Whether XLA compiles the update, and how many a call makes: measured, where a recipe leaves it open."""

import dataclasses
import pathlib
import statistics
import time

import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.files import read_json, write_json
from zoo.precision import computing
from zoo.quiet import waiting
from zoo.training.checkpoint import Checkpoint

FILE = "compiling.json"
FEWEST, SHORTEST = 1000, 60  # updates, and seconds of a run: a shorter one is over before XLA has paid
WINS = 0.9  # at most so many times the seconds without
LENGTHS = 8  # as many shapes have the batches of sequences, about: XLA compiles an update for each
ROUNDS, TRIES = 3, 5  # timed, and updates in each
TOGETHER, SHORT = 10, 0.02  # updates that one call makes, where one takes at most so many seconds


def settled(recipe, folder, model, batches, steps):
    """The recipe with what it leaves to be measured: `jit_compile`, and how many updates a call makes.

    That is kept in the run's folder, so that it goes on as it began. XLA must win by a tenth, over the whole run and
    with what it takes to compile; short updates are made several in a call. A run too short to be measured, or whose
    operators are to be deterministic, does without either.

    Args:
        recipe: a `Recipe`.
        folder: of the run.
        model: that which is to be trained; a copy of it is measured.
        batches: the training data.
        steps: updates an epoch.
    """
    left_open = [key for key in ("jit_compile", "steps_per_execution") if getattr(recipe, key) == "auto"]
    if not left_open:
        return recipe
    path, chosen = pathlib.Path(folder) / FILE, {"jit_compile": False, "steps_per_execution": 1}
    if path.exists():
        chosen = read_choice(path)
    elif recipe.epochs * steps >= FEWEST and not recipe.deterministic and not Checkpoint(folder, {}).exists:
        chosen, seconds = measured(recipe, model, batches, steps)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**chosen, "seconds_of_updates": seconds})
    return dataclasses.replace(recipe, **{key: chosen[key] for key in left_open})


def measured(recipe, model, batches, steps):
    """({"jit_compile", "steps_per_execution"}, {"without", "with": seconds, where that was measured}) of a run."""
    with waiting("measuring an update"):
        with computing(recipe.precision):
            copy = type(model).from_config(model.get_config())
        recipe.keep(copy)
        batch, updates = next(iter(batches)), recipe.epochs * steps
        shapes = LENGTHS if any(None in spec.shape[1:] for spec in batches.element_spec.values()) else 1
        seconds = {"without": seconds_of_updates(copy, recipe.make_optimizer(steps), batch, False)}
        long = seconds["without"]["each"] * updates >= SHORTEST
        if recipe.jit_compile == "auto" and model.supports_jit and long:
            seconds["with"] = seconds_of_updates(copy, recipe.make_optimizer(steps), batch, True)
    whole = {
        side: each["first"] * (shapes if side == "with" else 1) + each["each"] * updates
        for side, each in seconds.items()
    }
    by_xla = whole.get("with", whole["without"]) < WINS * whole["without"]
    each = seconds["with" if by_xla else "without"]["each"]
    return {"jit_compile": by_xla, "steps_per_execution": TOGETHER if each <= SHORT else 1}, seconds


def read_choice(path):
    """{"jit_compile", "steps_per_execution"} as a run's folder has them."""
    found = read_json(path)
    chosen = {"jit_compile": found.get("jit_compile"), "steps_per_execution": found.get("steps_per_execution", 1)}
    for key, kind in (("jit_compile", bool), ("steps_per_execution", int)):
        if type(chosen[key]) is not kind:
            raise InvalidInput(f"{path} says nothing of {key}: remove it, and it is measured anew")
    return chosen


def seconds_of_updates(model, optimizer, batch, jit_compile):
    """{"first", with what it takes to compile, "each": the median over a few rounds of further ones}."""
    model.compile(optimizer, jit_compile=jit_compile)
    update = tf.function(model.train_step, jit_compile=jit_compile)

    def seconds(count):
        begun = time.perf_counter()
        for _ in range(count):
            logs = update(batch)
        next(iter(logs.values())).numpy()  # is there when the update is over
        return (time.perf_counter() - begun) / count

    return {"first": seconds(1), "each": statistics.median(seconds(TRIES) for _ in range(ROUNDS))}
