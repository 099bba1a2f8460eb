"""zoo/index.json: what the registries, signatures and docstrings say, so that the zoo can say it without TensorFlow."""

import importlib
import inspect
import pkgutil
import re

import h5py
import keras

import zoo.models
import zoo.pictures
from zoo import index, pretrained, registry
from zoo.files import json_bytes
from zoo.training import Recipe
from zoo.training.schedules import SCHEDULES


def index_bytes():
    """The content of zoo/index.json."""
    known = {kind: getattr(registry, kind.upper(), SCHEDULES) for kind in index.PARTS + ("pictures",)}
    found = {"models": list(map(of_model, registry.MODELS))}
    for kind, parts in known.items():
        own = {name: part for name, part in parts.items() if not part.__module__.startswith("zoo.models.")}
        found[kind] = [index.described(kind, name, part) for name, part in own.items()]
    found["recipes"] = [index.described("recipes", "recipe", Recipe)]
    said = {kind: sorted((index.plain(e) for e in of_kind), key=lambda e: e["name"]) for kind, of_kind in found.items()}
    classes = {name: cls.__module__ for name, cls in sorted(keras.saving.get_custom_objects().items())}
    own = {name: module for name, module in classes.items() if name.startswith("zoo>")}
    parameters = {name: numbers_of(name) for name in pretrained.list_pretrained()}
    offers = {name: sorted(cls.capabilities) for name, (cls, _) in sorted(registry.MODELS.items())}
    pictures = {name: {"needs": list(p.needs), "instead": p.instead} for name, p in sorted(registry.PICTURES.items())}
    return json_bytes({**said, "classes": own, "parameters": parameters, "offers": offers, "needs": pictures})


def numbers_of(name):
    """How many numbers the weights of a pretrained model have, scalars such as beta left out."""
    sizes = []
    with h5py.File(pretrained.fetch(name)) as file:
        file.visititems(lambda _, thing: sizes.append(thing.size if getattr(thing, "ndim", 0) else 0))
    return int(sum(sizes))


def of_model(name):
    """The entry of a model, described first by the module that registers it."""
    cls, defaults = registry.MODELS[name]
    return index.described("models", name, cls, *registry.WORDS[name], defaults, registering(name))


def registering(name):
    """The module of `zoo.models` that registers a name."""
    for found in pkgutil.iter_modules(zoo.models.__path__, "zoo.models."):
        module = importlib.import_module(found.name)
        if re.search(rf'^@?register\(\s*"{name}"', inspect.getsource(module), re.MULTILINE):
            return module
    raise LookupError(name)
