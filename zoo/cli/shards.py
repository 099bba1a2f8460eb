"""`zoo shards`: data as TFRecord files, to be streamed."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import app, import_tensorflow, sides
from zoo.cli.checks import check_source


@app.command()
def shards(
    source: Annotated[str, typer.Argument(help="What `zoo train --dataset` takes, such as a folder of pictures.")],
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The folder to make.")] = pathlib.Path(
        "shards"
    ),
    count: Annotated[int, typer.Option(help="How many files.")] = 16,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "all",
    labels: Annotated[bool, typer.Option("--labels", help="Write the labels too.")] = False,
    size: Annotated[str | None, typer.Option(help="Resize pictures to HEIGHTxWIDTH: 64x64.")] = None,
    color: Annotated[str | None, typer.Option(help="Make pictures gray or rgb.")] = None,
    fit: Annotated[
        str | None, typer.Option(help="What --size does with other shapes: crop (if not said) or pad.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column that holds the pictures.")] = None,
):
    """Write data as TFRecord files, which training reads fastest.

    They hold raw pixels, of any number of rows.

    Example: zoo shards photos/ --size 64x64 --output shards/
    """
    check_source(source)
    import_tensorflow()
    from zoo.data import load_dataset, write_shards

    look = {"size": sides(size), "color": color, "fit": fit, "column": column}
    rows = write_shards(load_dataset(source, split, 500, labels=labels, shuffle=False, **look), output, count)
    typer.echo(f"wrote {output}: {rows} rows in {count} files")
