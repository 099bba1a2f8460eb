"""Whether XLA compiles the update: measured, where a recipe leaves it open."""

import pathlib
import statistics
import time

import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.files import read_json, write_json
from zoo.quiet import waiting
from zoo.training.checkpoint import Checkpoint

FILE = "compiling.json"
FEWEST, SHORTEST = 1000, 60  # updates, and seconds of a run: a shorter one is over before XLA has paid
WINS = 0.9  # at most so many times the seconds without
LENGTHS = 8  # as many shapes have the batches of sequences, about: XLA compiles an update for each
ROUNDS, TRIES = 3, 5  # timed, and updates in each


def compiled_by_xla(recipe, folder, model, batches, steps):
    """Whether a run compiles its updates with XLA: as its recipe says, or for "auto" by a measurement.

    That is kept in the run's folder, so that it goes on as it began. XLA must win by a tenth, over the whole run and
    with what it takes to compile; a run too short to be measured, or whose operators are to be deterministic, does
    without.

    Args:
        folder: of the run.
        model: that which is to be trained; a copy of it is.
        batches: the training data.
        steps: updates an epoch.
    """
    if recipe.jit_compile != "auto":
        return recipe.jit_compile
    path, updates = pathlib.Path(folder) / FILE, recipe.epochs * steps
    if path.exists():
        return read_choice(path)
    unmeasured = updates < FEWEST or recipe.deterministic or Checkpoint(folder, {}).exists
    if unmeasured or not model.supports_jit:
        return False
    with waiting("measuring an update with and without XLA"):
        with recipe.computing():
            copy = type(model).from_config(model.get_config())
        recipe.keep(copy)
        batch = next(iter(batches))
        shapes = LENGTHS if any(None in spec.shape[1:] for spec in batches.element_spec.values()) else 1
        seconds = {"without": seconds_of_updates(copy, recipe.make_optimizer(steps), batch, False)}
        if seconds["without"]["each"] * updates >= SHORTEST:
            seconds["with"] = seconds_of_updates(copy, recipe.make_optimizer(steps), batch, True)
    whole = {
        side: each["first"] * (shapes if side == "with" else 1) + each["each"] * updates
        for side, each in seconds.items()
    }
    chosen = whole.get("with", whole["without"]) < WINS * whole["without"]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"jit_compile": chosen, "seconds_of_updates": seconds})
    return chosen


def read_choice(path):
    """The choice in a run's folder."""
    chosen = read_json(path).get("jit_compile")
    if not isinstance(chosen, bool):
        raise InvalidInput(f"{path} says nothing of jit_compile: remove it, and it is measured anew")
    return chosen


def seconds_of_updates(model, optimizer, batch, jit_compile):
    """{"first", with what it takes to compile, "each": the median over a few rounds of further ones}."""
    model.compile(optimizer)
    update = tf.function(model.train_step, jit_compile=jit_compile)

    def seconds(count):
        begun = time.perf_counter()
        for _ in range(count):
            logs = update(batch)
        next(iter(logs.values())).numpy()  # is there when the update is over
        return (time.perf_counter() - begun) / count

    return {"first": seconds(1), "each": statistics.median(seconds(TRIES) for _ in range(ROUNDS))}
