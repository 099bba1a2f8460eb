"""A posterior that is one point."""

from zoo.posteriors.base import PosteriorHead
from zoo.probability import tfp
from zoo.registry import POSTERIORS


@POSTERIORS.register("point")
class Point(PosteriorHead):
    """All mass on one point: the code of an autoencoder. Its log density is 0 there, and not comparable to others."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, latent_dim)

    def distribution(self, loc, raw_scale):
        return tfp.distributions.Independent(tfp.distributions.Deterministic(loc), 1)
