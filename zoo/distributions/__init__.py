"""Distributions that TFP lacks."""

from zoo.distributions.bernoulli import BernoulliLogits
from zoo.distributions.flow import FlowDistribution, FlowPosterior, location, scale
from zoo.distributions.hamiltonian import Cycle, HamiltonianPosterior
from zoo.distributions.label import Label
from zoo.distributions.mixture import Mixture
from zoo.distributions.normal import NormalRankOnePrecision, NormalTriL
from zoo.distributions.pixels import DiscretizedLogistic, PixelCategorical

__all__ = [
    "BernoulliLogits",
    "Cycle",
    "DiscretizedLogistic",
    "FlowDistribution",
    "FlowPosterior",
    "HamiltonianPosterior",
    "Label",
    "Mixture",
    "NormalRankOnePrecision",
    "NormalTriL",
    "PixelCategorical",
    "location",
    "scale",
]
