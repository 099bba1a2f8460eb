"""Data: load it, describe it, prepare it, check it against what a model takes. Imports NumPy only when used."""

from zoo.lazy import attributes

_HOME = {
    "LABELS": "zoo.data.spec",
    "FieldSpec": "zoo.data.spec",
    "check_batch": "zoo.data.check",
    "check_dataset": "zoo.data.check",
    "check_labels": "zoo.data.semi_supervised",
    "describe_dataset": "zoo.data.catalogue",
    "known_classes": "zoo.data.semi_supervised",
    "list_datasets": "zoo.data.catalogue",
    "load_arrays": "zoo.data.arrays",
    "load_fields": "zoo.data.arrays",
    "names_of": "zoo.data.arrays",
    "load_dataset": "zoo.data.pipeline",
    "load_semi_supervised": "zoo.data.semi_supervised",
    "named_fields": "zoo.data.spec",
    "prepare_dataset": "zoo.data.prepare",
    "takes_labels": "zoo.data.spec",
}
__all__ = list(_HOME)
__getattr__, __dir__ = attributes(__name__, _HOME)
