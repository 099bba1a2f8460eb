"""The gate for cards: what a stranger wrote is measured and checked here, and nothing behind it reads anything else."""

import math
import re

from zoo.errors import InvalidInput
from zoo.files import LARGEST_FILE

CARD, FORMAT = "card.json", 1
PLAIN_NAME = r"[\w.-]{1,100}"  # of a file in the card's folder
DEEPEST, MOST, LONGEST = 32, 20_000, 20_000  # nested dicts and lists, their entries, characters of a string
LARGEST_EXAMPLE = 2**22  # numbers of an example
LARGEST = 2**16  # a whole number of a config ...
LARGEST_BY_NAME = {"seed": 2**31, "num_samples": 10_000, "latent_dim": 2**14, "latent_dims": 2**14}
LARGEST_COUNT = 10_000  # ... and one whose name begins with num_, such as layers and blocks


NUMBER, NONE, ANY = (int, float), type(None), (bool, int, float, str, list, dict, type(None))
FORM = {  # of a card: what each entry is; of dicts `...` stands for all keys that are not named
    "format": int,
    "model": str,
    "config": dict,
    "name": str,
    "data": {"name": str, "split": str, "validation": (str, NONE), "columns": [str], "classes": [str], ...: ANY},
    "recipe": dict,
    "stages": [dict],
    "from": str,
    "seed": int,
    "epochs_trained": int,
    "date": str,
    "command": str,
    "versions": {...: str},
    "metrics": {
        ...: {"value": NUMBER, "standard_error": (*NUMBER, NONE), "num_examples": int, ...: (*NUMBER, str, NONE)}
    },
    "reference": [{"metric": str, "value": NUMBER, "source": str, "statistic": str}],
    "target": {...: NUMBER},
    "chosen_on": str,
    "notes": list,
    "weights": {"file": str, "sha256": str, "bytes": int},
    "evaluation": dict,
    "probe": (dict, NONE),
    "timing": {"seconds": NUMBER, "seconds_per_epoch": NUMBER, "machine": {...: (*NUMBER, str, NONE)}, ...: ANY},
    "tflite": {...: dict},
    ...: ANY,
}
DEFAULTS = {"data": {}, "versions": {}, "date": ""}


def checked_card(card, source, name):
    """A card whose entries are what `FORM` says; `name` is what it is called where it does not say it.

    Raises:
        InvalidInput: it is none, or too large, or its weights are no file beside it.
    """
    check_bounds(card, source)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InvalidInput(f"{source} is not a card of format {FORMAT}")
    if lacking := [entry for entry in ("model", "config") if entry not in card]:
        raise InvalidInput(f"{source} lacks {lacking[0]}")
    check_form(card, FORM, source, "")
    card = {**card, **{key: value for key, value in {"name": name, **DEFAULTS}.items() if key not in card}}
    if not re.fullmatch(PLAIN_NAME, card["name"]) or set(card["name"]) == {"."}:
        raise InvalidInput(f"{source} has a name that is no plain word: {card['name'][:100]!r}")
    if "weights" in card:
        check_entry(card["weights"], source)
    return card


def check_form(value, form, source, place):
    """Raise `InvalidInput` unless a value is of a form: a type, several, a list of a form, or a dict of forms."""
    kinds = list if isinstance(form, list) else dict if isinstance(form, dict) else form
    if not isinstance(value, kinds) or (
        isinstance(value, bool) and bool not in (kinds if isinstance(kinds, tuple) else ())
    ):
        raise InvalidInput(f"{source} is no card: {place or 'it'} is {type(value).__name__}")
    if isinstance(form, list):
        for entry in value:
            check_form(entry, form[0], source, f"an entry of {place}")
    if isinstance(form, dict):
        if "value" in form and "value" not in value:
            raise InvalidInput(f"{source} is no card: {place} has no value")
        for key, entry in value.items():
            if form.get(key, form.get(..., ANY)) is not ANY:
                check_form(entry, form.get(key, form.get(...)), source, f"{place}.{key}".lstrip("."))


def check_entry(entry, source):
    """Raise `InvalidInput` unless what a card says of its weights is a plain file's, with a SHA-256, and bounded."""
    if not all(isinstance(entry.get(name), str) for name in ("file", "sha256")):
        raise InvalidInput(f"{source} lacks file and sha256 of its weights")
    if not re.fullmatch(PLAIN_NAME, entry["file"]) or entry["file"] in (".", ".."):
        raise InvalidInput(f"{source} points outside its folder: {entry['file']!r}")
    size = entry.get("bytes", 0)
    if not isinstance(size, int) or not 0 <= size <= LARGEST_FILE:
        raise InvalidInput(f"{source} says that its weights have {size!r} bytes; at most {LARGEST_FILE} are read")


def check_bounds(card, source):
    """Raise `InvalidInput` for a card that is deeper, longer or larger than those of the zoo."""
    data = card.get("data") if isinstance(card, dict) else None
    others = card
    if isinstance(data, dict):  # names of columns, which may be very many, are bounded by the size of the file
        others = {**card, "data": {key: value for key, value in data.items() if key not in ("columns", "classes")}}
    for key, value in entries(others, source):
        if isinstance(value, str) and len(value) > LONGEST:
            raise InvalidInput(f"{source} is no card: {key!r} has more than {LONGEST} characters")
    config = card.get("config") if isinstance(card, dict) else None
    for key, value in entries(config, source):
        limit = LARGEST_BY_NAME.get(key, LARGEST_COUNT if str(key).startswith("num_") else LARGEST)
        if isinstance(value, (int, float)) and abs(value) > limit:
            raise InvalidInput(f"{key} of the config in {source} is more than {limit}")
        if key == "data_shape" and isinstance(value, list) and product(value) > LARGEST_EXAMPLE:
            raise InvalidInput(f"data_shape in {source} is that of more than {LARGEST_EXAMPLE} numbers")


def entries(content, source):
    """(nearest key, value) of everything in nested dicts and lists.

    Raises:
        InvalidInput: they are too deep or too many.
    """
    ahead, count = [(None, content, 0)], 0
    while ahead:
        key, value, depth = ahead.pop()
        count += 1
        if depth > DEEPEST or count > MOST:
            raise InvalidInput(f"{source} is nested deeper than {DEEPEST}, or has more than {MOST} entries")
        yield key, value
        if isinstance(value, dict):
            ahead += [(k, v, depth + 1) for k, v in value.items()]
        elif isinstance(value, list):
            ahead += [(key, v, depth + 1) for v in value]


def product(sides):
    """The product of the whole numbers in a list."""
    return math.prod(side for side in sides if isinstance(side, int))
