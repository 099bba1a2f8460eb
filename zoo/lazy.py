"""What is imported when it is first used: public names (PEP 562), and the classes that a .keras file names."""

import contextlib
import importlib
import pathlib
import re
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


class Deferred:
    """Stands in Keras' register of classes for one whose module is not imported yet."""

    def __init__(self, name, module):
        self.name, self.module = name, module

    def from_config(self, config):
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


def register_deferred(package):
    """Put a `Deferred` for every registered class of a package that is not there yet into Keras' register."""
    import keras

    root, known = pathlib.Path(sys.modules[package].__file__).parent, keras.saving.get_custom_objects()
    pattern = re.compile(rf'^@keras\.saving\.register_keras_serializable\("{package}"\)\nclass (\w+)', re.MULTILINE)
    for path in root.rglob("*.py"):
        module = ".".join((package, *path.relative_to(root).with_suffix("").parts))
        for name in pattern.findall(path.read_text()):
            known.setdefault(f"{package}>{name}", Deferred(name, module))


@contextlib.contextmanager
def importing_keras():
    """Around the import of Keras: afterwards `keras.models.load_model` finds the classes of this package."""
    yield
    register_deferred(__package__)


class AtImport:
    """On `sys.meta_path`: holds a context manager around the first import of a module."""

    def __init__(self, name, around):
        self.name, self.around = name, around

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, others), None)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module):
                sys.meta_path.remove(self)
                with self.around():
                    run(module)

            spec.loader.exec_module = exec_module
        return spec


def at_import(name, around):
    """Do what a context manager does around the import of a module; where that is behind us, without it."""
    if name in sys.modules:
        with around():
            return
    sys.meta_path.insert(0, AtImport(name, around))
