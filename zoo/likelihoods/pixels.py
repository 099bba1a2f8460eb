"""8-bit pixels."""

import tensorflow as tf

from zoo.distributions import DiscretizedLogistic, LogisticMixture, PixelCategorical
from zoo.errors import InvalidInput, check_positive
from zoo.likelihoods.base import LikelihoodHead
from zoo.numerics import cut, soft_scale
from zoo.probability import tfp
from zoo.registry import LIKELIHOODS

tfd = tfp.distributions
MOST_CHANNELS = 4


@LIKELIHOODS.register("discretized_logistic")
class Logistic(LikelihoodHead):
    """8-bit pixels: a logistic with a location and a scale per pixel, integrated over each level."""

    num_parameters = 2

    def distribution(self, loc, raw_scale):
        return DiscretizedLogistic(loc, logistic_scale(raw_scale))


def logistic_scale(raw):
    """The scale of a logistic over pixels, near a tenth of the range where `raw` is 0."""
    return soft_scale(raw - 2.0, 1e-3)


@LIKELIHOODS.register("discretized_logistic_mixture")
class Mixture(LikelihoodHead):
    """8-bit pixels: a mixture of logistics for all channels of a pixel, each given the channels before it.

    Salimans et al. 2017, arXiv:1701.05517.

    Args:
        num_components: how many components the mixture has.
    """

    def __init__(self, data_shape, num_components=10):
        super().__init__(data_shape)
        check_positive(num_components=num_components)
        self.channels, self.num_components = self.data_shape[-1], num_components
        if len(self.data_shape) != 3 or self.channels > MOST_CHANNELS:
            raise InvalidInput(
                f"discretized_logistic_mixture is for images [height, width, at most {MOST_CHANNELS} channels], "
                f"not {self.data_shape}: take discretized_logistic"
            )
        self.factorized = self.channels == 1

    @property
    def decoder_shape(self):
        """Logits, locations and scales of each channel, and a slope for each two channels."""
        pairs = self.channels * (self.channels - 1) // 2
        return (*self.data_shape[:-1], self.num_components * (1 + 2 * self.channels + pairs))

    def call(self, parameters):
        parameters = tf.cast(parameters, tf.float32)
        logits, *parts = cut(parameters, *[self.num_components] * (self.decoder_shape[-1] // self.num_components))
        locs, scales, slopes = (parts[start:] for start in (0, self.channels, 2 * self.channels))
        scales = [logistic_scale(raw) for raw in scales[: self.channels]]
        starts = [place * (place - 1) // 2 for place in range(self.channels)]
        slopes = [list(map(tf.tanh, slopes[start : start + place])) for place, start in enumerate(starts)]
        return tfd.Independent(LogisticMixture(logits, locs[: self.channels], scales, slopes), 2)

    def initial_bias(self, mean):
        spread = tf.repeat(mean, self.num_components, -1)  # channel by channel
        rest = self.decoder_shape[-1] // self.num_components - 1 - self.channels
        zeros = tf.zeros([*self.data_shape[:-1], self.num_components])
        return tf.concat([zeros, spread] + [zeros] * rest, -1)


@LIKELIHOODS.register("categorical")
class Categorical(LikelihoodHead):
    """8-bit pixels: a free probability for each of the 256 levels."""

    num_parameters = 256

    def initial_bias(self, mean):
        return tf.zeros(self.decoder_shape)

    def call(self, parameters):
        parameters = tf.cast(parameters, tf.float32)
        lead = tf.shape(parameters)[: -len(self.data_shape)]
        logits = tf.reshape(parameters, tf.concat([lead, [*self.data_shape, self.num_parameters]], 0))
        return tfd.Independent(PixelCategorical(logits), len(self.data_shape))
