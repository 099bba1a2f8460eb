"""`zoo cache`: what was fetched, and room again."""

from typing import Annotated

import typer

from zoo.cli.app import Json, app, show
from zoo.pretrained import cache_folder, clear_cache, list_cache

commands = typer.Typer(help="List or clear what was fetched. Example: zoo cache list", rich_markup_mode=None)
app.add_typer(commands, name="cache")


@commands.command("list")
def list_command(json: Json = False):
    """List the models in the cache, and where each is. Example: zoo cache list"""
    found = list_cache()
    lines = [f"{entry['name']:28} {megabytes(entry):>9}  {entry['folder']}" for entry in found]
    return show(found if json else lines, json, f"the cache {cache_folder()} is empty")


@commands.command()
def clear(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; all of them if not said.")] = None,
    json: Json = False,
):
    """Remove models from the cache. Example: zoo cache clear lvae_mnist"""
    gone = clear_cache(names or ())
    lines = [f"removed {entry['name']}, {megabytes(entry)}" for entry in gone]
    return show(gone if json else lines, json, f"the cache {cache_folder()} is empty")


def megabytes(entry):
    """The size of a model in the cache."""
    return f"{entry['bytes'] / 1e6:.1f} MB"
