"""`zoo datasets`: list the data sets, or prepare one."""

from typing import Annotated

import typer

from zoo.cli.app import Json, app, show
from zoo.data import describe_dataset, list_datasets, prepare_dataset


@app.command()
def datasets(
    prepare: Annotated[str | None, typer.Option(help="Download and prepare this one.")] = None, json: Json = False
):
    """List the data sets, or prepare one. Example: zoo datasets --prepare mnist"""
    if prepare:
        return show([f"{prepare} is ready in {prepare_dataset(prepare)}"], False)
    found = {name: describe_dataset(name) for name in list_datasets()}
    return show(found if json else [f"{name:28} {info['title']}" for name, info in found.items()], json)
