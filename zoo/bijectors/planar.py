"""Planar flows. Rezende & Mohamed 2015, arXiv:1505.05770."""

import numpy as np
import tensorflow as tf

from zoo.bijectors.base import LOWEST, Flow, dot, solve_increasing
from zoo.errors import InvalidInput
from zoo.numerics import softplus


class Planar(Flow):
    """y = x + u' tanh(w.x + b), u' = u + (m(w.u) - w.u) w / |w|^2, m(a) = -1 + softplus(a), so that w.u' > -1.

    log |det| = log(1 + (1 - tanh^2(w.x + b)) w.u'). The inverse is exact across w and bisects along it.

    Args:
        u, w: [..., D]; w must not be 0.
        b: [...].
        corrected: `correct(u, w)`, where a caller has it of many layers at once.
    """

    def __init__(self, u, w, b, corrected=None, validate_args=True, name="Planar"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        if self.checked and not np.all(np.any(np.asarray(w) != 0, -1)):
            raise InvalidInput(f"{name}: w is zero, so the layer has no direction; give it any other value")
        self.w, self.b = w, b
        self.u, self.one_plus_inner = corrected or correct(u, w)

    def push(self, x):
        h = tf.tanh(dot(self.w, x) + self.b)
        squared = tf.square(h)
        return x + self.u * h[..., None], tf.math.log(squared + (1 - squared) * self.one_plus_inner)

    def solve(self, y):
        """With a = w.x it is w.y = a + (w.u') tanh(a + b), increasing in a."""
        target, inner = dot(self.w, y), self.one_plus_inner - 1

        def excess(a):
            h = tf.tanh(a + self.b)
            squared = tf.square(h)
            return a + inner * h - target, squared + (1 - squared) * self.one_plus_inner

        a = solve_increasing(excess, target - tf.abs(inner), target + tf.abs(inner))
        return y - self.u * tf.tanh(a + self.b)[..., None]


def correct(u, w):
    """u, w [..., D] -> (u' [..., D], 1 + w.u' [...])."""
    inner = dot(w, u)
    one_plus_inner = softplus(tf.maximum(inner, LOWEST))
    return u + ((one_plus_inner - 1 - inner) / dot(w, w))[..., None] * w, one_plus_inner
