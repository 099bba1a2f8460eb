"""A mixture of many components that is scored by matrix products."""

import math

import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.probability import tfp
from zoo.rows import categorical_rows, normal_rows, split_rows

tfd = tfp.distributions
LOG_2_PI = math.log(2 * math.pi)


class Mixture(tfd.Distribution):
    """p(z) = sum_k softmax(logits)_k components_k(z), over [D].

    Diagonal Gaussians are scored at N points by two products [N, D] x [D, K]; no [N, K, D] tensor is made. They are
    taken in double precision, for a quadratic form multiplied out cancels. Other components are scored each at every
    point, which takes memory of N K D.

    Args:
        logits: [K].
        components: a distribution of batch [K] and event [D], with a log_prob.
    """

    def __init__(self, logits, components, name="Mixture"):
        parameters = dict(locals())
        self.logits, self.components = logits, components
        normal = isinstance(components, tfd.Independent) and isinstance(components.distribution, tfd.Normal)
        self.normal = components.distribution if normal else None
        super().__init__(
            dtype=components.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def _batch_shape(self):
        return tf.TensorShape([])

    def _batch_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _event_shape(self):
        return self.components.event_shape

    def _event_shape_tensor(self):
        return self.components.event_shape_tensor()

    def _log_prob(self, z):
        each = self.components.log_prob(z[..., None, :]) if self.normal is None else self.gaussian_log_prob(z)
        return tf.cast(tf.reduce_logsumexp(each + tf.nn.log_softmax(tf.cast(self.logits, each.dtype)), -1), z.dtype)

    def gaussian_log_prob(self, z):
        """[..., D] -> [..., K], double: sum_d of z m / s^2 - (z^2 / s^2 + m^2 / s^2 + ln(2 pi s^2)) / 2."""
        z, loc, scale = (tf.cast(value, tf.float64) for value in (z, self.normal.loc, self.normal.scale))
        precision = 1 / tf.square(scale)
        constant = self.components.event_shape[0] * LOG_2_PI + tf.reduce_sum(
            tf.square(loc) * precision + 2 * tf.math.log(scale), -1
        )
        square = tf.tensordot(tf.square(z), tf.transpose(precision), 1)
        return tf.tensordot(z, tf.transpose(loc * precision), 1) - 0.5 * (square + constant)

    def _sample_n(self, n, seed=None):
        component_seed, draw_seed = tfp.random.split_seed(seed, n=2)
        chosen = tfd.Categorical(logits=self.logits).sample(n, seed=component_seed)
        if self.normal is not None:
            loc, scale = tf.gather(self.normal.loc, chosen), tf.gather(self.normal.scale, chosen)
            return tfd.Normal(loc, scale).sample(seed=draw_seed)
        draws = self.components.sample(n, seed=draw_seed)
        return tf.gather(draws, chosen, axis=1, batch_dims=1)

    def sample_rows(self, seeds, temperature=1.0):
        """[N, D]: `sample(seed=row)` of each row of seeds, int32 [N, 2]; diagonal Gaussians need no loop.

        The scales of diagonal Gaussians are multiplied by the temperature; other components take none.
        """
        if self.normal is None and temperature != 1:
            raise InvalidInput("a mixture of other components than Gaussians has no scale for a temperature")
        if self.normal is None:
            return tf.vectorized_map(lambda row: self.sample(seed=row), seeds)
        component_seeds, draw_seeds = tf.unstack(split_rows(seeds, 2))
        chosen = categorical_rows(component_seeds, self.logits)
        loc, scale = tf.gather(self.normal.loc, chosen), tf.gather(self.normal.scale, chosen)
        return loc + temperature * scale * normal_rows(draw_seeds, self.event_shape)

    def _default_event_space_bijector(self):
        return tfp.bijectors.Identity()
