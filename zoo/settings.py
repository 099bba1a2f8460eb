"""Settings as a command line gives them: dotted keys, JSON values, laid over a preset."""

import json

from zoo.errors import InvalidInput


def overrides(settings, option="--set"):
    """["a.b=1", "c=x"] of an option -> {"a": {"b": 1}, "c": "x"}; values are JSON, anything else is a string."""
    result = {}
    for setting in settings or []:
        key, sign, text = setting.partition("=")
        if not sign or not key:
            raise InvalidInput(f"{option} takes key=value, got {setting!r}")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        *parents, last = key.split(".")
        place = result
        for parent in parents:
            old = place.setdefault(parent, {})
            place[parent] = {"name": old} if isinstance(old, str) else old
            place = place[parent]
            if not isinstance(place, dict):
                raise InvalidInput(f"{setting!r} sets a part of {parent}, which is {place!r}")
        place[last] = value
    return result


def merge(base, changes, defaults=None):
    """`base` with `changes` laid over it, dict by dict; a part given by its name becomes a dict to be changed.

    `defaults` are what `base` leaves unsaid, for changes to it.
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key, (defaults or {}).get(key))
        if isinstance(value, dict) and "name" not in value and isinstance(old, (dict, str)):
            old = {"name": old} if isinstance(old, str) else old
            value = merge(old, value)
        merged[key] = value
    return merged


def python(value):
    """A value with arrays and numbers of NumPy as Python's, in lists and dicts too."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: python(entry) for key, entry in value.items()}
    return type(value)(map(python, value)) if type(value) in (list, tuple) else value


OF_FILES = ("rows", "fingerprint", "division")  # of the data of a card: what holds of its own files alone
OF_NAMES = (*OF_FILES, "columns", "classes", "label", "rate")  # and what their names mean


def without(data, keys):
    """The data of a card without some of its keys."""
    return {key: value for key, value in data.items() if key not in keys}
