"""Sylvester flow posteriors."""

import math

import numpy as np
import tensorflow as tf

from zoo import bijectors
from zoo.errors import InvalidInput, check_positive, choose
from zoo.numerics import cut
from zoo.posteriors.flow import FlowHead
from zoo.registry import POSTERIORS


@POSTERIORS.register("sylvester")
class SylvesterFlow(FlowHead):
    """Sylvester layers. van den Berg, Hasenclever, Tomczak & Welling 2018, arXiv:1803.05649.

    Args:
        kind: how Q has orthonormal columns. "householder": a product of reflections; "orthogonal": iterated from any
            matrix; "triangular": the identity, the triangles being upper and lower in turn (in the paper Q is in turn
            the identity and the order turned round, which is the same).
        num_columns: M, of Q; None takes D, and D / 2 for "orthogonal".
        num_reflections: of the kind "householder".
    """

    def __init__(
        self,
        latent_dim,
        num_layers=4,
        amortized=True,
        kind="householder",
        num_columns=None,
        num_reflections=8,
    ):
        choose("kind of sylvester layer", kind, {"householder": 0, "orthogonal": 0, "triangular": 0})
        default = max(1, latent_dim // 2) if kind == "orthogonal" else latent_dim
        columns = default if num_columns is None else num_columns
        check_positive(num_columns=columns, num_reflections=num_reflections)
        if columns > latent_dim or (kind == "triangular" and columns != latent_dim):
            allowed = f"latent_dim, {latent_dim}" if kind == "triangular" else f"at most latent_dim, {latent_dim}"
            raise InvalidInput(f"sylvester, {kind}: num_columns must be {allowed}; got {columns}")
        self.kind, self.columns, self.reflections = kind, columns, num_reflections
        self.q_size = {"householder": num_reflections, "orthogonal": columns, "triangular": 0}[kind] * latent_dim
        self.sizes = (self.q_size, columns * columns, columns, columns, columns)
        super().__init__(latent_dim, num_layers, amortized, sum(self.sizes))

    def start(self, draws, index):
        columns = self.columns
        q = draws.normal(size=self.q_size)
        if self.kind == "orthogonal":
            q = np.linalg.qr(q.reshape(self.latent_dim, columns))[0].ravel()
        square = draws.normal(size=(columns, columns))
        square = 0.01 * np.triu(square, 1) + np.tril(square, -1) / math.sqrt(columns)
        r, s, b = draws.normal(size=(3, columns)) * [[0.01], [1.0], [0.01]]
        return np.concatenate([q, square.ravel(), r, s, b])

    def layer(self, index, part):
        q, square, r, s, b = cut(part, *self.sizes)
        size, lead = self.columns, [-1] if part.shape.rank > 1 else []
        square = tf.reshape(square, [*lead, size, size])
        above, eye = np.triu(np.ones([size, size], "float32"), 1), np.eye(size, dtype="float32")
        # One square holds both triangles; the diagonals' products stay above -1.
        r = above * square + eye * (0.999 * tf.tanh(r))[..., None]
        s = above * swap(square) + eye * (0.999 * tf.tanh(s))[..., None]
        lower = self.kind == "triangular" and index % 2 == 1
        if lower:
            r, s = swap(r), swap(s)
        return bijectors.Sylvester(self.columns_of(q, lead), r, s, b, lower=lower, validate_args=False)

    def columns_of(self, q, lead):
        """Q [..., D, M] of its numbers, None for the identity."""
        if self.kind == "triangular":
            return None
        if self.kind == "orthogonal":
            return bijectors.orthonormal_columns(tf.reshape(q, [*lead, self.latent_dim, self.columns]))
        return bijectors.householder_columns(cut(q, *[self.latent_dim] * self.reflections), self.columns)


def swap(matrix):
    """The transpose over the last two axes."""
    return tf.linalg.matrix_transpose(matrix)
