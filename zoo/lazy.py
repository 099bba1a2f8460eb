"""Public names that are imported when they are first used (PEP 562)."""

import importlib
import sys


def attributes(package, homes):
    """(`__getattr__`, `__dir__`) of a package whose public names live in other modules: `homes` is name -> module."""

    def find(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted(homes)
