"""The deep latent Gaussian model: Gaussian noise z_l is injected at every deterministic layer.

    p(z_l) = N(0, I) at every level
    h_L = G_L z_L,  h_l = T_l(h_l+1) + G_l z_l         T_l a perceptron, G_l a matrix
    p(x | h_1) = likelihood(decoder(h_1))
    q(z | x) = prod_l N(loc_l(x), C_l(x))               C_l diagonal, or with a precision of diagonal plus rank one

Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082. There each level has a recognition network of its own; here they are
stacked on the encoder.
"""

import keras

from zoo.models.hierarchy import standard_normal
from zoo.models.lvae import BottomUpFeatures
from zoo.networks.mlp import Chain
from zoo.posteriors.conditional import fold, unfold
from zoo.registry import POSTERIORS, register


@register(
    "dlgm",
    "noise injected at every deterministic layer; rank-one-plus-diagonal precision",
    "Rezende et al. 2014",
)
@keras.saving.register_keras_serializable("zoo")
class DLGM(BottomUpFeatures):
    """A deep latent Gaussian model; arguments as `HierarchicalVAE`, and

    Args:
        covariance: "rank_one_precision" as in the paper, or "diagonal".
    """

    def __init__(self, covariance="rank_one_precision", **kwargs):
        self.posterior_name = covariance
        super().__init__(**kwargs)

    def make_head(self, latent_dim):
        return POSTERIORS.create(self.posterior_name, latent_dim=latent_dim)

    def make_downward(self):
        """[T_1, ..., T_L-1] and [G_1, ..., G_L]: everything that makes h_l has as many units as z_l."""
        self.inject = [keras.layers.Dense(size, use_bias=False, name="inject") for size in self.latent_dims]
        return [
            Chain([*self.between_levels(i, True), keras.layers.Dense(size)], name=f"downward_{i}")
            for i, size in enumerate(self.latent_dims[:-1])
        ]

    def prior_of(self, level, code, lead):
        return standard_normal(lead, self.latent_dims[level])

    def descend(self, level, code, z):
        noise = self.inject[level](fold(z))
        return unfold(noise if code is None else noise + self.downward[level](fold(code)), z)

    def posterior_pick(self, x, take):
        evidence = self.evidence(x)
        return lambda level, prior, code: (take(level, evidence[level]), evidence[level])
