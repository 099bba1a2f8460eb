"""Sylvester flows. van den Berg, Hasenclever, Tomczak & Welling 2018, arXiv:1803.05649."""

import numpy as np
import tensorflow as tf

from zoo.bijectors.base import Flow, solve_increasing
from zoo.errors import InvalidInput


class Sylvester(Flow):
    """y = x + Q R tanh(S Q^T x + b), Q with orthonormal columns, R and S triangular, R_ii S_ii > -1.

    log |det| = sum_i log(1 + (1 - tanh_i^2) R_ii S_ii). The inverse works in the coordinates Q^T x, where it is a back
    substitution of M equations in one unknown; it is exact across the columns of Q.

    Args:
        q: [..., D, M], or None for the identity (M = D).
        r, s: [..., M, M], both upper triangular, or both lower.
        b: [..., M].
        lower: whether r and s are lower triangular.
    """

    def __init__(self, q, r, s, b, lower=False, validate_args=True, name="Sylvester"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        self.q, self.lower = None if q is None else tf.convert_to_tensor(q), lower
        self.r, self.s, self.b = tf.convert_to_tensor(r), tf.convert_to_tensor(s), tf.convert_to_tensor(b)
        if self.checked:
            self.check()

    def check(self):
        corner = np.tril if self.lower else np.triu
        if not all(np.all(m.numpy() == corner(m.numpy())) for m in (self.r, self.s)):
            raise InvalidInput(f"{self.name}: r and s must be {'lower' if self.lower else 'upper'} triangular")
        if not np.all(diagonal_product(self.r, self.s).numpy() > -1):
            raise InvalidInput(f"{self.name}: r_ii s_ii must be above -1, or the layer has no inverse")
        if self.q is not None and self.q.shape[-1] > self.q.shape[-2]:
            raise InvalidInput(
                f"{self.name}: {self.q.shape[-2]} units cannot have {self.q.shape[-1]} orthonormal columns"
            )
        if self.q is not None:
            gram = tf.matmul(self.q, self.q, transpose_a=True)
            if not np.allclose(gram, np.eye(self.q.shape[-1]), atol=1e-3):
                raise InvalidInput(f"{self.name}: the columns of q must be orthonormal")

    def into(self, x):
        """Q^T x."""
        return x if self.q is None else times(x, self.q)

    def out_of(self, y):
        """Q y."""
        return y if self.q is None else times(y, self.q, transpose=True)

    def push(self, x):
        h = tf.tanh(times(self.into(x), self.s, transpose=True) + self.b)
        slopes = (1 - tf.square(h)) * diagonal_product(self.r, self.s)
        return x + self.out_of(times(h, self.r, transpose=True)), tf.reduce_sum(tf.math.log1p(slopes), -1)

    def solve(self, y):
        start = self.into(y)
        size = start.shape[-1]
        order = range(size) if self.lower else reversed(range(size))
        x, h = {}, {}
        for i in order:
            target = start[..., i] - sum(self.r[..., i, j] * h[j] for j in h)
            bias = self.b[..., i] + sum(self.s[..., i, j] * x[j] for j in x)
            r, s = self.r[..., i, i], self.s[..., i, i]

            def excess(a, target=target, bias=bias, r=r, s=s):
                value = tf.tanh(s * a + bias)
                return a + r * value - target, 1 + r * s * (1 - tf.square(value))

            x[i] = solve_increasing(excess, target - tf.abs(r), target + tf.abs(r))
            h[i] = tf.tanh(s * x[i] + bias)
        found = tf.stack([x[i] for i in range(size)], -1)
        return y + self.out_of(found - start)


def times(x, matrix, transpose=False):
    """x [..., M] matrix [..., M, N] -> [..., N], or with `transpose` x [..., N] matrix^T -> [..., M]."""
    return tf.squeeze(tf.matmul(x[..., None, :], matrix, transpose_b=transpose), -2)


def diagonal_product(r, s):
    """[..., M]: R_ii S_ii."""
    return tf.reduce_sum(r * s * np.eye(r.shape[-1], dtype=r.dtype.as_numpy_dtype), -1)


def orthonormal_columns(matrix, steps=24):
    """[..., D, M] -> the nearest matrix with orthonormal columns, by `steps` of Q <- Q (3 I - Q^T Q) / 2.

    Bjorck & Bowie 1971; the start is divided by its Frobenius norm, from where it always converges.
    """
    q = matrix * tf.math.rsqrt(tf.reduce_sum(tf.square(matrix), (-2, -1), keepdims=True))
    for _ in range(steps):
        half = 0.5 * q  # the LiteRT GPU path takes no product of a tensor with itself
        q = 1.5 * q - tf.matmul(q, tf.matmul(q, half, transpose_a=True))
    return q
