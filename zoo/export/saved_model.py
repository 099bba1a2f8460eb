"""A SavedModel as TF Serving wants it: directory/<version>/, every endpoint a signature, warm-up records inside."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from zoo.data.check import said_range
from zoo.errors import InvalidInput, OutputExists, check_positive
from zoo.export.archive import quiet, write_archive
from zoo.export.warmup import write_warmup
from zoo.files import atomic, write_json

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

INPUTS = "assets.extra/inputs.json"  # beside the signatures: shape, dtype, range and role of every input
NAMES = "assets.extra/names.json"  # of the columns of x and of the classes, by number


def export_saved_model(model: "LatentVariableModel", directory: str | os.PathLike, version: int | None = None) -> Path:
    """Write directory/<version>/ with every endpoint of the model as a signature, and return its path.

    The version appears whole or not at all: it is written beside its place, under a name that TF Serving ignores,
    and renamed. Batches may have any size, and each row of an output depends on the same row of the inputs alone.

    Args:
        model: a built model.
        directory: the model's base directory, made where missing.
        version: a positive whole number; None takes the next free one, 1 where there is none.

    Raises:
        InvalidInput: (a `ValueError`) a bad version, or a directory that is a file.
        OutputExists: the version is there already.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise InvalidInput(f"{directory} is a file; give the directory that holds the versions")
    if version is None:
        version = max(existing_versions(directory), default=0) + 1
    check_positive(version=version)
    target = directory / str(version)
    refuse_existing(target)
    with quiet(f"exporting {target}"), atomic(target) as partial:
        write_archive(model, refusing(model), model.field_specs, partial)
        write_warmup(model, partial, name=directory.resolve().name)
        write_json(partial / INPUTS, described_inputs(model))
        if names := names_of(model):
            write_json(partial / NAMES, names)
        refuse_existing(target)
    return target


def refusing(model):
    """name -> (method, inputs) of the endpoints, each with an assertion in its graph that its inputs fit."""

    def asserted(method):
        def call(**fields):
            given = model.observed(dict(fields))
            checks = []
            for name, value in given.items():
                spec = model.field_specs[name]
                says = f"{name} must be finite, and in {said_range(spec)}"
                checks.append(tf.debugging.Assert(model.unfit_rows(value, spec) == 0, [says]))
            with tf.control_dependencies(checks):
                return method(**{name: tf.identity(value) for name, value in given.items()})

        return call

    return {name: (asserted(method), inputs) for name, (method, inputs) in model.endpoints.items()}


def described_inputs(model):
    """endpoint -> input -> what it must be, for whoever writes a client."""
    specs = {name: spec._asdict() for name, spec in model.field_specs.items()}
    return {name: {field: specs[field] for field in inputs} for name, (_, inputs) in model.endpoints.items()}


def names_of(model):
    """The names of columns and classes that the model's card keeps."""
    data = (getattr(model, "card", None) or {}).get("data", {})
    return {name: data[name] for name in ("columns", "classes") if data.get(name)}


def existing_versions(directory):
    """The whole numbers that name a child of `directory`; TF Serving reads 001 as 1."""
    names = [child.name for child in directory.iterdir()] if directory.exists() else []
    return [int(name) for name in names if name.isascii() and name.isdigit()]


def refuse_existing(target):
    if int(target.name) in existing_versions(target.parent):
        raise OutputExists(f"{target} exists: give another version, or none for the next free one")
