"""Galleries of the site: a card a pretrained model, or a kind of model, with a picture, a number and one sentence."""

import html

from tools.tables import estimate, listed, size
from zoo import index, pretrained
from zoo.data import describe_dataset, list_datasets
from zoo.pretrained.headline import data_of, headline

FIRST = ("manifold", "samples", "reconstructions", "piano_roll", "waveform")  # kinds of pictures, what shows most first
SEQUENCES = "music and sound"


def pretrained_gallery():
    """The pretrained models as HTML, those in colour first."""
    cards = {name: pretrained.read_card(name) for name in listed()}
    shown = sorted(cards, key=lambda name: (task_of(cards[name]) != "colour pictures", cards[name]["data"]["name"]))
    about = {entry.name: entry.about for entry in index.entries("models")}
    tiles = [pretrained_tile(name, cards[name], about) for name in shown]
    tasks, data = ([entry[key] for entry in tiles] for key in ("task", "data"))
    return gallery(tiles, {"task": tasks, "data": data})


def model_gallery():
    """The kinds of models as HTML."""
    cards = {name: pretrained.read_card(name) for name in pretrained.list_pretrained()}
    tiles = []
    for entry in index.entries("models"):
        names = [name for name, card in cards.items() if card["model"] == entry.name and picture_of(name)]
        picture = next((f"../saved_models/{name}/{picture_of(name)}" for name in names), None)
        trained = f"{len(names)} pretrained" if names else "not pretrained"
        tiles.append({"name": entry.name, "picture": picture, "lines": [entry.paper, trained], "about": entry.about})
    return gallery(tiles, {})


def pretrained_tile(name, card, about):
    """What the tile of a pretrained model says."""
    number, picture = headline(card), picture_of(name)
    return {
        "name": name,
        "picture": picture and f"../saved_models/{name}/{picture}",
        "lines": [f"{card['model']} · {data_of(card)}", f"{estimate(number.entry)} {number.kind}", sizes(name, card)],
        "about": about.get(card["model"], ""),
        "task": task_of(card),
        "data": card["data"]["name"],
    }


def gallery(tiles, filters):
    """Tiles as HTML, and above them what they can be chosen by: name -> the value of each."""
    choices = "".join(choice(name, sorted(set(values))) for name, values in filters.items())
    above = f'<div class="choices">{choices}</div>' if choices else ""
    return f'{above}<div class="gallery">{"".join(map(tile, tiles))}</div>'


def choice(name, values):
    options = "".join(f"<option>{html.escape(value)}</option>" for value in values)
    return f'<label>{name} <select data-filter="{name}"><option value="">all</option>{options}</select></label>'


def tile(found):
    """One tile, a link to the page beside it."""
    about = html.escape(found["about"])
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in found["lines"] if line)
    picture = f'<img src="{found["picture"]}" alt="" loading="lazy">' if found["picture"] else ""
    kept = "".join(f' data-{key}="{html.escape(found[key])}"' for key in ("task", "data") if key in found)
    return f'<a class="tile" href="{found["name"]}/"{kept}>{picture}<b>{found["name"]}</b>{lines}<em>{about}</em></a>'


def picture_of(name):
    """The file of the picture that shows most of a pretrained model, or None."""
    there = {file.stem for file in pretrained.locate(name).glob("*.png")}
    return next((f"{kind}.png" for kind in FIRST if kind in there), None)


def task_of(card):
    """What a pretrained model is for."""
    data = card["data"]
    shape = describe_dataset(data["name"])["shape"] if data["name"] in list_datasets() else (0,)
    if shape[0] is None:
        return SEQUENCES
    if "num_labels" in data:
        return "few labels"
    return "colour pictures" if shape[-1] == 3 else "grey and binary pictures"


def sizes(name, card):
    """How many parameters there are, and in how many bytes."""
    return f"{index.content()['parameters'][name] / 1e6:.2f} million parameters, {size(card)}"
