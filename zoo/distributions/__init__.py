"""Distributions that TFP lacks."""

from zoo.distributions.bernoulli import BernoulliLogits, IndependentBernoulli
from zoo.distributions.flow import FlowDistribution, FlowPosterior, location, scale
from zoo.distributions.hamiltonian import Cycle, HamiltonianPosterior
from zoo.distributions.label import Label
from zoo.distributions.mixture import Mixture
from zoo.distributions.normal import NormalRankOnePrecision, NormalTriL, independent_normal
from zoo.distributions.pixel_mixture import LogisticMixture
from zoo.distributions.pixels import DiscretizedLogistic, PixelCategorical

__all__ = [
    "BernoulliLogits",
    "Cycle",
    "DiscretizedLogistic",
    "FlowDistribution",
    "FlowPosterior",
    "HamiltonianPosterior",
    "IndependentBernoulli",
    "Label",
    "LogisticMixture",
    "Mixture",
    "NormalRankOnePrecision",
    "NormalTriL",
    "PixelCategorical",
    "independent_normal",
    "location",
    "scale",
]
