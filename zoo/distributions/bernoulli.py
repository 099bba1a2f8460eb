"""A Bernoulli whose log density costs one softplus instead of two, and many of them that share their logarithms."""

import tensorflow as tf
import tensorflow_probability as tfp

from zoo.numerics import summed_softplus


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
        logits, rank = self.distribution.logits, self.event_shape.rank
        linear = tf.reduce_sum(tf.cast(event, logits.dtype) * logits, range(-rank, 0))
        flat = tf.concat([tf.shape(logits)[:-rank], [self.event_shape.num_elements()]], 0)
        return linear - summed_softplus(tf.reshape(logits, flat))
