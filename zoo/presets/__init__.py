"""Presets: model, data and recipe of every pretrained model, as JSON."""

import pathlib

from zoo.errors import choose
from zoo.files import read_json


def list_presets():
    """Names of the presets that come with the zoo."""
    return sorted(path.stem for path in pathlib.Path(__file__).parent.glob("*.json"))


def read_preset(name):
    """The preset of a name, or of a path to a JSON file: `{"model", "config", "data", "recipe"}`."""
    if str(name).endswith(".json"):
        return read_json(name)
    folder = pathlib.Path(__file__).parent
    return read_json(choose("preset", name, {known: folder / f"{known}.json" for known in list_presets()}))
