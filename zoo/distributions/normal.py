"""A multivariate normal whose moments are made of operators that TFLite has."""

import tensorflow as tf
import tensorflow_probability as tfp


class NormalTriL(tfp.distributions.MultivariateNormalTriL):
    """tfd.MultivariateNormalTriL(loc, scale_tril), its variances as sums over rows: no matrix diagonal is taken."""

    def __init__(self, loc, scale_tril, name="NormalTriL"):
        parameters = dict(locals())
        super().__init__(loc=loc, scale_tril=scale_tril, name=name)
        self._parameters = parameters
        self._tril = scale_tril

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return tfp.distributions.MultivariateNormalTriL._parameter_properties(dtype, num_classes)

    def _variance(self):
        return tf.reduce_sum(tf.square(self._tril), -1)

    def _stddev(self):
        return tf.sqrt(self._variance())
