"""Inverse autoregressive flow posteriors."""

from zoo import bijectors
from zoo.networks.conditioners import MADE
from zoo.posteriors.flow import NetworkFlowHead
from zoo.registry import POSTERIORS


@POSTERIORS.register("iaf")
class InverseAutoregressiveFlow(NetworkFlowHead):
    """Inverse autoregressive layers with MADE networks, the units' order turned round from layer to layer.

    Kingma et al. 2016, arXiv:1606.04934.
    """

    def __init__(self, latent_dim, num_layers=4, amortized=True, hidden_units=(256,)):
        super().__init__(latent_dim, num_layers, amortized, hidden_units)
        self.networks = [MADE(latent_dim, hidden_units, descending=i % 2 == 1) for i in range(num_layers)]

    def layer(self, index, part):
        network = self.networks[index]
        return bijectors.InverseAutoregressive(lambda x: network(x, part), validate_args=False)
