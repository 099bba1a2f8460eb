"""A Keras / TensorFlow Probability model zoo of variational autoencoders."""

from typing import TYPE_CHECKING

from wrapt import when_imported

from zoo.lazy import attributes, register_classes

if TYPE_CHECKING:
    from zoo.creation import create as create
    from zoo.creation import list_models as list_models
    from zoo.data import load_dataset as load_dataset
    from zoo.data import load_semi_supervised as load_semi_supervised
    from zoo.evaluation import annealed_importance as annealed_importance
    from zoo.evaluation import compare as compare
    from zoo.evaluation import diagnose as diagnose
    from zoo.evaluation import evaluate as evaluate
    from zoo.evaluation import features as features
    from zoo.evaluation import sample_posterior as sample_posterior
    from zoo.export import export_saved_model as export_saved_model
    from zoo.export import export_tflite as export_tflite
    from zoo.pretrained import list_pretrained as list_pretrained
    from zoo.pretrained import load as load
    from zoo.pretrained import save as save

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
    "diagnose": "zoo.evaluation",
    "annealed_importance": "zoo.evaluation",
    "sample_posterior": "zoo.evaluation",
    "export_saved_model": "zoo.export",
    "export_tflite": "zoo.export",
}
__all__ = ["__version__", *_HOME]
__getattr__, __dir__ = attributes(__name__, _HOME)
when_imported("keras")(register_classes)  # of a .keras file that is loaded before a name above is used
