"""Radial flows. Rezende & Mohamed 2015, arXiv:1505.05770."""

import numpy as np
import tensorflow as tf

from zoo.bijectors.base import LOWEST, Flow, dot
from zoo.errors import InvalidInput
from zoo.numerics import softplus


class Radial(Flow):
    """y = x + b' (x - center) / (alpha + r), r = |x - center|, b' = -alpha + softplus(beta).

    log |det| = (D - 1) log(1 + b' / (alpha + r)) + log(1 + b' alpha / (alpha + r)^2), in terms that do not cancel.
    The inverse solves the quadratic r (1 + b' / (alpha + r)) = |y - center|.

    Args:
        center: [..., D].
        alpha: [...], positive.
        beta: [...].
    """

    def __init__(self, center, alpha, beta, validate_args=True, name="Radial"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        if self.checked and not np.all(np.asarray(alpha) > 0):
            raise InvalidInput(f"{name}: alpha must be positive, got {float(np.min(alpha)):g}")
        self.center, self.alpha = center, alpha
        self.soft = softplus(tf.maximum(beta, LOWEST))  # alpha + b'

    def push(self, x):
        offset = x - self.center
        r = norm(offset)
        beyond = self.alpha + r
        y = x + ((self.soft - self.alpha) / beyond)[..., None] * offset
        across = tf.math.log((r + self.soft) / beyond)
        along = tf.math.log((r * (r + 2 * self.alpha) + self.alpha * self.soft) / tf.square(beyond))
        return y, (x.shape[-1] - 1) * across + along

    def solve(self, y):
        offset = y - self.center
        length = norm(offset)
        t = length - self.soft
        root = tf.sqrt(tf.square(t) + 4 * self.alpha * length)
        r = tf.where(t > 0, 0.5 * (t + root), 2 * self.alpha * length / (root + tf.abs(t)))
        return self.center + offset * ((self.alpha + r) / (r + self.soft))[..., None]


def norm(x):
    """|x| over the last axis, with a gradient at 0."""
    return tf.sqrt(tf.maximum(dot(x, x), 1e-24))
