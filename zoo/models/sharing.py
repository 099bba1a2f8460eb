"""Cores that share the rows of a batch, where TensorFlow keeps each operator on one of them.

So they wait for each other once a pass, and not once an operator. The pass is that of the whole batch, to rounding.
"""

import contextlib
import os

import keras
import tensorflow as tf

from zoo.objectives.trace import joined
from zoo.replicas import Share, num_cores, num_replicas, rows_of

LEAST, MOST = 16, 8  # rows of a core's part of a batch, and parts
KNOWING = ("penalties", "batch_norm", "dropout", "class_name")  # of a config where rows may know each other


def side_by_side(model, inputs, **settings):
    """The `Pass` of a batch, made by several cores where they may share it: then with the trace alone.

    Where there are fewer rows than parts some see a row of another, for many operators fail on none.
    """
    x = next(iter(inputs.values()))
    count = num_parts(x.shape[0]) if may_share(model) else 1
    if count == 1:
        return model(inputs, **settings)
    rows, passes, counted = x.shape[0] or tf.shape(x)[0], [], []
    for number in range(count):
        first, last = number * rows // count, (number + 1) * rows // count
        seen = max(last, first + 1) if x.shape[0] else tf.maximum(last, first + 1)
        with rows_of(Share(first, seen - first, rows)):
            passes.append(model({name: value[first:seen] for name, value in inputs.items()}, **settings))
        counted.append(last - first)
    trace = joined([p.trace for p in passes], counted)
    paid = {k: tf.concat([p.paid[k][:n] for p, n in zip(passes, counted, strict=True)], 0) for k in passes[0].paid}
    return passes[0]._replace(inputs=inputs, trace=trace, paid=paid, posterior={}, prior={}, likelihood={})


def may_share(model):
    """Whether the trace says of each row what the model makes of that row alone; penalties are of whole batches.

    Models and layers say so themselves (`rows_apart`), and Keras' own are known; XLA compiles for all cores at once.
    """
    alone = model.rows_apart and not (model.penalties or model.jit_compile)
    return alone and all(map(of_a_row, model._flatten_layers(include_self=False)))


def of_a_row(layer):
    """Whether a layer makes of a row what it would without the others: no statistics, no draws, no cost of its own."""
    of_keras = getattr(keras.layers, type(layer).__name__, None) is type(layer) and type(layer) is not keras.Sequential
    states = layer.non_trainable_variables or layer.activity_regularizer or hasattr(layer, "seed_generator")
    return getattr(layer, "rows_apart", of_keras) and not states


def num_parts(rows):
    """Among how many cores a batch is shared: 1 where operators are, on an accelerator, and by several replicas.

    Args:
        rows: of the batch; None where that is not known before.
    """
    if threads("intra") != "1" or num_replicas() > 1 or tf.config.list_physical_devices("GPU"):
        return 1
    beside = int(threads("inter")) if threads("inter").isdecimal() else 0  # which stands for all cores
    return max(1, min(num_cores(), MOST, beside or MOST, MOST if rows is None else rows // LEAST))


def threads(kind):
    """How many threads TensorFlow was told to take within an operator ("intra"), or beside each other ("inter")."""
    told = getattr(tf.config.threading, f"get_{kind}_op_parallelism_threads")()
    return str(told or os.environ.get(f"TF_NUM_{kind.upper()}OP_THREADS", ""))


def keep_operators_apart(model_class, config, recipe):
    """Have cores share batches and not operators, in a process of one's own, before TensorFlow has begun.

    Not where a config says that they cannot share, on an accelerator, or where somebody has said how many threads.
    """
    rows = recipe.get("batch_size", 128)
    of_rows = model_class.rows_apart and not (knowing(config) or recipe.get("jit_compile") is True)
    free = num_cores() > 1 and not (threads("intra") or tf.config.list_physical_devices("GPU"))
    if of_rows and free and rows >= 2 * LEAST:
        with contextlib.suppress(RuntimeError):  # TensorFlow has begun: nobody's own process
            tf.config.threading.set_intra_op_parallelism_threads(1)


def knowing(config):
    """Whether a config, or one of a part in it, has one of the `KNOWING`."""
    parts = [value for value in config.values() if isinstance(value, dict)]
    return any(config.get(key) for key in KNOWING) or any(map(knowing, parts))
