"""Householder flows. Tomczak & Welling 2016, arXiv:1611.09630."""

import numpy as np
import tensorflow as tf

from zoo.bijectors.base import Flow, dot
from zoo.errors import InvalidInput


class Householder(Flow):
    """The reflection y = x - 2 v (v.x) / |v|^2: orthogonal, its own inverse, log |det| = 0.

    Args:
        v: [..., D]; must not be 0.
    """

    def __init__(self, v, validate_args=True, name="Householder"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        if self.checked and not np.all(np.any(np.asarray(v) != 0, -1)):
            raise InvalidInput(f"{name}: v is zero, so there is no plane to reflect at; give it any other value")
        self.v, self.scaled = v, v * (2 / dot(v, v))[..., None]

    def push(self, x):
        inner = dot(self.v, x)
        return x - self.scaled * inner[..., None], tf.zeros_like(inner)

    def pull(self, y):
        return self.push(y)


def householder_columns(vectors, num_columns):
    """[..., D, M]: the first M columns of the product of the reflections at `vectors`, each [..., D].

    The columns are orthonormal; with no vectors they are those of the identity.
    """
    size = vectors[0].shape[-1]
    columns = np.eye(size, num_columns, dtype=vectors[0].dtype.as_numpy_dtype)
    for v in reversed(vectors):
        scaled = v * (2 / dot(v, v))[..., None]
        columns = columns - scaled[..., None] * tf.reduce_sum(v[..., None] * columns, -2, keepdims=True)
    return columns
