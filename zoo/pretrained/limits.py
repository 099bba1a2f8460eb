"""Bounds of a card: what a stranger wrote is measured before anything is made of it."""

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


def check_card(card, source):
    """Raise `InvalidInput` unless what a card.json says is a card whose weights are a file beside it."""
    check_bounds(card, source)
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InvalidInput(f"{source} is not a card of format {FORMAT}")
    entries = {"model": str, "config": dict, **({"weights": dict} if "weights" in card else {})}
    if not all(isinstance(card.get(name), kind) for name, kind in entries.items()):
        raise InvalidInput(f"{source} lacks one of {', '.join(entries)}")
    if "weights" in card:
        check_entry(card["weights"], source)


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
    for key, value in entries(card, source):
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
