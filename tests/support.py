"""Small models and batches for every name in the registry."""

import numpy as np
import tensorflow as tf

import zoo
from zoo.creation import model_class


def small(name, **config):
    """A model small enough for a test: the first example of its class, `config` over it."""
    return zoo.create(name, **{**next(iter(model_class(name)[0].examples().values())), **config})


def lively(name, **config):
    """A small model whose decoder depends strongly on z, and whose posterior is wide enough to be a proposal."""
    deep = "latent_dims" in model_class(name)[0].argument_names()
    model = small(name, data_shape=(2, 2, 1), **({"latent_dims": (2, 2)} if deep else {"latent_dim": 2}), **config)
    for weight in model.decoder.weights:
        weight.assign(weight * 2.5)
    above = [getattr(layer, "head", None) for layer in model.upward] if deep else []
    for head in [model.posterior_head, *getattr(model, "heads", above)]:
        # A ladder's posterior is narrower than its prior, the less so the vaguer the evidence.
        raw_scale = [3.0, 3.0] if name == "lvae" else [1.0, 0.7]
        head.dense.kernel.assign(head.dense.kernel * 0.5)
        head.dense.bias.assign([0.0, 0.3, *raw_scale, 0.0, 0.3][: head.dense.bias.shape[0]])
    if hasattr(model, "m2"):
        model.posterior_head.dense.bias.assign([0.0, 0.3, 1.3, 1.3])
        for layer, factor, scale in (
            (model.m2.posterior_head.dense, 0.3, 1.0),
            (model.m2.decoder.output_layer, 0.5, 0.6),
        ):
            layer.kernel.assign(layer.kernel * factor)
            layer.bias.assign([0.0, 0.0, scale, scale])
    return model


def random_batch(model, size=5, seed=0):
    """Fields that fit the model's `data_spec`: x of 8-bit levels in [0, 1], labels (and -1 for unknown) in turn."""
    random = np.random.RandomState(seed)
    return {
        name: tf.range(size) % (spec.maximum - spec.minimum + 1) + spec.minimum
        if spec.dtype == "int32"
        else tf.constant(random.randint(0, 256, (size, *spec.shape)) / 255, tf.float32)
        for name, spec in model.data_spec.items()
    }


def seed(number):
    return tf.constant([3, number])
