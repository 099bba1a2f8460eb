"""Data: load it, describe it, prepare it, check it against what a model takes. Imports TensorFlow only when used."""

from zoo.data.arrays import load_arrays
from zoo.data.catalogue import describe_dataset, list_datasets
from zoo.data.check import check_batch, check_dataset
from zoo.data.pipeline import load_dataset
from zoo.data.prepare import prepare_dataset
from zoo.data.semi_supervised import load_semi_supervised
from zoo.data.spec import LABELS, FieldSpec, named_fields, takes_labels

__all__ = [
    "LABELS",
    "FieldSpec",
    "check_batch",
    "check_dataset",
    "describe_dataset",
    "list_datasets",
    "load_arrays",
    "load_dataset",
    "load_semi_supervised",
    "named_fields",
    "prepare_dataset",
    "takes_labels",
]
