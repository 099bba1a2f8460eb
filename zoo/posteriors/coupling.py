"""Coupling flow posteriors: affine and spline."""

from zoo.bijectors.coupling import halves
from zoo.networks.conditioners import SplineCoupling, affine_couplings
from zoo.posteriors.flow import NetworkFlowHead
from zoo.registry import POSTERIORS


@POSTERIORS.register("coupling")
class AffineCouplingFlow(NetworkFlowHead):
    """Affine coupling layers, RealNVP. Dinh et al. 2017, arXiv:1605.08803.

    Args:
        max_log_scale: the log scale of a layer stays below this in size, softly.
    """

    def __init__(self, latent_dim, num_layers=6, amortized=True, hidden_units=(128,), max_log_scale=2.0):
        super().__init__(latent_dim, num_layers, amortized, hidden_units)
        self.couplings = affine_couplings(latent_dim, num_layers, hidden_units, max_log_scale)

    def layer(self, index, part):
        return self.couplings[index].bijector(part)


@POSTERIORS.register("spline")
class SplineCouplingFlow(NetworkFlowHead):
    """Rational-quadratic spline coupling layers. Durkan et al. 2019, arXiv:1906.04032.

    Args:
        num_bins: how many pieces each spline has.
        limit: the splines act between -limit and limit; beyond is the identity.
    """

    def __init__(self, latent_dim, num_layers=4, amortized=True, hidden_units=(128,), num_bins=8, limit=5.0):
        super().__init__(latent_dim, num_layers, amortized, hidden_units)
        self.couplings = [
            SplineCoupling(halves(latent_dim, i), latent_dim, hidden_units, num_bins, limit) for i in range(num_layers)
        ]

    def layer(self, index, part):
        return self.couplings[index].bijector(part)
