"""What the bijectors share: both directions together with their log determinants, and a solver for one unknown."""

import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.probability import tfp

LOWEST = -80.0  # exp(-80) is still a normal float32, so that its logarithm and gradient are finite


class Flow(tfp.bijectors.Bijector):
    """A bijector of vectors [..., D]; parameters [..., D] broadcast against inputs, [B, D] against [S, B, D].

    A subclass writes `push`, and `pull` where the inverse has a shorter way to its log determinant than through
    `push`, else `solve`. A point and its log determinant come from one pass, because every user needs both.

    Args:
        validate_args: whether parameters that can be looked at (outside of a graph) are checked.

    Raises:
        InvalidInput: (a `ValueError`, with `validate_args`) parameters that are not finite, or have no inverse.
    """

    def __init__(self, parameters, validate_args, name):
        self.checked = validate_args and tf.executing_eagerly()
        if self.checked:
            require_finite(name, parameters)
        super().__init__(
            forward_min_event_ndims=1, validate_args=validate_args, parameters=parameters, name=name, dtype=None
        )

    def push(self, x):
        """x [..., D] -> (y [..., D], log |det dy/dx| [...])."""
        raise NotImplementedError

    def solve(self, y):
        """y [..., D] -> x [..., D], the inverse."""
        raise NotImplementedError

    def pull(self, y):
        """y [..., D] -> (x [..., D], log |det dx/dy| [...])."""
        x = self.solve(y)
        return x, -self.push(x)[1]

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    @classmethod
    def _is_increasing(cls, **kwargs):
        return False

    def _forward(self, x):
        return self.push(x)[0]

    def _inverse(self, y):
        return self.pull(y)[0]

    def _forward_log_det_jacobian(self, x):
        return self.push(x)[1]

    def _inverse_log_det_jacobian(self, y):
        return self.pull(y)[1]


def require_finite(name, parameters):
    """Raise `InvalidInput` for a tensor of `parameters` that holds NaN or infinity."""
    for key, value in parameters.items():
        if isinstance(value, (tf.Tensor, np.ndarray, float)) and not np.all(np.isfinite(value)):
            raise InvalidInput(f"{name}: {key} is not finite everywhere; a scale may have overflowed")


def solve_increasing(function, low, high):
    """The root between `low` and `high` of an increasing function, elementwise, by bisection and a last Newton step.

    The Newton step also carries the gradients, those of the implicit function theorem.

    Args:
        function: x -> (value, slope), slope > 0, each of x's shape.
        low, high: where the value is at most, and at least, 0.
    """

    def halve(low, high):
        middle = 0.5 * (low + high)
        above = function(middle)[0] > 0
        return tf.where(above, low, middle), tf.where(above, middle, high)

    steps = 64 if low.dtype == tf.float64 else 32
    low, high = tf.while_loop(lambda *_: tf.constant(True), halve, (low, high), maximum_iterations=steps)
    root = tf.stop_gradient(0.5 * (low + high))
    value, slope = function(root)
    return root - value / tf.stop_gradient(slope)


def dot(a, b):
    """Sum over the last axis of a * b."""
    return tf.reduce_sum(a * b, -1)
