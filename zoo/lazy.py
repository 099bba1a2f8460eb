"""What is imported when it is first used: public names (PEP 562), and the classes that a .keras file names."""

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


class AfterKeras:
    """On `sys.meta_path`: registers a package's classes once Keras is imported, and is gone then."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, others), None)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                sys.meta_path.remove(self)
                register_deferred(self.package)

            spec.loader.exec_module = exec_module
        return spec


def readable_by_keras(package):
    """Let `keras.models.load_model` find a package's classes, whichever of the two is imported first."""
    if "keras" in sys.modules:
        register_deferred(package)
    else:
        sys.meta_path.insert(0, AfterKeras(package))
