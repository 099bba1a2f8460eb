"""Small models and batches for every name in the registry."""

import numpy as np
import tensorflow as tf

import zoo
from zoo.registry import model_class

SMALL = {
    "data_shape": (4, 4, 1),
    "latent_dim": 3,
    "num_classes": 3,
    "num_pseudo_inputs": 6,
    "encoder": {"name": "mlp", "hidden_units": [8]},
    "classifier": {"name": "mlp", "hidden_units": [8]},
    "hidden_units": 8,
    "m2": {"latent_dim": 2, "hidden_units": 8},
    "seed": 1,
}
DEEP = {**SMALL, "latent_dims": (3, 2), "hidden_units": (5,)}


def small(name, **config):
    """A model small enough for a test; `config` goes over the sizes of `SMALL`."""
    accepted = model_class(name)[0].argument_names()
    sizes = DEEP if "latent_dims" in accepted else SMALL
    return zoo.create(name, **{**{k: v for k, v in sizes.items() if k in accepted}, **config})


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
