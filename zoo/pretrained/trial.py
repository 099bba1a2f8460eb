"""Models that strangers describe are made without numbers first: their sizes and their work are bounded before any is.

In a graph of TensorFlow every operation has a shape and none is computed, so that what a model would take is known
while it costs nothing, whatever its layers are.
"""

import math

import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from zoo.creation import create
from zoo.errors import InvalidInput
from zoo.files import LARGEST_FILE
from zoo.models.weights import tensors

LARGEST_TENSOR = 2**26  # numbers, of a batch of two
MOST_NUMBERS, FOR_A_WEIGHT = 2**31, 2**7  # that all operations give together; and more for each number in the weights
MOST_OPERATIONS, FOR_A_TENSOR = 10_000, 100  # and more for each tensor in the weights
PER_STEP = 8  # operations of each step of a loop, at least
SPARE = 2**20  # numbers that a model may have beside those of its file: those of its metrics


class Trial:
    """What the operations of a model that is being made add up to; `refused` says why they are too many."""

    def __init__(self, source, numbers, tensors):
        self.source, self.refused = source, None
        self.left = {
            "numbers as weights": numbers + SPARE,
            "numbers on the way": MOST_NUMBERS + FOR_A_WEIGHT * numbers,
            "operations": MOST_OPERATIONS + FOR_A_TENSOR * tensors,
        }
        self.allowed = dict(self.left)

    def take(self, what, count):
        """Count something; raise `InvalidInput` where there is more of it than may be."""
        self.left[what] -= count
        if self.left[what] < 0 and not self.refused:
            self.refuse(f"more than {self.allowed[what]:,} {what}")
        if self.refused:
            raise self.refused

    def refuse(self, why):
        advice = "where you trust it, zoo.create and load_weights make it"
        self.refused = InvalidInput(f"{self.source} describes a model of {why}; {advice}")

    def operation(self, kind, inputs, attributes, outputs, op_name=None, graph=None):
        """What TensorFlow calls for each operation that is added to a graph."""
        sizes = [numbers_of(output.shape) for output in outputs]
        if max(sizes, default=0) > LARGEST_TENSOR and not self.refused:
            self.refuse(f"a layer that gives {max(sizes):,} numbers for two examples, more than {LARGEST_TENSOR:,}")
        steps = (inputs[0].shape[0] or 1) if kind == "TensorListFromTensor" and inputs[0].shape.rank else 0
        self.take("numbers on the way", sum(sizes))
        self.take("operations", 1 + PER_STEP * steps)

    def variable(self, next_creator, **settings):
        """What TensorFlow calls for each variable."""
        value = settings["initial_value"]
        if callable(value):
            with tf.Graph().as_default():  # its shape alone
                value = value()
        self.take("numbers as weights", numbers_of(value.shape))
        return next_creator(**settings)


def try_out(model, config, source, weights=None):
    """Raise `InvalidInput` unless a model of a name and config has bounded layers, and no more weights than its file.

    Args:
        source: what says so.
        weights: the content of that file; None where there is none, and weights are bounded by `LARGEST_FILE`.
    """
    found = [math.prod(shape) for shape, _ in tensors(weights, source).values()] if weights else [LARGEST_FILE // 4]
    trial = Trial(source, sum(found), len(found))
    op_callbacks.add_op_callback(trial.operation)
    try:
        with tf.Graph().as_default(), tf.variable_creator_scope(trial.variable):
            create(model, **config)
    except Exception:
        if not trial.refused:
            raise
    finally:
        op_callbacks.remove_op_callback(trial.operation)
    if trial.refused:  # which Keras may have wrapped
        raise trial.refused


def numbers_of(shape):
    """How many numbers a shape has, as far as it is known."""
    return 0 if shape.rank is None else math.prod(side or 1 for side in shape)
