"""Whether XLA compiles the update, and how many a call makes: as a recipe says, or as `zoo train --tune` measures."""

import dataclasses
import pathlib
import time

import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.files import read_json, write_json
from zoo.models.updates import together
from zoo.precision import computing
from zoo.quiet import waiting
from zoo.training.checkpoint import Checkpoint

FILE = "compiling.json"  # of a run: what it began with, so that it goes on so
WINS = 0.9  # at most so many times the seconds without
LENGTHS = 8  # as many shapes have the batches of sequences, about: XLA compiles an update for each
UPDATES = 40  # timed of each kind


def settled(recipe, folder, model, steps):
    """The recipe with what it leaves open: no XLA where there is no GPU, and several updates in a call.

    Args:
        recipe: a `Recipe`.
        folder: of the run.
        model: that which is trained.
        steps: updates an epoch.
    """
    path = pathlib.Path(folder) / FILE
    by_xla = model.supports_jit and not recipe.deterministic and bool(tf.config.list_physical_devices("GPU"))
    if path.exists():
        chosen = read_choice(path)
    elif Checkpoint(folder, {}).exists:  # of a run from before this was written down
        chosen = {"jit_compile": False, "steps_per_execution": 1}
    else:
        chosen = {"jit_compile": by_xla, "steps_per_execution": together(None, steps)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, chosen)
    return dataclasses.replace(recipe, **{key: chosen[key] for key in chosen if getattr(recipe, key) == "auto"})


def read_choice(path):
    """{"jit_compile", "steps_per_execution"} as the folder of an earlier run has them."""
    found = read_json(path)
    chosen = {"jit_compile": found.get("jit_compile"), "steps_per_execution": found.get("steps_per_execution", 1)}
    for key, kind in (("jit_compile", bool), ("steps_per_execution", int)):
        if type(chosen[key]) is not kind:
            raise InvalidInput(f"{path} says nothing of {key}: remove it")
    return chosen


def measured(recipe, model, batches, steps):
    """({"jit_compile", "steps_per_execution"}, what was found in words): the fastest for a whole run.

    XLA must win by a tenth, with what it takes to compile. A copy of the model is measured on one batch.
    """
    with waiting("measuring updates"):
        with computing(recipe.precision):
            copy = type(model).from_config(model.get_config())
        recipe.keep(copy)
        data = tf.data.Dataset.from_tensors(next(iter(batches))).repeat(UPDATES)
        updates, shapes = recipe.epochs * steps, [1, 1]
        if any(None in spec.shape[1:] for spec in batches.element_spec.values()):
            shapes[True] = LENGTHS
        seconds, said = {}, []
        for jit_compile in (False, True) if model.supports_jit else (False,):
            for count in (1, together(None, steps)):
                first, later = seconds_of_epochs(copy, recipe.make_optimizer(steps), data, jit_compile, count)
                whole = (first - later) * shapes[jit_compile] + later / UPDATES * updates
                seconds[jit_compile, count] = whole * (1 if jit_compile else WINS)
                kind = "XLA" if jit_compile else "no XLA"
                said.append(f"{kind}, {count} a call: {later / UPDATES * 1e3:.1f} ms an update, begun in {first:.1f} s")
    by_xla, count = min(seconds, key=seconds.get)
    return {"jit_compile": by_xla, "steps_per_execution": count}, "; ".join(said)


def seconds_of_epochs(model, optimizer, data, jit_compile, count):
    """(seconds of a first epoch, in which the update is compiled, of a second) of `data`."""
    model.compile(optimizer, jit_compile=jit_compile, steps_per_execution=count)

    def seconds():
        begun = time.perf_counter()
        model.fit(data, verbose=0)
        return time.perf_counter() - begun

    return seconds(), seconds()
