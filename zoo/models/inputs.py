"""Batches and a model's fields: by role, in range, observed or missing, binarised, and scored."""

import functools
import inspect
import math

import numpy as np
import tensorflow as tf

from zoo.data.check import check_batch, check_density_argument, check_shape, is_column, is_label, is_one_hot
from zoo.data.spec import TARGET, WEIGHT, FieldSpec, are_pixels, named_fields
from zoo.errors import InvalidInput, choose
from zoo.randomness import noise_of_image
from zoo.replicas import drawn


class Inputs:
    """What stands between data and a model's inputs; mixed into `LatentVariableModel`."""

    def fields_of(self, *roles):
        """The names in `data_spec` of the fields of some roles."""
        return [name for name, spec in self.data_spec.items() if spec.role in roles]

    @property
    def field_specs(self):
        """Name -> `FieldSpec` of everything a verb or an endpoint takes."""
        return {**self.data_spec, **self.latent_spec, "seed": FieldSpec((), "int64", role="seed")}

    @property
    def row_size(self):
        """How many numbers an example and its latents have at least."""
        specs = (*self.data_spec.values(), *self.latent_spec.values())
        return sum(math.prod(size or 1 for size in one.shape) for one in specs)

    @property
    def batch_spec(self):
        """Name -> `FieldSpec` of everything that a batch may hold: `data_spec`, a target and weights of the rows."""
        first = self.data_spec[self.fields_of("data")[0]]
        target = first._replace(role="target", optional=True)
        return {**self.data_spec, TARGET: target, WEIGHT: FieldSpec((), "float32", 0.0, None, "weight", optional=True)}

    def inputs(self, **fields):
        """Fields as tensors of their declared dtypes; eager ones are checked against `field_specs` first."""
        given = {name: value for name, value in fields.items() if value is not None}
        spec = {name: choose("field", name, self.field_specs) for name in given}
        if tf.executing_eagerly():
            check_batch(given, spec)
            given = {name: as_classes(tf.convert_to_tensor(value), spec[name]) for name, value in given.items()}
        return self.observed({name: self.to_range(value, spec[name]) for name, value in given.items()})

    @staticmethod
    def to_range(value, spec):
        """uint8 pixels divided by 255; labels as probabilities [B, C] as they are; the rest cast to the dtype."""
        value = tf.convert_to_tensor(value)
        if are_pixels(value, spec):
            return tf.cast(value, tf.float32) / 255.0
        if value.dtype.is_floating and is_one_hot(value.shape, spec):
            return value
        return tf.cast(value, spec.dtype)

    def observed(self, inputs):
        """Inputs with zeros where a mask says that their data are missing, and past the end of a sequence."""
        for length in self.fields_of("length"):
            if length in inputs:
                for name in (*self.fields_of("data", "mask"), TARGET):
                    if name in inputs:
                        inputs[name] = without_padding(inputs[name], inputs[length])
        for mask in self.fields_of("mask"):
            if mask in inputs:
                for name in (*self.fields_of("data"), TARGET):
                    if name in inputs and self.batch_spec[name].shape == self.data_spec[mask].shape:
                        inputs[name] = tf.where(inputs[mask] > 0.5, inputs[name], 0.0)
        return inputs

    def fields(self, batch):
        """A batch in any of the forms of `named_fields` -> all of the model's fields, and its columns where it has any.

        In their dtypes, uint8 in [0, 1]; an optional field that is left out is unknown (-1), observed everywhere, or
        the length of the batch.
        """
        batch = named_fields(batch, self.data_spec)
        spec = self.batch_spec
        missing = [name for name, one in spec.items() if name not in batch and not one.optional]
        if missing:
            raise InvalidInput(f"the batch lacks {', '.join(missing)}; the model takes {', '.join(self.data_spec)}")
        found = {}
        for name, value in batch.items():
            one = choose("field of a batch", name, spec)
            found[name] = self.to_range(as_classes(tf.convert_to_tensor(value), one), one)
            check_shape(name, found[name].shape, one)
            if None in found[name].shape[1:]:
                found[name] = tf.ensure_shape(found[name], [None, *one.shape], name=name)
        first = next(iter(found.values()))
        for name, one in self.data_spec.items():
            if name not in found:
                steps = [size or tf.shape(first)[1] for size in one.shape]
                unknown = {"mask": 1, "length": tf.shape(first)[1]}.get(one.role, -1)
                found[name] = tf.fill([tf.shape(first)[0], *steps], tf.cast(unknown, one.dtype))
        return self.observed({name: found[name] for name in spec if name in found})

    def batches(self, dataset):
        """The fields of every batch of a data set, each checked before."""
        for batch in dataset:
            check_batch(batch, self.batch_spec)
            yield self.fields(batch)

    def preprocess(self, batch, seed, training):
        """What the data pipeline gives -> the model's inputs, inside the step: `fields`, then binarised.

        Args:
            batch: see `fields`.
            seed: int32 [2], of this step.
        """
        return self.as_binary(self.fields(batch), seed, training)

    def as_binary(self, inputs, seed, training):
        """Fields with their pixels drawn, where the model binarises."""
        if self.binarize:
            for name in (*self.fields_of("data"), TARGET):
                if name in inputs and inputs[name].dtype.is_floating:
                    inputs[name] = self.binarized(inputs[name], seed, training)
        return inputs

    def unfit(self, batch, inputs):
        """[fields of `batch_spec`]: how many rows of each hold a value that is out of range or not finite.

        Args:
            batch: see `fields`; pixels of uint8 fit.
            inputs: the fields of it.
        """
        batch = named_fields(batch, self.data_spec)
        fit = {name for name, value in batch.items() if are_pixels(tf.convert_to_tensor(value), self.batch_spec[name])}
        looked = {name: one for name, one in self.batch_spec.items() if name in inputs and name not in fit}
        found = {name: self.unfit_rows(inputs[name], one) for name, one in looked.items()}
        return tf.stack([found.get(name, 0.0) for name in self.batch_spec])

    @staticmethod
    def unfit_rows(value, spec):
        """How many rows of a field hold a value that is out of range or not finite."""
        low, high = spec.minimum, spec.maximum
        fits = value >= low if low is not None else tf.math.is_finite(tf.cast(value, tf.float32))
        if high is not None:
            fits = fits & (value <= high)
        elif low is not None:
            fits = fits & (value < value.dtype.max)
        rows = tf.reduce_all(tf.reshape(fits, [tf.shape(value)[0], -1]), 1)
        return tf.reduce_sum(tf.cast(~rows, tf.float32))

    def binarized(self, x, seed, training):
        """Pixels of grey values x, 0 or 1."""
        if training and self.binarize == "dynamic":
            noise = drawn(lambda shape: tf.random.stateless_uniform(shape, seed, alg="philox"), tf.shape(x), axis=0)
        else:
            noise = noise_of_image(x)
        return tf.cast(noise < x, tf.float32)

    def condition_of(self, inputs):
        """The fields that encoding and decoding depend on besides the data, of a model's inputs."""
        return {name: inputs[name] for name in self.conditions if name in inputs}

    def score(self, likelihoods, inputs):
        """Data field -> log p(field | z), nats, over what was observed of it: the one place where data are scored."""
        return {name: self.score_field(name, p, inputs) for name, p in likelihoods.items() if name in inputs}

    def score_field(self, name, likelihood, inputs):
        value, spec = inputs[name], self.data_spec[name]
        if TARGET in inputs and name == self.fields_of("data")[0]:
            value = inputs[TARGET]
        for mask in self.fields_of("mask"):
            if mask in inputs and self.data_spec[mask].shape == spec.shape:
                inside = likelihood.distribution.event_shape.rank  # 1 where a pixel's one channel is a vector
                seen = tf.squeeze(inputs[mask], range(-inside, 0)) if inside else inputs[mask]
                each = seen * likelihood.distribution.log_prob(value)
                return tf.reduce_sum(each, range(inside - len(spec.shape), 0))
        if spec.optional:
            return tf.where(value >= 0, likelihood.log_prob(tf.maximum(value, 0)), 0.0)
        return likelihood.log_prob(value)


def checked(method):
    """A public distribution whose arguments x, y and z are checked where they are eager, x also brought into range."""
    names = [name for name in inspect.signature(method).parameters if name != "self"]

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        if not tf.executing_eagerly():
            return method(self, *args, **kwargs)
        specs = {"x": self.data_spec[self.fields_of("data")[0]], "z": next(iter(self.latent_spec.values()))}
        specs |= dict(zip("y", filter(is_label, self.data_spec.values()), strict=False))
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        for name, value in given.items():
            if value is not None and name in specs:
                check_density_argument(name, value, specs[name])
                given[name] = self.to_range(value, specs[name]) if name == "x" else tf.convert_to_tensor(value)
        return method(self, **given)

    return call


def padded(x, data_spec):
    """{x, length} of a list of sequences [T, ...]: padded with zeros to the longest; anything else as it is."""
    length = next((name for name, one in data_spec.items() if one.role == "length"), None)
    name, spec = next(iter(data_spec.items()))
    if isinstance(x, dict):
        return {**x, **found} if isinstance(found := padded(x.get(name), data_spec), dict) else x
    rows = list(x) if isinstance(x, tf.RaggedTensor) or getattr(x, "dtype", None) == np.dtype(object) else x
    if length is None or not isinstance(rows, (list, tuple)) or not all(hasattr(row, "shape") for row in rows):
        return x
    rows = [np.asarray(row) for row in rows]
    if not rows or any(row.ndim != len(spec.shape) or row.shape[1:] != rows[0].shape[1:] for row in rows):
        return x
    lengths = np.array([len(row) for row in rows], "int32")
    found = np.zeros((len(rows), lengths.max(), *rows[0].shape[1:]), rows[0].dtype)
    for place, row in zip(found, rows, strict=True):
        place[: len(row)] = row
    return {name: found, length: lengths}


def without_padding(value, length):
    """[B, T, ...] with zeros from the step `length` [B] on."""
    real = tf.sequence_mask(length, tf.shape(value)[1])
    return tf.where(tf.reshape(real, tf.concat([tf.shape(real), [1] * (value.shape.rank - 2)], 0)), value, 0)


def as_classes(value, spec):
    """Labels [B] of one-hot rows [B, C], and what is [B, 1] for [B]; any other field as it is."""
    if is_one_hot(value.shape, spec):
        return tf.argmax(value, -1, tf.int32)
    return value[:, 0] if is_column(value.shape, spec) else value
