"""`zoo list`: what there is, read from cards and source."""

import fnmatch
from typing import Annotated

import typer

from zoo import index, plugins
from zoo.cli.app import Json, app, show
from zoo.pretrained import list_pretrained, list_recipes, read_card


@app.command("list")
def list_command(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*mnist*'.")] = "*",
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Pretrained models instead of model kinds.")] = False,
    recipes: Annotated[bool, typer.Option("--recipes", help="What `zoo train --preset` takes.")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="Networks, posteriors, priors, bounds, penalties.")] = False,
    json: Json = False,
):
    """List models, pretrained models, recipes or parts. Example: zoo list --pretrained '*mnist*'"""
    none = f"nothing is called like {pattern!r}"
    if parts:
        rows = {kind: matching(kind, pattern) for kind in index.PARTS}
        if json:
            return show({kind: list(found) for kind, found in rows.items()}, json)
        titled = [[f"{kind}:", *lines(found, 1)] for kind, found in rows.items() if found]
        return show(sum(titled, []), json, none)
    if pretrained or recipes:
        rows = {name: headline(read_card(name)) for name in (list_recipes if recipes else list_pretrained)(pattern)}
    else:
        rows = matching("models", pattern, plugins.entries())
    return show(list(rows) if json else lines(rows), json, none)


def matching(kind, pattern, more=()):
    """Name -> description of what is registered of a kind, and of `more` entries."""
    found = sorted([*more, *index.entries(kind)], key=lambda entry: entry.name)
    return {entry.name: entry.about for entry in found if fnmatch.fnmatch(entry.name, pattern)}


def lines(rows, indent=0):
    """A line a name, with its description."""
    return [f"{'  ' * indent}{name:{28 - 2 * indent}} {about}" for name, about in rows.items()]


def headline(card):
    """One line of what a card measured."""
    metrics = card.get("metrics", {})
    shown = [f"{name} {metrics[name]['value']:.2f}" for name in ("nll", "reconstruction") if name in metrics][:1]
    if "error_percent" in metrics:
        shown.append(f"{metrics['error_percent']['value']:.2f} % errors")
    data = card.get("data", {})
    labels = f" with {data['num_labels']} labels" if "num_labels" in data else ""
    measured = ", ".join(shown) if "weights" in card else "no weights yet"
    return f"{card['model']} on {data.get('name', '?')}{labels}; {measured}"
