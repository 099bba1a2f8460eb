"""What is imported when it is first used: public names (PEP 562), and the classes that a .keras file names."""

import importlib
import sys
from typing import NamedTuple

from zoo import index


def attributes(package, homes):
    """(`__getattr__`, `__dir__`) of a package whose public names live in other modules: `homes` is name -> module."""

    def find(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted(homes)


def deferred(module, name):
    """The function `name` of a module above, which is imported when it is called."""

    def call(*args, **kwargs):
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    return call


class Deferred(NamedTuple):
    """Stands in Keras' register of classes for one whose module is not imported yet."""

    name: str
    module: str

    def from_config(self, config):
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


def register_classes(keras):
    """Let `keras.models.load_model` find the classes of the zoo, which Keras looks for in its register alone."""
    known = keras.saving.get_custom_objects()
    for name, module in index.content()["classes"].items():
        known.setdefault(name, Deferred(name.partition(">")[2], module))
