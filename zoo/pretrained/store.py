"""Pretrained models: a folder with `card.json` and weights, whose checksum is verified before the file is opened.

A card is a recipe with weights and metrics: `preset` gives the recipe back. A card without weights is a recipe alone.
"""

import datetime
import fnmatch
import pathlib
import platform

from zoo.errors import InvalidInput, OutputExists, choose
from zoo.files import atomic, read_json, sha256, write_json

PACKAGE = pathlib.Path(__file__).parent.parent
WEIGHTS = "model.weights.h5"
FORMAT = 1
PRESET = ("model", "config", "data", "recipe", "from", "stages", "reference", "target", "notes")
DERIVED = ("version", "protocol")  # of a card's data: they follow from its name


def folder():
    """Where the models that come with the zoo are: inside an installed package, beside it in a checkout."""
    installed = PACKAGE / "saved_models"
    return installed if installed.is_dir() else PACKAGE.parent / "saved_models"


def list_recipes(pattern="*"):
    """Names of the cards that come with the zoo, with weights or without, filtered by a shell pattern."""
    return sorted(fnmatch.filter((card.parent.name for card in folder().glob("*/card.json")), pattern))


def list_pretrained(pattern="*"):
    """Names of the pretrained models, filtered by a shell pattern."""
    return [name for name in list_recipes(pattern) if "weights" in read_json(folder() / name / "card.json")]


def locate(name):
    """The folder of a pretrained model: by name, or a path to a folder with a card.

    Raises:
        InvalidInput: unknown name, with the nearest ones.
    """
    path = pathlib.Path(name)
    if (path / "card.json").is_file():
        return path
    choices = {known: folder() / known for known in list_recipes()}
    if path.is_dir():
        raise InvalidInput(f"{path} holds no card.json: it is not a saved model")
    return choose("pretrained model", str(name), choices)


def read_card(name):
    """The card of a pretrained model as a dict, checked for its format."""
    path = locate(name) / "card.json"
    card = read_json(path)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InvalidInput(f"{path} is not a card of format {FORMAT}")
    entries = {"model": str, "config": dict, **({"weights": dict} if "weights" in card else {})}
    if not all(isinstance(card.get(name), kind) for name, kind in entries.items()):
        raise InvalidInput(f"{path} lacks one of {', '.join(entries)}")
    if "weights" in card and not all(isinstance(card["weights"].get(name), str) for name in ("file", "sha256")):
        raise InvalidInput(f"{path} lacks file and sha256 of its weights")
    return card


def preset(name):
    """What `zoo train` is asked for to make a model: {"model", "config", "data", "recipe", "from", "stages", ...}.

    Args:
        name: of a card that comes with the zoo, a folder with a card, or a JSON file, which may be a card too. What a
            card measured is left out, and what follows from the rest.
    """
    content = read_json(name) if str(name).endswith(".json") else read_card(name)
    content = checked_preset(content)
    if "format" not in content:
        return content
    wanted = {key: content[key] for key in PRESET if key in content}
    wanted["data"] = {key: value for key, value in content.get("data", {}).items() if key not in DERIVED}
    if wanted["config"].get("seed") == wanted.get("recipe", {}).get("seed"):
        wanted["config"].pop("seed", None)
    return wanted


def check_preset(content):
    """Raise `InvalidInput` unless a preset, or a stage of one, is a dict of dicts, and its stages a list of such."""
    if not isinstance(content, dict):
        raise InvalidInput(f"a preset or stage is a dict of {', '.join(PRESET)}, got {content!r}")
    for key in ("config", "data", "recipe"):
        if not isinstance(content.get(key, {}), dict):
            raise InvalidInput(f"{key} of a preset or stage is a dict, got {content[key]!r}")
    stages = content.get("stages", [])
    if not isinstance(stages, list):
        raise InvalidInput(f"the stages of a preset are a list, got {stages!r}")
    for stage in stages:
        check_preset(stage)


def checked_preset(preset):
    """A preset, checked; one that is nothing but stages becomes what its last stage says, with those before it."""
    check_preset(preset)
    *earlier, last = preset.get("stages") or [{}]
    return preset if {"model", "from"} & preset.keys() else {**preset, **last, "stages": earlier}


def load(name, model=None, **config):
    """A built model with its trained weights; its `card` is the content of its card.json.

    Args:
        name: a pretrained name (`list_pretrained`) or a folder that `save` or `zoo train` wrote.
        model: None, or another registry name whose weights are the same, such as "iwae" for a "vae".
        **config: over the arguments of the card, such as `bound="dreg", num_samples=5`.

    Raises:
        InvalidInput: unknown name, a card that points outside its folder, or weights whose SHA-256 differs.
    """
    from zoo.creation import create, model_class

    card, home = read_card(name), locate(name)
    if "weights" not in card:
        raise InvalidInput(f"{home.name} has no weights yet: train it by `zoo train --preset {name}`")
    entry = card["weights"]
    path = home / entry["file"]
    if pathlib.Path(entry["file"]).name != entry["file"] or path.resolve().parent != home.resolve():
        raise InvalidInput(f"the card of {home.name} points outside its folder: {entry['file']!r}")
    if not path.is_file():
        raise InvalidInput(f"{home} has no weights file {entry['file']!r}")
    if sha256(path) != entry["sha256"]:
        raise InvalidInput(f"the weights of {home.name} are not the ones of its card: their SHA-256 differs")
    retired = model_class(card["model"])[0].retired
    kept = {argument: value for argument, value in card["config"].items() if argument not in retired}
    model = create(model or card["model"], **{**kept, **config})
    try:
        model.load_weights(path)
    except ValueError as error:
        raise InvalidInput(
            f"the weights of {home.name} do not fit a {model.registry_name} of these arguments"
        ) from error
    object.__setattr__(model, "card", card)  # Keras would track the dict, and make it one of its own
    return model


def save(model, directory, card=None, overwrite=False):
    """Write the model's weights and its card into a folder; `load` reads them back.

    Args:
        model: a model of the zoo.
        directory: created where it is missing.
        card: further entries, such as "name", "data", "recipe", "metrics", "command".
        overwrite: replace a model that is there.

    Returns:
        The card that was written.

    Raises:
        OutputExists: the folder holds a model and `overwrite` is False.
    """
    directory = pathlib.Path(directory)
    if (directory / "card.json").exists() and not overwrite:
        raise OutputExists(f"{directory} already holds a model: use overwrite=True or another folder")
    # The temporary names keep their suffix, by which Keras chooses the format. Both files appear, or neither.
    with atomic(directory / "card.json") as new_card, atomic(directory / WEIGHTS) as weights:
        model.save_weights(weights)
        written = {
            "format": FORMAT,
            "name": directory.resolve().name,
            "model": model.registry_name,
            "config": model.get_config(),
            "date": datetime.date.today().isoformat(),
            "versions": versions(),
            **(card or {}),
            "weights": {"file": WEIGHTS, "sha256": sha256(weights), "bytes": weights.stat().st_size},
        }
        write_json(new_card, written)
    return written


def versions():
    """Versions of what numbers depend on."""
    from importlib.metadata import version

    packages = ("tensorflow", "keras", "tensorflow-probability", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
