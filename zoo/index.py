"""What the zoo has: names, descriptions, papers, arguments, as `python -m tools.refresh` writes them into index.json.

TensorFlow is not imported for that. `described` says the same of a class or function that is at hand.
"""

import ast
import functools
import inspect
import json
import pathlib
import re
from typing import NamedTuple

FILE = pathlib.Path(__file__).with_name("index.json")
PARTS = ("encoders", "decoders", "posteriors", "priors", "likelihoods", "bounds", "penalties", "schedules")
KINDS = ("models", *PARTS, "pictures")


class Entry(NamedTuple):
    """One registered thing.

    Attributes:
        text: what docstrings say of it, without its arguments; of a model first those of the module that registers it.
        arguments: name -> (default, what it is).
        defaults: what sets a model's name apart from others of its class.
        module: the name of the module that registers it.
    """

    kind: str
    name: str
    about: str
    paper: str = ""
    text: str = ""
    arguments: dict = {}
    defaults: dict = {}
    module: str = ""


@functools.cache
def content():
    """What index.json holds: the entries by kind, and beside them

    "classes": the module of each class that Keras' files name; "parameters": how many numbers each pretrained model
    has; "offers": the `capabilities` of each kind of model; "needs": what a kind of picture needs, and what to take
    instead.
    """
    return json.loads(FILE.read_text())


def entries(kind):
    """What is registered of a kind, by name: [Entry]. The kind "recipes" has one, whose arguments are a recipe's."""
    return [read(entry) for entry in content()[kind]]


def read(entry):
    """The `Entry` that `plain` wrote."""
    arguments = {name: (ast.literal_eval(default), text) for name, (default, text) in entry["arguments"].items()}
    return Entry(**{**entry, "arguments": arguments})


def plain(entry):
    """An entry for JSON; defaults of arguments are Python's text, for JSON knows no tuples."""
    arguments = {name: [repr(default), text] for name, (default, text) in entry.arguments.items()}
    return entry._replace(arguments=arguments)._asdict()


def described(kind, name, target, about="", paper="", defaults=None, module=None):
    """The `Entry` of a class or function; `module` registers it. Arguments are also those of its base classes."""
    packages = {"zoo", target.__module__.partition(".")[0]}
    family = [one for one in getattr(target, "__mro__", [target]) if one.__module__.partition(".")[0] in packages]
    found, texts = {}, {}
    for one in family:
        found |= {key: default for key, default in own_arguments(one).items() if key not in found}
        texts = {**argument_texts(docstring(one)), **texts}
    found = {key: (default, texts.get(key, "")) for key, default in {**found, **(defaults or {})}.items()}
    found.pop("name", None)  # Keras' own
    said = re.split(r"\n\n(?:Args|Attributes|Raises):\n", docstring(target))[0]
    text = f"{docstring(module)}\n\n{said}" if kind == "models" else said
    home = module.__name__ if module else target.__module__
    return Entry(kind, name, about or said.partition("\n")[0], paper, text, found, defaults or {}, home)


def docstring(thing):
    return inspect.cleandoc(thing.__doc__ or "")


def own_arguments(target):
    """Name -> default of the arguments that have one, of a function, or of a class's own constructor."""
    function = vars(target).get("__init__") if inspect.isclass(target) else target
    parameters = inspect.signature(function).parameters.values() if function else ()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def argument_texts(docstring):
    """Name -> text of the entries under "Args:" or "Attributes:" of a docstring."""
    section = re.search(r"^(?:Args|Attributes):\n((?:(?: .*)?\n?)*)", docstring, re.MULTILINE)
    found = {}
    for item in re.split(r"\n(?=    \S)", section[1].rstrip()) if section else []:
        names, _, text = item.strip().partition(": ")
        found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found
