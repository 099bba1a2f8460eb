"""Planar flow posteriors."""

import math

import tensorflow as tf

from zoo import bijectors
from zoo.bijectors.planar import correct
from zoo.networks.conditioners import UNIT
from zoo.numerics import cut
from zoo.posteriors.flow import FlowHead, last
from zoo.registry import POSTERIORS


@POSTERIORS.register("planar")
class PlanarFlow(FlowHead):
    """Planar layers. Rezende & Mohamed 2015, arXiv:1505.05770.

    The layer's u is the given one plus ln(e - 1) w / |w|^2, at which the paper's correction makes u' = 0: its own u = 0
    is not the identity.
    """

    def __init__(self, latent_dim, num_layers=10, amortized=True):
        super().__init__(latent_dim, num_layers, amortized, 2 * latent_dim + 1)

    def start(self, draws, index):
        start = super().start(draws, index)
        start[self.latent_dim : -1] = draws.normal(size=self.latent_dim) / math.sqrt(self.latent_dim)
        return start

    def flow(self, rows):
        """All layers' corrections are made at once, which compiles faster."""
        layers, lead = self.num_layers, [-1] if rows.shape.rank > 1 else []

        def apart(values):
            """[..., L, M] -> L tensors [..., M]."""
            size = values.shape[-1]
            return cut(tf.reshape(values, [*lead, layers * size]), *[size] * layers)

        u, w, b = cut(tf.reshape(rows, [*lead, layers, self.size]), self.latent_dim, self.latent_dim, 1)
        u = u + UNIT * w / tf.reduce_sum(tf.square(w), -1, keepdims=True)
        moved, volume = correct(u, w)
        pieces = zip(*map(apart, (u, w, b, moved, volume[..., None])), strict=True)
        return [
            bijectors.Planar(u, w, last(b), corrected=(moved, last(volume)), validate_args=False)
            for u, w, b, moved, volume in pieces
        ]
