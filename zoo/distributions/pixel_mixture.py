"""Pixels of several channels as one mixture of logistics, each channel given those before it."""

import tensorflow as tf

from zoo.distributions.pixels import DiscretizedLogistic, PixelDistribution
from zoo.numerics import softmax
from zoo.probability import tfp

tfd = tfp.distributions


class LogisticMixture(PixelDistribution):
    """A pixel [channels] of values k / 255: a component for all its channels, and in it logistics one after another.

        p(x) = sum_k softmax(logits)_k prod_c DiscretizedLogistic(x_c; loc_ck + sum_b<c slope_cbk (x_b - 1/2), scale_ck)

    Each factor sums to one over the 256 levels, and so does the whole over all pixels. Salimans et al. 2017,
    arXiv:1701.05517.

    Args:
        logits: [..., K].
        locs, scales: a tensor [..., K] for each channel; [0, 1] covers the range.
        slopes: for each channel a list of tensors [..., K], one for each channel before it.
    """

    def __init__(self, logits, locs, scales, slopes, name="LogisticMixture"):
        parameters = dict(locals())
        self.logits, self.locs, self.scales, self.slopes = logits, locs, scales, slopes
        super().__init__(logits.dtype, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def _batch_shape(self):
        return self.logits.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.shape(self.logits)[:-1]

    def _event_shape(self):
        return tf.TensorShape([len(self.locs)])

    def _event_shape_tensor(self):
        return tf.constant([len(self.locs)], tf.int32)

    def channel(self, place, before):
        """The logistics [..., K] of a channel, given the values [..., 1] or [..., K] of those before it."""
        pairs = zip(self.slopes[place], before, strict=True)
        loc = self.locs[place] + sum(slope * (value - 0.5) for slope, value in pairs)
        return DiscretizedLogistic(loc, self.scales[place])

    def _log_prob(self, value):
        values = [value[..., place, None] for place in range(len(self.locs))]
        each = [self.channel(place, values[:place]).log_prob(values[place]) for place in range(len(values))]
        return tf.reduce_logsumexp(tf.nn.log_softmax(self.logits) + sum(each), -1)

    def _sample_n(self, n, seed=None):
        seeds = tf.unstack(tfp.random.split_seed(seed, n=len(self.locs) + 1))
        chosen = tfd.OneHotCategorical(logits=self.logits, dtype=self.dtype).sample(n, seed=seeds[0])
        values = []
        for place, draw_seed in enumerate(seeds[1:]):
            draws = self.channel(place, values).sample([] if values else n, seed=draw_seed)
            values.append(tf.reduce_sum(chosen * draws, -1, keepdims=True))
        return tf.concat(values, -1)

    def _mean(self):
        """The mean where no logistic leaves [0, 1]; a channel after the first stands at the means before it.

        Of one channel it is exact up to the rounding inside one level, whatever leaves the range.
        """
        means = []
        for place in range(len(self.locs)):
            means.append(self.channel(place, means).mean())
        weights = softmax(self.logits)
        return tf.concat([tf.reduce_sum(weights * mean, -1, keepdims=True) for mean in means], -1)
