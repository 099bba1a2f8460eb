"""A Keras / TensorFlow Probability model zoo of variational autoencoders."""

from zoo.lazy import attributes, readable_by_keras

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
__getattr__, __dir__ = attributes(__name__, _HOME)
readable_by_keras(__name__)
