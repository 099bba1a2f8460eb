"""Distributions that TFP lacks."""

from zoo.distributions.bernoulli import BernoulliLogits
from zoo.distributions.pixels import DiscretizedLogistic, PixelCategorical, softplus

__all__ = ["BernoulliLogits", "DiscretizedLogistic", "PixelCategorical", "softplus"]
