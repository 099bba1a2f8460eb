"""`zoo list`: what there is, read from cards and source."""

import fnmatch
from typing import Annotated

import typer

from zoo import index, plugins
from zoo.cli.app import Json, app, show
from zoo.cli.words import digits
from zoo.pretrained import list_pretrained, list_recipes, read_card
from zoo.pretrained.headline import data_of, headline
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
    if parts:
        rows = {kind: matching(kind, pattern) for kind in index.PARTS}
        if json:
            return show({kind: list(found) for kind, found in rows.items()}, json)
        titled = [[f"{kind}:", *lines(found, 1)] for kind, found in rows.items() if found]
        return show(sum(titled, []), json, none)
    if pretrained or recipes or csv:
        cards = {name: read_card(name) for name in (list_recipes if recipes else list_pretrained)()}
        said = {name: measured(card, headline(card)) for name, card in cards.items()}
        cards = {name: card for name, card in cards.items() if matches(pattern, name, said[name])}
        if csv:
            return typer.echo(csv_text(cards), nl=False)
        return show(list(cards) if json else by_kind(cards), json, none)
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


def by_kind(cards):
    """A line a card, those with numbers of one kind together, under what that is."""
    rows = {}
    for name, card in cards.items():
        found = headline(card)
        rows.setdefault(found.kind if found else "no weights yet", {})[name] = measured(card, found)
    return sum(([f"{kind}:", *lines(found, 1)] for kind, found in sorted(rows.items())), [])


def measured(card, found):
    """One line of what a card measured."""
    labels = f", {card['data']['num_labels']} labels" if "num_labels" in card["data"] else ""
    number = [digits(found.entry["value"], found.entry.get("standard_error"))] if found else []
    said = [f"{card['model']} on {data_of(card)}{labels}", *number]
    wrong = card.get("metrics", {}).get("error_percent")
    return "; ".join([*said, *([f"{digits(wrong['value'], wrong.get('standard_error'))} % errors"] if wrong else [])])
