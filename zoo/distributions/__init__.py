"""Distributions that TFP lacks."""

from zoo.distributions.bernoulli import BernoulliLogits
from zoo.distributions.pixels import DiscretizedLogistic, PixelCategorical

__all__ = ["BernoulliLogits", "DiscretizedLogistic", "PixelCategorical"]
