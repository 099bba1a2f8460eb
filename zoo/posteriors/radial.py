"""Radial flow posteriors."""

import math

import tensorflow as tf

from zoo import bijectors
from zoo.numerics import cut, softplus
from zoo.posteriors.flow import FlowHead, last
from zoo.registry import POSTERIORS


@POSTERIORS.register("radial")
class RadialFlow(FlowHead):
    """Radial layers. Rezende & Mohamed 2015, arXiv:1505.05770.

    alpha = softplus(a) and beta = a + c for given numbers a and c, so that c = 0 is the identity; alpha starts at
    sqrt(D), about the distance at which the draws are.
    """

    def __init__(self, latent_dim, num_layers=10, amortized=True):
        super().__init__(latent_dim, num_layers, amortized, latent_dim + 2)

    def start(self, draws, index):
        start = super().start(draws, index)
        start[: self.latent_dim] = draws.normal(size=self.latent_dim)
        start[-2] = math.log(math.expm1(math.sqrt(self.latent_dim)))
        return start

    def layer(self, index, part):
        center, raw, change = cut(part, self.latent_dim, 1, 1)
        raw = tf.clip_by_value(raw, -15.0, 1e3)
        return bijectors.Radial(center, last(softplus(raw)), last(raw + change), validate_args=False)
