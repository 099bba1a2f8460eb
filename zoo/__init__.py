"""A Keras / TensorFlow Probability model zoo of variational autoencoders."""

from zoo.lazy import at_import, attributes, importing_keras
from zoo.quiet import importing_tensorflow

__version__ = "0.2.0"

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
    "sample_posterior": "zoo.evaluation",
    "export_saved_model": "zoo.export",
    "export_tflite": "zoo.export",
}
__all__ = ["__version__", *_HOME]
__getattr__, __dir__ = attributes(__name__, _HOME)
at_import("keras", importing_keras)
at_import("tensorflow", importing_tensorflow)
