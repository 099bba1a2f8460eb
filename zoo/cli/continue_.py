"""`zoo continue`: how a piece of music or a recording may go on."""

import pathlib
from typing import Annotated

import numpy as np
import typer

from zoo.cli.app import Name, Seed, app
from zoo.cli.pictures import subject_of
from zoo.cli.played import check_format, check_played, write_played
from zoo.errors import check_positive


@app.command("continue")
def continue_(
    name: Name,
    file: Annotated[pathlib.Path, typer.Argument(exists=True, dir_okay=False, help="A MIDI or WAV file.")],
    steps: Annotated[int, typer.Option(help="How many frames to add: quarter notes of music.")] = 64,
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", help="The .mid or .wav file to write.")
    ] = None,
    seed: Seed = 0,
):
    """Go on with a piece of music or a recording. Example: zoo continue dmm_jsb chorale.mid --steps 64"""
    output = output or pathlib.Path(f"continued{file.suffix.lower()}")
    check_played(output)
    check_positive(steps=steps)
    subject = subject_of(name, file)
    subject.model.require("zoo continue", ["steps"])
    check_format(subject, output)
    inputs = subject.unlabelled(None)
    x = inputs.pop("x")
    added = np.asarray(subject.model.continue_sequence(x, steps, seed=seed, **inputs))[0]
    said = f"{len(x[0])} frames of {file.name}, then {len(added)} of {name}"
    write_played(output, subject, [np.concatenate([x[0], added])], said)
