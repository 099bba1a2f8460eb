"""A coupling flow as the prior."""

import tensorflow as tf

from zoo.distributions import FlowDistribution
from zoo.errors import check_positive, check_widths
from zoo.networks.conditioners import affine_couplings
from zoo.priors.base import Prior, StandardNormal
from zoo.registry import PRIORS


@PRIORS.register("flow")
class CouplingFlow(StandardNormal):
    """N(0, I) pushed through affine coupling layers, N(0, I) at the start. Dinh et al. 2017, arXiv:1605.08803.

    Args:
        num_layers: how many coupling layers there are.
        hidden_units: widths of each layer's network.
        max_log_scale: the log scale of a layer stays below this in size, softly.
    """

    def __init__(self, latent_dim, num_layers=8, hidden_units=(128, 128), max_log_scale=2.0):
        super().__init__(latent_dim)
        check_positive(num_layers=num_layers)
        check_widths(1, hidden_units=hidden_units)
        self.couplings = affine_couplings(latent_dim, num_layers, hidden_units, max_log_scale)
        self.biases = [self.add_weight(shape=(hidden_units[0],), initializer="zeros") for _ in range(num_layers)]

    def distribution(self):
        layers = [c.bijector(tf.convert_to_tensor(b)) for c, b in zip(self.couplings, self.biases, strict=True)]
        return FlowDistribution(super().distribution(), layers)

    def draw(self, seeds):
        return self.distribution().push(super().draw(seeds))[0]

    tempered = Prior.tempered

    def quantiles(self, probabilities):
        return self.distribution().push(super().quantiles(probabilities))[0]
