"""`zoo encode`: the codes of images, as arrays."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import Input, Name, app
from zoo.cli.arrays import check_array, in_batches
from zoo.cli.pictures import subject_of, write


@app.command()
def encode(
    name: Name,
    input: Input = None,
    output: Annotated[
        pathlib.Path, typer.Option("--output", "-o", help="An .npz file, or an .npy file of the first code alone.")
    ] = pathlib.Path("codes.npz"),
    count: Annotated[int | None, typer.Option(help="Only the first images.")] = None,
):
    """Write the codes of your images, or of the test images: where q(z | x) lies, and how wide it is.

    Example: zoo encode vae_mnist --input digits/ --output codes.npz
    """
    check_array(output)
    subject = subject_of(name, input)
    write(output, in_batches(lambda fields: subject.model.serve_encode(**fields), subject.unlabelled(count)))
