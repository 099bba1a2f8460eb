"""A Bernoulli whose log density costs one softplus instead of two."""

import tensorflow as tf
import tensorflow_probability as tfp


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
