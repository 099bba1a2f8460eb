"""Inverse autoregressive flows. Kingma et al. 2016, arXiv:1606.04934."""

import math

import tensorflow as tf

from zoo.bijectors.base import Flow
from zoo.numerics import softplus

REST = 1.0  # the gate's logit at rest


class InverseAutoregressive(Flow):
    """y_i = gate_i(x_<i) x_i + shift_i(x_<i): one pass forward, D passes back.

    gate = sigmoid(logit + 1) / sigmoid(1), between 0 and 1.37. The paper's gate is not divided, and multiplies the
    shift by 1 - gate; here logit = shift = 0 is exactly the identity, and the shift learns there too.

    Args:
        network: x [..., D] -> (logit, shift), each [..., D]; in some order of the units neither depends on x_i or
            what comes after it.
    """

    def __init__(self, network, validate_args=True, name="InverseAutoregressive"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        self.network = network

    def push(self, x):
        log_gate, shift = self.parts(x)
        return x * tf.exp(log_gate) + shift, tf.reduce_sum(log_gate, -1)

    def parts(self, x):
        """(log gate, shift), each [..., D]."""
        logit, shift = self.network(x)
        return math.log1p(math.exp(-REST)) - softplus(-(logit + REST)), shift

    def solve(self, y):
        """Each pass makes one more unit right, in the order of the network."""

        def improve(x):
            log_gate, shift = self.parts(x)
            return ((y - shift) * tf.exp(-log_gate),)

        first = improve(tf.zeros_like(y))
        return tf.while_loop(lambda x: tf.constant(True), improve, first, maximum_iterations=y.shape[-1] - 1)[0]
