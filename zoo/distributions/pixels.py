"""Distributions over 8-bit pixels, whose values are k / 255 for k = 0..255."""

import tensorflow as tf

from zoo.numerics import softplus
from zoo.probability import tfp

tfd = tfp.distributions
LEVELS = 256


def to_level(value):
    """The level 0..255 of a pixel value in [0, 1]."""
    return tf.round(value * (LEVELS - 1))


class PixelDistribution(tfd.Distribution):
    """A distribution over one value k / 255, which no gradient goes through."""

    def __init__(self, dtype, parameters, name):
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)


class DiscretizedLogistic(PixelDistribution):
    """A logistic whose mass between neighbouring half levels falls on each of the 256 levels; the ends take the tails.

    Salimans et al. 2017, arXiv:1701.05517, with one component.

    Args:
        loc: centre, in the pixels' units: [0, 1] covers the range.
        scale: scale > 0, in the same units.
    """

    def __init__(self, loc, scale, name="DiscretizedLogistic"):
        parameters = dict(locals())
        self.loc, self.scale = loc, scale
        super().__init__(loc.dtype, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"loc": tfp.util.ParameterProperties(), "scale": tfp.util.ParameterProperties()}

    def _log_prob(self, value):
        # With a, b the standardised lower and upper edges of a level, and s its width:
        # sigmoid(b) - sigmoid(a) = (1 - exp(-s)) sigmoid(b) sigmoid(-a), which never cancels.
        level = to_level(value)
        width = 1 / (self.scale * (LEVELS - 1))
        lower = (level - 0.5) * width - self.loc / self.scale
        below = tf.where(level == 0, 0.0, tf.math.softplus(lower))
        above = tf.where(level == LEVELS - 1, 0.0, tf.math.softplus(-(lower + width)))
        inside = tf.where((level == 0) | (level == LEVELS - 1), 0.0, tfp.math.log1mexp(width))
        return inside - below - above

    def _sample_n(self, n, seed=None):
        loc, scale = tf.broadcast_to(self.loc, self.batch_shape_tensor()), self.scale
        draws = tfd.Logistic(loc, scale).sample(n, seed=seed)
        return to_level(tf.clip_by_value(draws, 0.0, 1.0)) / (LEVELS - 1)

    def _mean(self):
        """The mean of the logistic clamped to [0, 1]: the exact mean up to the rounding inside one level."""
        return self.scale * (softplus(self.loc / self.scale) - softplus((self.loc - 1) / self.scale))


class PixelCategorical(PixelDistribution):
    """One free probability for each of the 256 levels.

    Args:
        logits: [..., 256].
    """

    def __init__(self, logits, name="PixelCategorical"):
        parameters = dict(locals())
        self.levels = tfd.Categorical(logits=logits)
        super().__init__(logits.dtype, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties(event_ndims=1)}

    def _log_prob(self, value):
        return self.levels.log_prob(tf.cast(to_level(value), tf.int32))

    def _sample_n(self, n, seed=None):
        return tf.cast(self.levels.sample(n, seed=seed), self.dtype) / (LEVELS - 1)

    def _mean(self):
        # Pixels side by side, for the LiteRT GPU path takes no tensor of five axes.
        logits = self.levels.logits
        pixels = logits.shape[1:-1].num_elements() or 1
        probabilities = tf.nn.softmax(tf.reshape(logits, [-1, pixels, LEVELS]), -1)
        means = tf.reduce_sum(probabilities * tf.linspace(0.0, 1.0, LEVELS), -1)
        return tf.reshape(means, tf.shape(logits)[:-1])
