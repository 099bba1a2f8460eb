"""A Bernoulli whose log density costs one softplus instead of two, and many of them that share their logarithms."""

import tensorflow as tf

from zoo.numerics import summed_softplus
from zoo.probability import tfp


class BernoulliLogits(tfp.distributions.Bernoulli):
    """tfd.Bernoulli(logits), with log p(x) = x l - softplus(l), which is linear in x and so takes x in [0, 1]."""

    def __init__(self, logits, name="BernoulliLogits"):
        parameters = dict(locals())
        super().__init__(logits=logits, dtype=tf.float32, name=name)
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties()}

    def _log_prob(self, event):
        logits = self.logits
        return tf.cast(event, logits.dtype) * logits - tf.math.softplus(logits)


class IndependentBernoulli(tfp.distributions.Independent):
    """tfd.Independent of `BernoulliLogits`, with log p(x) = sum x l - sum softplus(l)."""

    def _log_prob(self, event):
        logits, rank, size = self.distribution.logits, self.event_shape.rank, self.event_shape.num_elements()

        def flat(value):
            return tf.reshape(value, tf.concat([tf.shape(value)[:-rank], [size]], 0))

        event, logits = flat(tf.cast(event, logits.dtype)), flat(logits)
        return tf.reduce_sum(event * logits, -1) - summed_softplus(logits)
