"""Batches and a model's fields: by role, in range, observed or missing, binarised, and scored."""

import tensorflow as tf

from zoo.data.check import check_batch
from zoo.data.spec import FieldSpec, named_fields
from zoo.errors import InvalidInput, choose
from zoo.randomness import noise_of_image


class Inputs:
    """What stands between data and a model's inputs; mixed into `LatentVariableModel`."""

    def fields_of(self, *roles):
        """The names in `data_spec` of the fields of some roles."""
        return [name for name, spec in self.data_spec.items() if spec.role in roles]

    @property
    def field_specs(self):
        """Name -> `FieldSpec` of everything a verb or an endpoint takes."""
        return {**self.data_spec, **self.latent_spec, "seed": FieldSpec((), "int64", role="seed")}

    def inputs(self, **fields):
        """Fields as tensors of their declared dtypes; eager ones are checked against `field_specs` first."""
        given = {name: value for name, value in fields.items() if value is not None}
        spec = {name: choose("field", name, self.field_specs) for name in given}
        if tf.executing_eagerly():
            check_batch(given, spec)
        return self.observed({name: self.to_range(value, spec[name]) for name, value in given.items()})

    @staticmethod
    def to_range(value, spec):
        """uint8 pixels divided by 255; labels as probabilities [B, C] as they are; the rest cast to the dtype."""
        value = tf.convert_to_tensor(value)
        if value.dtype == tf.uint8 and spec.dtype == "float32" and spec.role != "mask":
            return tf.cast(value, tf.float32) / 255.0
        if value.dtype.is_floating and tf.as_dtype(spec.dtype).is_integer and value.shape.rank == len(spec.shape) + 2:
            return value
        return tf.cast(value, spec.dtype)

    def observed(self, inputs):
        """Inputs with zeros where a mask says that their data are missing."""
        for mask in self.fields_of("mask"):
            if mask in inputs:
                for name in self.fields_of("data"):
                    if name in inputs and self.data_spec[name].shape == self.data_spec[mask].shape:
                        inputs[name] = tf.where(inputs[mask] > 0.5, inputs[name], 0.0)
        return inputs

    def fields(self, batch):
        """The first data field alone, a dict, or a tuple in the order of `data_spec` -> all of its fields.

        In their dtypes, uint8 in [0, 1]; an optional field that is left out is unknown (-1), or observed everywhere.
        """
        batch = named_fields(batch, self.data_spec)
        missing = [name for name, spec in self.data_spec.items() if name not in batch and not spec.optional]
        if missing:
            raise InvalidInput(f"the batch lacks {', '.join(missing)}; the model takes {', '.join(self.data_spec)}")
        found = {n: self.to_range(batch[n], spec) for n, spec in self.data_spec.items() if n in batch}
        rows = tf.shape(next(iter(found.values())))[0]
        for name, spec in self.data_spec.items():
            if name not in found:
                unknown = tf.cast(1 if spec.role == "mask" else -1, spec.dtype)
                found[name] = tf.fill([rows, *spec.shape], unknown)
        return self.observed({name: found[name] for name in self.data_spec})

    def preprocess(self, batch, seed, training):
        """What the data pipeline gives -> the model's inputs, inside the step: `fields`, then binarised.

        Args:
            batch: the first data field alone, a dict, or a tuple.
            seed: int32 [2], of this step.
        """
        inputs = self.fields(batch)
        if self.binarize:
            for name in self.fields_of("data"):
                if inputs[name].dtype.is_floating:
                    inputs[name] = self.binarized(inputs[name], seed, training)
        return inputs

    def binarized(self, x, seed, training):
        """Pixels of grey values x, 0 or 1."""
        if training and self.binarize == "dynamic":
            noise = tf.random.stateless_uniform(tf.shape(x), seed, alg="philox")
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
        for mask in self.fields_of("mask"):
            if mask in inputs and self.data_spec[mask].shape == spec.shape:
                each = inputs[mask] * likelihood.distribution.log_prob(value)
                return tf.reduce_sum(each, range(-len(spec.shape), 0))
        if spec.optional:
            return tf.where(value >= 0, likelihood.log_prob(tf.maximum(value, 0)), 0.0)
        return likelihood.log_prob(value)
