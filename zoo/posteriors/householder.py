"""Householder flow posteriors."""

from zoo import bijectors
from zoo.errors import InvalidInput
from zoo.numerics import cut
from zoo.posteriors.flow import FlowHead
from zoo.registry import POSTERIORS


@POSTERIORS.register("householder")
class HouseholderFlow(FlowHead):
    """Householder reflections: a posterior with full covariance. Tomczak & Welling 2016, arXiv:1611.09630.

    Each vector is the one before plus given numbers (in the paper a dense layer makes it of the one before), so that
    zeros after the first undo the reflections in pairs: an even number of layers can be the identity.
    """

    def __init__(self, latent_dim, num_layers=8, amortized=True):
        if latent_dim < 2:
            raise InvalidInput(
                f"householder layers turn the latent space: latent_dim must be 2 or more, got {latent_dim}"
            )
        super().__init__(latent_dim, num_layers, amortized, latent_dim)

    def start(self, draws, index):
        return draws.normal(size=self.latent_dim) * (1.0 if index == 0 else 0.01)

    def flow(self, rows):
        parts = cut(rows, *[self.size] * self.num_layers)
        vectors = [sum(parts[1 : i + 1], parts[0]) for i in range(len(parts))]
        return [bijectors.Householder(v, validate_args=False) for v in vectors]
