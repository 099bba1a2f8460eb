"""Distributions that TFP lacks."""

from zoo.distributions.bernoulli import BernoulliLogits
from zoo.distributions.normal import NormalRankOnePrecision, NormalTriL
from zoo.distributions.pixels import DiscretizedLogistic, PixelCategorical, softplus

__all__ = [
    "BernoulliLogits",
    "DiscretizedLogistic",
    "NormalRankOnePrecision",
    "NormalTriL",
    "PixelCategorical",
    "softplus",
]
