"""Data: load it, describe it, prepare it, check it against what a model takes. Imports NumPy only when used."""

from zoo.lazy import attributes

_HOME = {
    "check_batch": "zoo.data.check",
    "check_dataset": "zoo.data.check",
    "check_labels": "zoo.data.semi_supervised",
    "describe_dataset": "zoo.data.tfds.catalogue",
    "FieldSpec": "zoo.data.spec",
    "LABELS": "zoo.data.spec",
    "LENGTH": "zoo.data.spec",
    "list_datasets": "zoo.data.tfds.catalogue",
    "load_arrays": "zoo.data.load",
    "load_dataset": "zoo.data.load",
    "load_fields": "zoo.data.load",
    "load_semi_supervised": "zoo.data.semi_supervised",
    "named_fields": "zoo.data.spec",
    "open_source": "zoo.data.sources.open",
    "prepare_dataset": "zoo.data.tfds.prepare",
    "read_midi": "zoo.data.midi",
    "read_wav": "zoo.data.sound",
    "stored_order": "zoo.data.batches",
    "synthesize": "zoo.data.sound",
    "takes_labels": "zoo.data.spec",
    "write_midi": "zoo.data.midi",
    "write_shards": "zoo.data.writing",
    "write_wav": "zoo.data.sound",
}
__all__ = list(_HOME)
__getattr__, __dir__ = attributes(__name__, _HOME)
