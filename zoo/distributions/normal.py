"""Normals that TFP lacks, has in operators that TFLite lacks, or whose draws know no whole batch (`zoo.replicas`)."""

import math

import tensorflow as tf

from zoo.probability import tfp
from zoo.replicas import drawn, share


class Normal(tfp.distributions.Normal):
    """tfd.Normal(loc, scale), whose last axis but `event_rank` are rows where several devices share a batch."""

    of_whole_batch = True

    def __init__(self, loc, scale, event_rank=1, name="Normal"):
        parameters = dict(locals())
        super().__init__(loc, scale, name=name)
        self._parameters, self.event_rank = parameters, event_rank

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return tfp.distributions.Normal._parameter_properties(dtype, num_classes)

    def _sample_n(self, n, seed=None):
        if share() is None:
            return super()._sample_n(n, seed)
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        return self.loc + self.scale * standard_normal(shape, seed, self.dtype, self.event_rank)


def independent_normal(loc, scale, event_rank=1):
    """N(loc, diag(scale^2)) over the last axis, or more of them."""
    return tfp.distributions.Independent(Normal(loc, scale, event_rank), event_rank)


def standard_normal(shape, seed, dtype, event_rank=1):
    """Draws [..., B, *event], B the rows."""
    seed = tfp.random.sanitize_seed(seed)
    return drawn(
        lambda shape: tf.random.stateless_normal(shape, seed, dtype=dtype, alg="philox"), shape, axis=-1 - event_rank
    )


class NormalTriL(tfp.distributions.MultivariateNormalTriL):
    """tfd.MultivariateNormalTriL(loc, scale_tril), its variances as sums over rows: no matrix diagonal is taken."""

    of_whole_batch = True

    def __init__(self, loc, scale_tril, name="NormalTriL"):
        parameters = dict(locals())
        super().__init__(loc=loc, scale_tril=scale_tril, name=name)
        self._parameters = parameters
        self._tril = scale_tril

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return tfp.distributions.MultivariateNormalTriL._parameter_properties(dtype, num_classes)

    def _call_sample_n(self, sample_shape, seed, **kwargs):
        if share() is None:
            return super()._call_sample_n(sample_shape, seed, **kwargs)

        def standard(shape):
            unit = tfp.distributions.MultivariateNormalTriL(
                tf.zeros(shape[1:]), tf.eye(shape[-1], batch_shape=shape[1:-1])
            )
            return unit.sample(shape[0], seed=seed)

        shape = tf.concat([tf.reshape(sample_shape, [-1]), self.batch_shape_tensor(), self.event_shape_tensor()], 0)
        return self.loc + tf.linalg.matvec(self._tril, drawn(standard, shape))

    def _sample_and_log_prob(self, sample_shape, seed, **kwargs):
        if share() is None:
            return super()._sample_and_log_prob(sample_shape, seed, **kwargs)
        z = self.sample(sample_shape, seed=seed)
        return z, self.log_prob(z)

    def _variance(self):
        return tf.reduce_sum(tf.square(self._tril), -1)

    def _stddev(self):
        return tf.sqrt(self._variance())


class NormalRankOnePrecision(tfp.distributions.Distribution):
    """N(loc, C) whose precision is diagonal plus rank one: C^-1 = diag(precision) + factor factor^T.

    Its covariance has full rank, and no matrix is made of it, as TFP's distribution of a precision factor makes it for
    the variance. Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082, section 4.3.

    Args:
        loc: [..., D].
        precision: [..., D], positive.
        factor: [..., D].
    """

    of_whole_batch = True

    def __init__(self, loc, precision, factor, name="NormalRankOnePrecision"):
        parameters = dict(locals())
        self.loc, self.precision, self.factor = loc, precision, factor
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

    def shares(self):
        """[..., D]: u_d^2 / d_d of each unit, u the factor and d the precision."""
        return tf.square(self.factor) / self.precision

    def _sample_n(self, n, seed=None):
        # R = D^-1/2 - (1 - sqrt eta) / (u^T D^-1 u) D^-1 u u^T D^-1/2 has R R^T = C, with eta = 1 / (1 + u^T D^-1 u);
        # (1 - sqrt eta) / (u^T D^-1 u) = eta / (1 + sqrt eta), which is finite at u = 0. In double precision, for where
        # u is large the two terms cancel along it.
        shape = tf.concat([[n], self.batch_shape_tensor(), self.event_shape_tensor()], 0)
        noise = standard_normal(shape, seed, self.dtype)
        noise, precision, factor = (tf.cast(value, tf.float64) for value in (noise, self.precision, self.factor))
        eta = 1 / (1 + tf.reduce_sum(tf.square(factor) / precision, -1, keepdims=True))
        white = noise / tf.sqrt(precision)
        along = tf.reduce_sum(factor * white, -1, keepdims=True)
        return self.loc + tf.cast(white - eta / (1 + tf.sqrt(eta)) * along * factor / precision, self.dtype)

    def _log_prob(self, value):
        centred = value - self.loc
        square = tf.reduce_sum(self.precision * tf.square(centred), -1)
        square += tf.square(tf.reduce_sum(self.factor * centred, -1))
        log_det = tf.reduce_sum(tf.math.log(self.precision), -1) + tf.math.log1p(tf.reduce_sum(self.shares(), -1))
        size = tf.cast(self.loc.shape[-1], self.dtype)
        return 0.5 * (log_det - square - size * math.log(2 * math.pi))

    def _mean(self):
        return self.loc + tf.zeros_like(self.shares())

    def _variance(self):
        # C_dd = (1 + the sum of the other units' shares) / (1 + the sum of all) / precision_d: nothing is subtracted.
        shares = self.shares()
        others = 1 + tf.tensordot(shares, 1 - tf.eye(shares.shape[-1], dtype=self.dtype), 1)
        variance = others / (1 + tf.reduce_sum(shares, -1, keepdims=True)) / self.precision
        return variance + tf.zeros_like(self.loc)

    def _stddev(self):
        return tf.sqrt(self._variance())
