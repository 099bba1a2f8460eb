"""`zoo info`: what is known of one name."""

import pathlib
import textwrap
from typing import Annotated

import typer

from zoo import index, plugins
from zoo.cli.app import Json, app, import_tensorflow, show
from zoo.cli.words import card_lines, table, words
from zoo.data import describe_dataset, list_datasets
from zoo.errors import InvalidInput, nearest
from zoo.pretrained import is_elsewhere, list_recipes, read_card

WIDTH = 80


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A pretrained model or run, a data set, a model, a part, a recipe key.")],
    json: Json = False,
):
    """Show what is known of a model, a part, data, a run, a setting. Example: zoo info vae_mnist"""
    if name in list_recipes() or is_elsewhere(name) or pathlib.Path(name, "card.json").is_file():
        card = read_card(name)
        return show(card if json else card_lines(card), json)
    if name in list_datasets():
        found = describe_dataset(name)
        return show(found if json else table([(key, words(value)) for key, value in found.items()]), json)
    found = [*registered(name), *of_recipes(name)]
    if not found:
        entries = everything()
        names = [
            *list_recipes(),
            *list_datasets(),
            *(entry.name for entry in entries),
            *recipe().arguments,
        ]
        raise InvalidInput(f"nothing is called {name!r}; {nearest(name, names)}")
    if json:
        return show(found[0][0] if len(found) == 1 else [facts for facts, _ in found], json)
    return show(["\n\n\n".join(text for _, text in found)], json)


def registered(name):
    """(facts, text) of every model, part and picture of a name."""
    for entry in everything():
        if entry.name == name:
            yield described(entry if entry.text else of_package(name))


def everything():
    """The entries of all that is registered, models of other packages too."""
    return [*(entry for kind in index.KINDS for entry in index.entries(kind)), *plugins.entries()]


def of_package(name):
    """The entry of a model of another package, which is imported for that."""
    import_tensorflow()
    from zoo.registry import MODELS, WORDS

    return plugins.described(name, MODELS, WORDS)


def recipe():
    """The entry whose arguments are the keys of a recipe."""
    return index.entries("recipes")[0]


def of_recipes(name):
    """(facts, text) of recipes, or of the key of a recipe."""
    keys = recipe().arguments
    if name == "recipe":
        yield described(recipe())
    if name in keys:
        default, about = keys[name]
        facts = {"kind": "recipes", "key": name, "default": default, "about": about}
        yield facts, f"a key of recipes, as in `zoo train --recipe {name}=...`:\n{argument_lines({name: keys[name]})}"


def described(entry):
    """(facts, text) of an entry, with its arguments."""
    arguments = entry.arguments
    own = {"model": entry.name} if entry.kind == "models" else {"kind": entry.kind, "name": entry.name}
    defaults = {key: default for key, (default, _) in arguments.items()}
    facts = {**own, "about": entry.about, "paper": entry.paper, "arguments": defaults}
    title = f"{entry.name}, of the {entry.kind}" + (f": {entry.about}" if entry.kind == "models" else "")
    parts = [title, entry.text, *([f"its arguments:\n{argument_lines(arguments)}"] if arguments else [])]
    return facts, "\n\n".join(parts)


def argument_lines(arguments):
    """Each argument with its default, and below it what it is."""
    lines = []
    for name, (default, about) in arguments.items():
        lines += [
            f"  {name} = {words(default) if isinstance(default, dict) else repr(default)}",
            *textwrap.wrap(about, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    return "\n".join(lines)
