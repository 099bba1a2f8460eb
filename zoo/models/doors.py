"""Keras' verbs as doors: what comes in is checked, named, and used or refused."""

import contextlib
import math
import random
import re
import threading
import types

import keras
import numpy as np
import tensorflow as tf

from zoo.data.batches import Order, in_rows, told
from zoo.data.check import check_batch, check_dataset, checked_batches, is_arrays, is_column
from zoo.data.spec import WEIGHT, named_fields
from zoo.data.weights import with_class_weight
from zoo.errors import InvalidInput
from zoo.models.guards import Guard, check_memory, check_trainable
from zoo.models.inputs import padded
from zoo.models.updates import listens


class Doors:
    """Keras' `fit`, `evaluate` and `predict`, also on batches; comes before Keras' model in the order of classes."""

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, *, class_weight=None, **kwargs
    ):
        """Keras' `fit`, which first checks the data, and stops with a clear message on later ones that do not fit.

        Args:
            x: a batch's fields as arrays (`zoo.data.named_fields`), or whatever yields batches.
            y: the labels of a model that takes some; of another a target of x's shape, which the likelihood scores in
                place of x, as for denoising (Im et al. 2017, arXiv:1511.06406).
            sample_weight: [N], how much each row counts, in training and in the means that are printed.
            class_weight: {class: weight}, such weights by the rows' labels, or "balanced"; 1 where one is unknown.
        """
        if self._compile_loss is not None:
            raise InvalidInput("the loss is the model's bound: set it with create(..., bound=...), not in compile")
        check_trainable(self)
        check_memory(f"num_samples={self.num_samples}", self.num_samples, self.row_size)
        weight, held_out = kwargs.pop("sample_weight", None), kwargs.get("validation_data")
        if class_weight is not None and held_out is None and is_arrays(x) and kwargs.get("validation_split"):
            fields = named_fields(self.accept(x, y, weight), self.batch_spec)  # held-out rows weigh alike
            x, held_out = split_off(fields, kwargs.pop("validation_split"))
            y, weight, kwargs["validation_data"] = None, x.pop(WEIGHT, None), held_out
        if class_weight is not None:
            x, y, weight = with_class_weight(self.data_spec, class_weight, *map(as_array, (x, y, weight)))
        x = self.accept(x, y, weight)
        if held_out is not None:
            kwargs["validation_data"] = self.accept_held_out(held_out)
        if is_arrays(x) and not kwargs.get("steps_per_epoch") and kwargs.get("shuffle") != "batch":
            x = named_fields(x, self.data_spec)
            if (split := kwargs.pop("validation_split", 0)) and held_out is None:
                x, kwargs["validation_data"] = split_off(x, split)
            kwargs["validation_batch_size"] = kwargs.get("validation_batch_size") or batch_size
            x, batch_size = in_batches(x, batch_size or 32, kwargs.pop("shuffle", True)), None
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # a data set brings its own order; Keras would warn
        callbacks = guarded(callbacks)
        listed = getattr(callbacks, "callbacks", callbacks)
        if verbose == "auto" and any(getattr(callback, "prints_epochs", False) for callback in listed):
            verbose = 0
        self.follow(listed, count_of(x), kwargs.get("steps_per_epoch"), kwargs.get("validation_steps"))
        with shapes_told():
            return super().fit(x, None, batch_size, epochs, verbose, callbacks, **kwargs)

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """Keras' `evaluate`, of data as `fit` takes them."""
        single = contextlib.nullcontext()
        if "_use_cached_eval_dataset" not in kwargs:  # `fit` has looked at its own
            x, callbacks = self.accept(x, y, sample_weight), guarded(callbacks)
            if steps or any(map(listens, getattr(callbacks, "callbacks", callbacks))):
                single = one_a_call(self)
        with single, shapes_told():
            return super().evaluate(x, None, batch_size, verbose, None, steps, callbacks, return_dict, **kwargs)

    def predict(self, x, *args, callbacks=None, **kwargs):
        """Keras' `predict`: the reconstructions of x."""
        with one_a_call(self), shapes_told():
            return super().predict(self.accept(x), *args, callbacks=guarded(callbacks), **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, **kwargs):
        """Keras' `train_on_batch`, of data as `fit` takes them."""
        check_trainable(self)
        if class_weight is not None:
            given = map(as_array, (x, y, sample_weight))
            x, y, sample_weight = with_class_weight(self.data_spec, class_weight, *given)
        self.follow([])
        return super().train_on_batch(self.accept(x, y, sample_weight), **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """Keras' `test_on_batch`, of data as `fit` takes them."""
        return super().test_on_batch(self.accept(x, y, sample_weight), **kwargs)

    def predict_on_batch(self, x):
        """Keras' `predict_on_batch`: the reconstructions of x."""
        return super().predict_on_batch(self.accept(x))

    def accept_held_out(self, data):
        """What Keras is given of validation data: as `accept` of (x, y, sample_weight), or of what yields batches."""
        if not isinstance(data, (tuple, list)) or padded(data, self.data_spec) is not data:
            return self.accept(data)
        if not 1 <= len(data) <= 3:
            raise InvalidInput(f"validation_data is (x, y) or (x, y, sample_weight), got {len(data)} entries")
        return self.accept(*data)

    def accept(self, x, y=None, sample_weight=None):
        """What Keras is given of data: arrays as they are or by field, and what yields batches.

        Raises:
            InvalidInput: arrays, or the first batches, do not fit the model.
        """
        alone = y is None and sample_weight is None
        x = padded(x, self.data_spec)
        if isinstance(x, list) or is_arrays(x):
            fields = named_fields((x, y, sample_weight), self.batch_spec)
            fields = {name: as_array(value, self.batch_spec.get(name)) for name, value in fields.items()}
            check_batch(fields, self.batch_spec)
            return next(iter(fields.values())) if alone and hasattr(x, "shape") else fields
        if not alone:
            raise InvalidInput(
                f"a {type(x).__name__} brings targets and weights of its own: leave out y, sample_weight"
            )
        if isinstance(x, types.GeneratorType):
            return checked_batches(x, self.batch_spec)
        check_dataset(x, self.batch_spec)
        return x


def as_array(value, spec=None):
    """NumPy's array of what pandas holds, or a list; a tensor as it is. A column is [N] where `spec` asks for it."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    value = np.asarray(value) if isinstance(value, list) else value
    return value[:, 0] if spec and is_column(np.shape(value), spec) else value


SINGLY = threading.local()  # ids of the models of which this thread takes one batch a call


def is_single(model):
    """Whether this thread takes one batch of a model in a call into TensorFlow."""
    return id(model) in getattr(SINGLY, "models", ())


@contextlib.contextmanager
def one_a_call(model):
    """Inside, a call into TensorFlow takes one batch, where the model may choose; other threads go on as they do."""
    before = getattr(SINGLY, "models", frozenset())
    SINGLY.models = before | {id(model)} if model.several else before
    try:
        yield
    finally:
        SINGLY.models = before


def split_off(fields, share):
    """(all rows of arrays but the last, these), as Keras splits off a share of them for validation."""
    rows = len(next(iter(fields.values())))
    count = math.floor(rows * (1 - share))
    if not 0 < count < rows:
        raise InvalidInput(f"validation_split={share!r} of {rows} rows leaves none to train or to validate with")
    return ({k: v[part] for k, v in fields.items()} for part in (slice(count), slice(count, None)))


def in_batches(fields, batch_size, shuffle):
    """A data set of arrays by field, as `load_dataset` makes it; `keras.utils.set_random_seed` governs its order."""
    fields = {k: np.asarray(v, "float32") if v.dtype == "float64" else v for k, v in fields.items()}
    count = len(next(iter(fields.values())))

    whole = count % batch_size == 0  # then every batch has one shape
    return in_rows(fields, batch_size, Order(shuffle, random.randrange(2**31), drop_remainder=whole))


def count_of(x):
    """How many batches a data set has; None where that is not known."""
    count = int(x.cardinality()) if isinstance(x, tf.data.Dataset) else -1
    return count if count > 0 else None


def guarded(callbacks):
    """Keras' callbacks with a `Guard`; those that say so come first.

    Raises:
        InvalidInput: one of them is none.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(one, Guard) for one in callbacks.callbacks):
            guard = Guard()
            guard.set_model(callbacks.model)
            guard.set_params(callbacks.params)
            callbacks.callbacks.append(guard)
        callbacks.callbacks.sort(key=comes_later)
        return callbacks
    given = [one for one in keras.tree.flatten(callbacks) if one is not None]
    for one in given:
        if not isinstance(one, keras.callbacks.Callback):
            raise InvalidInput(f"callbacks are objects of keras.callbacks.Callback, got {one!r}")
    return sorted([*given, Guard()], key=comes_later)


def comes_later(callback):
    return not getattr(callback, "comes_first", False)


@contextlib.contextmanager
def shapes_told():
    """A batch whose shape is only known in the graph, and wrong, is told in one line; so is one that cannot be read."""
    try:
        with told():
            yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"Shape of tensor \S+ (\[.*?\]) is not compatible with expected shape (\[.*?\])", str(error))
        if found is None:
            raise
        got, wanted = found.groups()
        raise InvalidInput(f"a later batch has shape {got}, the model takes {wanted}") from None
