"""Bounds of a card: what a stranger wrote is measured before anything is made of it."""

import math

from zoo.errors import InvalidInput

DEEPEST, MOST, LONGEST = 32, 20_000, 20_000  # nested dicts and lists, their entries, characters of a string
LARGEST_EXAMPLE = 2**22  # numbers of an example
LARGEST = 2**16  # a whole number of a config ...
LARGEST_BY_NAME = {"seed": 2**31, "num_samples": 10_000, "latent_dim": 2**14, "latent_dims": 2**14}
LARGEST_COUNT = 10_000  # ... and one whose name begins with num_, such as layers and blocks


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
