"""A Keras / TensorFlow Probability model zoo of variational autoencoders."""

import importlib

__version__ = "0.1.0"

_HOME = {
    "create": "zoo.creation",
    "list_models": "zoo.creation",
    "list_pretrained": "zoo.pretrained",
    "load": "zoo.pretrained",
    "save": "zoo.pretrained",
    "load_dataset": "zoo.data",
    "load_semi_supervised": "zoo.data",
    "features": "zoo.evaluation",
    "evaluate": "zoo.evaluation",
    "compare": "zoo.evaluation",
    "annealed_importance": "zoo.evaluation",
    "export_saved_model": "zoo.export",
    "export_tflite": "zoo.export",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name):
    """Load a public name, and TensorFlow with it, when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
