"""Disentangled inferred priors: the covariance of the code over all data is drawn to that of N(0, I).

    dip_1: Cov of E[z | x]                       dip_2: Cov of z = Cov of E[z | x] + mean of Var[z | x]
    paid:  sum over i != j of Cov_ij^2  +  diagonal * sum over i of (Cov_ii - 1)^2

Kumar, Sattigeri & Balakrishnan 2018, arXiv:1711.00848; `weight` is lambda_od and weight * diagonal lambda_d there.
"""

import tensorflow as tf

from zoo.distributions import scale
from zoo.errors import InvalidInput
from zoo.objectives.penalties import Penalty, by_value, covariance, locations_by_latent
from zoo.registry import PENALTIES
from zoo.replicas import gathered


class DIP(Penalty):
    """The squared distance of a covariance from the identity; latents of a hierarchy are summed over."""

    unit, needs = "squared covariance", ("prior",)

    def __init__(self, weight, diagonal, **kwargs):
        super().__init__(weight, **kwargs)
        if not diagonal >= 0:
            raise InvalidInput(f"{self.registry_name}: diagonal is a number from 0, got {diagonal!r}")
        self.diagonal = diagonal

    def value(self, p, model):
        total = 0.0
        for name, (loc, mass) in locations_by_latent(p, model).items():
            loc, mass = gathered(loc, 1), gathered(mass, 1)
            found = covariance(loc, mass) + self.within(name, p, mass)
            own = tf.linalg.diag_part(found)
            total += tf.reduce_sum(tf.square(found)) - tf.reduce_sum(tf.square(own))
            total += self.diagonal * tf.reduce_sum(tf.square(own - 1))
        return total

    def within(self, name, p, mass):
        """What is added to the covariance of the locations."""
        return 0.0


@PENALTIES.register("dip_1")
class DIP1(DIP):
    """The covariance of the posteriors' locations over the batch, as far as it is not the identity.

    Args:
        weight: what the penalty is multiplied with beside the bound: lambda_od in the paper.
        diagonal: how much a variance that is not 1 counts beside a covariance.
    """

    registry_name = "dip_1"

    def __init__(self, weight=1.0, diagonal=10.0, **kwargs):
        super().__init__(weight, diagonal, **kwargs)


@PENALTIES.register("dip_2")
class DIP2(DIP):
    """The covariance of the codes over the batch, the posteriors' variances included, as far as it is not the identity.

    Args:
        weight: what the penalty is multiplied with beside the bound: lambda_od in the paper.
        diagonal: how much a variance that is not 1 counts beside a covariance.
    """

    registry_name = "dip_2"

    def __init__(self, weight=1.0, diagonal=1.0, **kwargs):
        super().__init__(weight, diagonal, **kwargs)

    def within(self, name, p, mass):
        variance = tf.square(gathered(by_value(scale(p.posterior[name]), name, p)[0], 1))
        return tf.linalg.diag(tf.einsum("cb,cbd->d", mass / tf.reduce_sum(mass), variance))
