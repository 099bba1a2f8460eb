"""In how many bits networks compute. Weights, distributions and costs are in single precision whatever they do."""

import contextlib

import keras

from zoo.errors import choose

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # -> Keras' policy


@contextlib.contextmanager
def computing(precision):
    """Layers made inside the block compute in a precision; "float32" leaves Keras' own setting as it is.

    Raises:
        InvalidInput: an unknown precision.
    """
    choose("precision", precision, PRECISIONS)
    before = keras.config.dtype_policy()
    if precision != "float32":
        keras.config.set_dtype_policy(PRECISIONS[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_precision(model, precision):
    """A copy of a model, of the same weights, whose networks compute in a precision; the model for "float32"."""
    if precision == "float32":
        return model
    with computing(precision):
        copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy
