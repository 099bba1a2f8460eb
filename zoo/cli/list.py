"""`zoo list`: what there is, read from cards and source."""

import fnmatch
from typing import Annotated

import typer

from zoo import index, plugins
from zoo.cli.app import Json, app, show
from zoo.cli.words import digits
from zoo.pretrained import list_pretrained, list_recipes, read_card
from zoo.pretrained.results import csv_text


@app.command("list")
def list_command(
    pattern: Annotated[str, typer.Argument(help="A word in names or descriptions, or a shell pattern of names.")] = "*",
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Pretrained models instead of model kinds.")] = False,
    recipes: Annotated[bool, typer.Option("--recipes", help="What `zoo train --preset` takes.")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="Networks, posteriors, priors, bounds, penalties.")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="A table of the pretrained models' numbers, for programs.")
    ] = False,
    json: Json = False,
):
    """List models, pretrained models, recipes or parts. Example: zoo list flow"""
    none = f"nothing is called like {pattern!r}"
    none += "" if pretrained or recipes or parts else "; --pretrained and --parts list others"
    pattern = pattern if set("*?[") & set(pattern) else f"*{pattern}*"
    if csv:
        found = [name for name in list_pretrained() if matches(pattern, name, headline(read_card(name)))]
        return typer.echo(csv_text(found), nl=False)
    if parts:
        rows = {kind: matching(kind, pattern) for kind in index.PARTS}
        if json:
            return show({kind: list(found) for kind, found in rows.items()}, json)
        titled = [[f"{kind}:", *lines(found, 1)] for kind, found in rows.items() if found]
        return show(sum(titled, []), json, none)
    if pretrained or recipes:
        found = {name: headline(read_card(name)) for name in (list_recipes if recipes else list_pretrained)()}
        rows = {name: about for name, about in found.items() if matches(pattern, name, about)}
    else:
        rows = matching("models", pattern, plugins.entries())
    return show(list(rows) if json else lines(rows), json, none)


def matching(kind, pattern, more=()):
    """Name -> description of what is registered of a kind, and of `more` entries."""
    found = sorted([*more, *index.entries(kind)], key=lambda entry: entry.name)
    return {entry.name: entry.about for entry in found if matches(pattern, entry.name, entry.about)}


def matches(pattern, name, about):
    """Whether a name is like a pattern; or where this is *a word*, whether the description has the word."""
    word = pattern[1:-1].lower()
    described = pattern == f"*{pattern[1:-1]}*" and not set("*?[") & set(word) and word in about.lower()
    return described or fnmatch.fnmatch(name, pattern)


def lines(rows, indent=0):
    """A line a name, with its description."""
    return [f"{'  ' * indent}{name:{28 - 2 * indent}} {about}" for name, about in rows.items()]


def headline(card):
    """One line of what a card measured."""
    metrics = card.get("metrics", {})
    shown = [f"{name} {measured(metrics[name])}" for name in ("nll", "reconstruction") if name in metrics][:1]
    if "error_percent" in metrics:
        shown.append(f"{measured(metrics['error_percent'])} % errors")
    data = card.get("data", {})
    labels = f" with {data['num_labels']} labels" if "num_labels" in data else ""
    said = ", ".join(shown) if "weights" in card else "no weights yet"
    return f"{card['model']} on {data.get('name', '?')}{labels}; {said}"


def measured(metric):
    """A number of a card with its error."""
    return digits(metric["value"], metric.get("standard_error"))
