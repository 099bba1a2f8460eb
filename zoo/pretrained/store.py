"""Pretrained models: a folder with `card.json` and weights, whose checksum is verified before the file is opened.

A card is a recipe with weights and metrics: `preset` gives the recipe back. A card without weights is a recipe alone.
"""

import contextlib
import datetime
import fnmatch
import os
import pathlib
import platform
import re
from typing import TYPE_CHECKING, Any

from zoo.data import list_datasets
from zoo.errors import InvalidInput, OutputExists, choose
from zoo.files import json_bytes, locked, parse_json, read_json, sha256, write_bytes, writing
from zoo.pretrained.limits import CARD, FORMAT, PLAIN_NAME, check_bounds, checked_card
from zoo.pretrained.remote import fetch_folder, fetch_weights, is_elsewhere, is_fetched

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

PACKAGE = pathlib.Path(__file__).parent.parent
LOCK = ".saving"
WEIGHTS = ("model.weights.h5", "model.new.weights.h5")  # a save writes the one that the card does not name
PRESET = ("model", "config", "data", "recipe", "from", "stages", "reference", "target", "chosen_on", "notes")
ONE_FILE = (".keras", ".h5", ".hdf5")
BEGUN_IN = "begun_in"  # of a run's preset: the folder from which its relative paths lead
DERIVED = ("version", "protocol", "data_dir")  # of a card's data: what follows from its name, and what it must not say


def folder():
    """Where the models that come with the zoo are: inside an installed package, beside it in a checkout."""
    installed = PACKAGE / "saved_models"
    return installed if installed.is_dir() else PACKAGE.parent / "saved_models"


def is_own(home):
    """Whether a folder is one of the zoo's own models."""
    return home.resolve().parent == folder().resolve()


def list_recipes(pattern="*"):
    """Names of the cards that come with the zoo, with weights or without, filtered by a shell pattern."""
    return sorted(fnmatch.filter((card.parent.name for card in folder().glob("*/card.json")), pattern))


def list_pretrained(pattern: str = "*") -> list[str]:
    """Names of the pretrained models, filtered by a shell pattern."""
    return [name for name in list_recipes(pattern) if "weights" in read_json(folder() / name / "card.json")]


def locate(name):
    """The folder of a pretrained model: by name, path, zip or address (`zoo.pretrained.remote`), which is fetched.

    Raises:
        InvalidInput: unknown name, with the nearest ones, or one that a folder here has too.
    """
    if is_elsewhere(name):
        return fetch_folder(name)
    path = pathlib.Path(name).expanduser()
    try:
        has_card, is_folder = (path / CARD).is_file(), path.is_dir()
    except (OSError, ValueError):  # a name too long for a path, or with a NUL
        has_card = is_folder = False
    if has_card:
        check_one(name, path)
        return path
    if is_folder:
        raise InvalidInput(f"{path} holds no card.json: it is not a saved model")
    if path.suffix in ONE_FILE:
        raise InvalidInput(f"{path} is no folder with a card: keras.models.load_model reads .keras files")
    choices = {known: folder() / known for known in list_recipes()}
    return choose("pretrained model", str(name), choices)


def check_one(name, path):
    """Raise `InvalidInput` where a plain name is that of a folder here and of another model of the zoo."""
    own = folder() / str(name)
    if isinstance(name, str) and name == path.name and (own / CARD).is_file() and not own.samefile(path):
        raise InvalidInput(f"{name!r} is a folder here and a pretrained model: say ./{name}, or go to another folder")


def read_card(name):
    """The card of a pretrained model as a dict, checked for its format."""
    home = locate(name)
    card = checked_card(read_json(home / CARD), home / CARD, home.name)
    if is_fetched(home) and card["data"].get("name") not in list_datasets():
        card["data"] = {
            k: v for k, v in card["data"].items() if k != "name"
        }  # of a file of somebody else's machine, which here might be another
    return card


def fetch(name):
    """The file of a pretrained model's weights, fetched from the mirror where neither the zoo nor the cache has them.

    Raises:
        InvalidInput: unknown name, no weights, weights that are nowhere or not those of the card.
    """
    home = locate(name)
    return weights_file(read_card(home), home)


def weights_file(card, home):
    """The file of the weights that a card names: in its folder `home`, or fetched for a model that comes with the zoo.

    Raises:
        InvalidInput: the card has none, a name that leads elsewhere, or no such file.
    """
    if "weights" not in card:
        raise InvalidInput(f"{home.name} has no weights yet: train it by `zoo train --preset {home.name}`")
    path = home / card["weights"]["file"]
    if path.resolve().parent != home.resolve():
        raise InvalidInput(f"the card of {home.name} points outside its folder: {path.name!r}")
    if path.is_file():
        return path
    if not is_own(home):
        raise InvalidInput(f"{home} has no weights file {path.name!r}")
    return fetch_weights(home, card["weights"])


def read_weights(card, home):
    """The bytes of the weights that a card in the folder `home` names.

    Raises:
        InvalidInput: as `weights_file`; a file too large, or with another SHA-256 than the card's.
    """
    from zoo.models.weights import read_weights

    content = read_weights(weights_file(card, home))
    if sha256(content) != card["weights"]["sha256"]:
        raise InvalidInput(f"the weights of {home.name} are not the ones of its card: their SHA-256 differs")
    return content


def preset(name):
    """What `zoo train` is asked for to make a model: {"model", "config", "data", "recipe", "from", "stages", ...}.

    Args:
        name: of a card that comes with the zoo, a folder with a card, or a JSON file, which may be a card too. What a
            card measured is left out, and what follows from the rest.
    """
    content = read_json(name) if str(name).endswith(".json") else read_card(name)
    check_bounds(content, name)
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
    preset = {key: value for key, value in preset.items() if key != BEGUN_IN}
    *earlier, last = preset.get("stages") or [{}]
    return preset if {"model", "from"} & preset.keys() else {**preset, **last, "stages": earlier}


def stage_name(entry):
    """The name of a stage, which is that of its folder too."""
    name = entry.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name):
        raise InvalidInput(f"a stage has a name of letters, digits, _ and -, got {name!r}")
    return name


def load(name: str | os.PathLike, model: str | None = None, **config: Any) -> "LatentVariableModel":
    """A built model with its trained weights; its `card` is the content of its card.json.

    Args:
        name: a pretrained name (`list_pretrained`), whose weights are fetched from the mirror where they are not here;
            a folder that `save` or `zoo train` wrote, or a zip of one; or the address of such a folder,
            "hf://user/name" or "https://host/path/".
        model: None, or another registry name whose weights are the same, such as "iwae" for a "vae".
        **config: over the arguments of the card, such as `bound="dreg", num_samples=5`.

    Raises:
        InvalidInput: unknown name, a card that points outside its folder, weights that are nowhere, of another size,
            or whose SHA-256 differs.
    """
    from zoo.creation import create, model_class
    from zoo.models.weights import take_weights
    from zoo.pretrained.trial import try_out

    home = locate(name)
    card = read_card(home)
    content = read_weights(card, home)
    path = home / card["weights"]["file"]
    retired = model_class(card["model"])[0].retired
    kept = {argument: value for argument, value in card["config"].items() if argument not in retired}
    with making(home):
        if not is_own(home):
            try_out(card["model"], kept, home / CARD, content)
        model = create(model or card["model"], **{**kept, **config})
    take_weights(model, content, path)
    object.__setattr__(model, "card", card)  # Keras would track the dict, and make it one of its own
    return model


@contextlib.contextmanager
def making(home):
    """Whatever Keras and TensorFlow say of arguments that make no model becomes `InvalidInput`."""
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"the config of {home.name} makes no model: {error}") from error


def save(
    model: "LatentVariableModel",
    directory: str | os.PathLike,
    card: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
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
    directory = pathlib.Path(directory).expanduser()
    if directory.suffix in ONE_FILE:
        raise InvalidInput(f"zoo.save writes a folder: name one, or write a .keras file by model.save, got {directory}")
    if not overwrite:
        refuse_existing(directory)
    from zoo.models.weights import weights_bytes

    content = weights_bytes(model)
    written = check_saved(model, directory, card)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / LOCK):
        if not overwrite:
            refuse_existing(directory)
        old = named_weights(directory)
        file = WEIGHTS[1] if old == WEIGHTS[0] else WEIGHTS[0]
        written["weights"] = {"file": file, "sha256": sha256(content), "bytes": len(content)}
        text = json_bytes(written)
        write_bytes(directory / file, content)
        write_bytes(directory / CARD, text)  # from here on the folder holds the new model, and until here the old one
        for unused in {*WEIGHTS} - {file}:  # files of these names are its own, whatever the old card said
            (directory / unused).unlink(missing_ok=True)
    return written


def check_saved(model, directory, card=None):
    """The card that `save` writes, without its weights.

    Raises:
        InvalidInput: it holds what is no JSON, or exceeds the bounds within which `load` reads one.
    """
    card = {
        "format": FORMAT,
        "name": directory.resolve().name,
        "model": model.registry_name,
        "config": model.get_config(),
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
        **(card or {}),
    }
    card = parse_json(json_bytes(card), "the card")  # what is not plain becomes plain
    return checked_card(card, f"the card of {directory.name}", directory.name)


def refuse_existing(directory):
    if (directory / CARD).exists():
        raise OutputExists(f"{directory} already holds a model: use overwrite=True or another folder")


def named_weights(directory):
    """The weights file that the card of a folder names, None where it has no card that can be read."""
    with contextlib.suppress(InvalidInput, TypeError, KeyError):
        name = read_json(directory / CARD)["weights"]["file"]
        return name if isinstance(name, str) and re.fullmatch(PLAIN_NAME, name) else None


def versions():
    """Versions of what numbers depend on."""
    from importlib.metadata import version

    packages = ("tensorflow", "keras", "tensorflow-probability", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
