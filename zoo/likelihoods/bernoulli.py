"""Binary values."""

import tensorflow as tf

from zoo.distributions import BernoulliLogits, IndependentBernoulli
from zoo.likelihoods.base import LikelihoodHead
from zoo.registry import LIKELIHOODS


@LIKELIHOODS.register("bernoulli")
class Bernoulli(LikelihoodHead):
    """x in {0, 1}, on logits."""

    independent = IndependentBernoulli

    def distribution(self, logits):
        return BernoulliLogits(logits)

    def initial_bias(self, mean):
        clipped = tf.clip_by_value(mean, 1e-3, 1 - 1e-3)
        return tf.math.log(clipped) - tf.math.log1p(-clipped)
