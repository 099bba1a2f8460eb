"""`zoo datasets`: list the data sets, prepare one, or say what one's own data are understood as."""

from typing import Annotated

import typer

from zoo.cli.app import Json, app, import_tensorflow, show, sides
from zoo.cli.checks import check_source
from zoo.data import describe_dataset, list_datasets, prepare_dataset


@app.command()
def datasets(
    prepare: Annotated[str | None, typer.Option(help="Download and prepare this one.")] = None,
    check: Annotated[
        str | None, typer.Option(help="Say what this name, folder, file or pattern is understood as.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="With --check: resize pictures to HEIGHTxWIDTH.")] = None,
    color: Annotated[str | None, typer.Option(help="With --check: make pictures gray or rgb.")] = None,
    column: Annotated[str | None, typer.Option(help="With --check: the column of a table that holds pictures.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="With --check: leave out files that cannot be read, and say which.")
    ] = False,
    json: Json = False,
):
    """List the data sets, or prepare one, or check your own. Example: zoo datasets --check photos/ --size 64x64"""
    if check:
        check_source(check)
        import_tensorflow()
        from zoo.data.understood import describe_source, in_lines

        found = describe_source(check, size=sides(size), color=color, column=column, skip_bad=skip_bad)
        return show(found if json else in_lines(found), json)
    if prepare:
        return show([f"{prepare} is ready in {prepare_dataset(prepare)}"], False)
    found = {name: describe_dataset(name) for name in list_datasets()}
    return show(found if json else [f"{name:28} {info['title']}" for name, info in found.items()], json)
