"""One .tflite file of the deterministic endpoints, made of operators that the LiteRT GPU path takes."""

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, OutputExists, check_positive, choose
from zoo.export.archive import quiet, write_archive
from zoo.files import write_bytes, writing

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

DTYPES = {"float32": None, "float16": tf.float16}


def export_tflite(
    model: "LatentVariableModel",
    path: str | os.PathLike,
    *,
    batch_size: int = 1,
    dtype: str = "float32",
    endpoints: str | Iterable[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write one .tflite file with a signature per endpoint, and return its path. It appears whole or not at all.

    Labels are float probabilities [N, num_classes] in it, in and out, because the GPU path has neither one_hot nor
    argmax; where a label may be unknown, zeros say so.

    Args:
        model: a built model.
        path: the file.
        batch_size: rows of every input; fixed, as the GPU path wants it.
        dtype: of the stored weights, "float32" or "float16" (half the size); inputs and outputs are float32.
        endpoints: some of those that draw nothing; None takes them all.
        overwrite: replace an existing file.

    Raises:
        InvalidInput: (a `ValueError`) an unknown endpoint or dtype, a bad batch size, a directory for a path, or an
            endpoint of operators that TFLite lacks.
        OutputExists: the file is there already, and `overwrite` is not set.
    """
    path = Path(path)
    check_positive(batch_size=batch_size)
    weights = choose("dtype", dtype, DTYPES)
    chosen = choose_endpoints(model, endpoints)
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory; give a file, such as {path / 'model.tflite'}")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} exists: give another path, or overwrite=True")
    with quiet(f"converting to {path}"), writing(path):
        content = convert(model, chosen, batch_size, weights)
    write_bytes(path, content)
    return path


def choose_endpoints(model, names):
    """name -> (method, inputs) of what a .tflite file is to have."""
    known = drawing_nothing(model)
    if names is None:
        return known
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise InvalidInput(f"endpoints is empty; choose from {', '.join(known)}")
    return {name: choose("endpoint", name, known) for name in names}


def drawing_nothing(model):
    """name -> (method, inputs) of the endpoints a .tflite file can have: of fixed sizes, and without a seed."""
    left = {name for name, spec in model.field_specs.items() if spec.role == "seed" or None in spec.shape}
    return {name: of_floats(*pair) for name, pair in model.endpoints.items() if not left.intersection(pair[1])}


def of_floats(method, inputs):
    """An endpoint (method, its inputs) without its outputs of whole numbers."""
    return lambda **fields: {k: v for k, v in method(**fields).items() if v.dtype.is_floating}, inputs


def tflite_specs(model):
    """The model's `field_specs` with labels as float probabilities."""
    return {name: soft(spec) for name, spec in model.field_specs.items()}


def soft(spec):
    """A label -1..C-1 or 0..C-1 -> probabilities [C]; other fields stay as they are."""
    if spec.role in ("data", "label", "condition") and spec.shape == () and spec.dtype.startswith("int"):
        return FieldSpec((int(spec.maximum) + 1,), "float32", 0.0, 1.0)
    return spec


def convert(model, endpoints, batch_size, weights):
    """The file's bytes: built-in operators only, or an exception."""
    with tempfile.TemporaryDirectory() as directory:
        saved = os.path.join(directory, "model")
        write_archive(model, endpoints, tflite_specs(model), saved, batch_size)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(endpoints))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if weights is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [weights]
        try:
            return converter.convert()
        except ConverterError as error:
            lacking = ", ".join(sorted(set(re.findall(r'"(tf\.\w+)"', str(error))))) or "an operator"
            raise InvalidInput(
                f"a .tflite file lacks {lacking}, which this model's {', '.join(endpoints)} take: name other endpoints"
            ) from error
