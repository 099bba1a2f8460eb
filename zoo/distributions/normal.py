"""Multivariate normals that TFP lacks, or has in operators that TFLite lacks."""

import math

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


class NormalRankOnePrecision(tfp.distributions.Distribution):
    """N(loc, C) whose precision is diagonal plus rank one: C^-1 = diag(precision) + factor factor^T.

    Its covariance has full rank and costs O(D). Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082, section 4.3.

    Args:
        loc: [..., D].
        precision: [..., D], positive.
        factor: [..., D].
    """

    def __init__(self, loc, precision, factor, name="NormalRankOnePrecision"):
        parameters = dict(locals())
        self.loc, self.precision, self.factor = loc, precision, factor
        # The share of u^T D^-1 u that the rank-one term leaves: eta = 1 / (1 + u^T D^-1 u).
        self._quotient = tf.reduce_sum(tf.square(factor) / precision, -1, keepdims=True)
        self._eta = 1 / (1 + self._quotient)
        super().__init__(
            dtype=loc.dtype,
            reparameterization_type=tfp.distributions.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        vector = tfp.util.ParameterProperties(event_ndims=1)
        return {"loc": vector, "precision": vector, "factor": vector}

    def _event_shape(self):
        return self.loc.shape[-1:]

    def _event_shape_tensor(self):
        return tf.shape(self.loc)[-1:]

    def _sample_n(self, n, seed=None):
        # R = D^-1/2 - (1 - sqrt eta) / (u^T D^-1 u) D^-1 u u^T D^-1/2 has R R^T = C;
        # (1 - sqrt eta) / (u^T D^-1 u) = eta / (1 + sqrt eta), which is finite at u = 0.
        noise = tf.random.stateless_normal(
            tf.concat([[n], tf.shape(self.loc)], 0), seed, dtype=self.dtype, alg="philox"
        )
        white = noise / tf.sqrt(self.precision)
        along = tf.reduce_sum(self.factor * white, -1, keepdims=True)
        shrink = self._eta / (1 + tf.sqrt(self._eta))
        return self.loc + white - shrink * along * self.factor / self.precision

    def _log_prob(self, value):
        centred = value - self.loc
        square = tf.reduce_sum(self.precision * tf.square(centred), -1)
        square += tf.square(tf.reduce_sum(self.factor * centred, -1))
        log_det = tf.reduce_sum(tf.math.log(self.precision), -1) - tf.math.log(self._eta[..., 0])
        size = tf.cast(self.loc.shape[-1], self.dtype)
        return 0.5 * (log_det - square - size * math.log(2 * math.pi))

    def _mean(self):
        return self.loc

    def _variance(self):
        return 1 / self.precision - self._eta * tf.square(self.factor / self.precision)

    def _stddev(self):
        return tf.sqrt(self._variance())
