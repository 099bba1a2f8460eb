"""`zoo fetch`: pretrained weights for later, when there may be no network."""

from typing import Annotated

import typer

from zoo.cli.app import Json, app, show
from zoo.errors import InvalidInput
from zoo.pretrained import fetch as fetch_one
from zoo.pretrained import list_pretrained


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Pretrained names, or addresses as hf://user/name.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every model of `zoo list --pretrained`.")] = False,
    json: Json = False,
):
    """Fetch weights for later, when there may be no network.

    They come from the mirror (ZOO_MIRROR) into the cache (ZOO_CACHE), where they are not here already.

    Example: zoo fetch vae_mnist lvae_mnist
    """
    if bool(names) == all_:
        raise InvalidInput("say what to fetch: names, or --all (one of them)")
    files = {name: str(fetch_one(name)) for name in (list_pretrained() if all_ else names)}
    return show(files if json else [f"{name} is in {file}" for name, file in files.items()], json)
