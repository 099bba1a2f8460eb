"""`zoo encode`: the codes of images, as arrays."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import Name, app
from zoo.cli.arrays import check_array, in_batches
from zoo.cli.pictures import subject_of, write
from zoo.cli.pipelines import EXTRA, Column, Key, Rows, Runner, check_plain, run_pipeline
from zoo.errors import InvalidInput


@app.command(context_settings=EXTRA)
def encode(
    context: typer.Context,
    name: Name,
    input: Rows = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="An .npz file (codes.npz), or an .npy file of the first code alone."),
    ] = None,
    count: Annotated[int | None, typer.Option(help="Only the first images.")] = None,
    runner: Runner = None,
    key: Key = None,
    column: Column = None,
):
    """Write the codes of your images, or of the test images.

    A code is where q(z | x) lies, and how wide it is.

    Example: zoo encode vae_mnist --input digits/ --output codes.npz

    Any number of rows: zoo encode vae_mnist --input 'rows/*.tfrecord' --output codes/ --runner DirectRunner
    """
    if runner:
        if count is not None:
            raise InvalidInput("--count is not for pipelines, which take every row")
        given = {"input": input, "key": key, "column": column}
        return run_pipeline(name, "encode", output or "codes", runner, context.args, **given)
    input = check_plain(context.args, input, key=key, column=column)
    path = pathlib.Path(output or "codes.npz")
    check_array(path)
    subject = subject_of(name, input)
    return write(path, in_batches(lambda fields: subject.model.serve_encode(**fields), subject.unlabelled(count)))
