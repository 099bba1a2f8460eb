"""Data: load it, describe it, prepare it, check it against what a model takes. Imports NumPy only when used."""

from zoo.lazy import attributes

_HOME = {
    "check_batch": "zoo.data.check",
    "check_dataset": "zoo.data.check",
    "check_labels": "zoo.data.semi_supervised",
    "describe_dataset": "zoo.data.catalogue",
    "FieldSpec": "zoo.data.spec",
    "is_sound": "zoo.data.sequences",
    "is_stream": "zoo.data.streams",
    "known_classes": "zoo.data.semi_supervised",
    "LABELS": "zoo.data.spec",
    "LENGTH": "zoo.data.spec",
    "list_datasets": "zoo.data.catalogue",
    "load_arrays": "zoo.data.arrays",
    "load_dataset": "zoo.data.pipeline",
    "load_fields": "zoo.data.arrays",
    "load_labels": "zoo.data.arrays",
    "load_semi_supervised": "zoo.data.semi_supervised",
    "named_fields": "zoo.data.spec",
    "names_of": "zoo.data.arrays",
    "prepare_dataset": "zoo.data.prepare",
    "read_midi": "zoo.data.midi",
    "read_wav": "zoo.data.sound",
    "sampling_rate": "zoo.data.sequences",
    "source_settings": "zoo.data.sequences",
    "stored_order": "zoo.data.buckets",
    "synthesize": "zoo.data.sound",
    "takes_labels": "zoo.data.spec",
    "write_midi": "zoo.data.midi",
    "write_shards": "zoo.data.writing",
    "write_wav": "zoo.data.sound",
}
__all__ = list(_HOME)
__getattr__, __dir__ = attributes(__name__, _HOME)
