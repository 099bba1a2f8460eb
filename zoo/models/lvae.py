"""The ladder VAE: the posterior of each level corrects what the generative model expects there.

    p(z_L) = N(0, I),  p(z_l | z_l+1) = N(loc_l, scale_l^2)(z_l+1),  p(x | z_1) = likelihood(decoder(z_1))
    evidence: d_1 = encoder(x), d_l = perceptron(d_l-1), N(loc'_l, scale'_l^2)(d_l)
    q(z_L | x) = the evidence,  q(z_l | z_l+1, x) = the evidence and p(z_l | z_l+1), weighted by their precisions

With one level it is the VAE. Sonderby et al. 2016, arXiv:1602.02282; there batch normalisation stands in the heads too,
here in the hidden layers alone.
"""

import keras
import tensorflow as tf

from zoo.distributions import independent_normal
from zoo.models.hierarchical_vae import HierarchicalVAE
from zoo.models.hierarchy import Hierarchy
from zoo.networks.mlp import Chain
from zoo.posteriors.gaussian import DiagonalGaussian
from zoo.probability import tfp
from zoo.registry import register

tfd = tfp.distributions


class BottomUpFeatures(HierarchicalVAE):
    """A hierarchy whose posterior sees x at every level through deterministic features, not the levels below."""

    def make_upward(self):
        self.heads = [self.make_head(size) for size in self.latent_dims[1:]]
        return [Chain(self.between_levels(i), name=f"upward_{i}") for i in range(self.levels - 1)]

    def make_head(self, latent_dim):
        """The layer from the features of a level above z1 to a distribution."""
        return DiagonalGaussian(latent_dim)

    @property
    def inference_layers(self):
        return [*super().inference_layers, *self.heads]

    def evidence(self, x):
        """What x alone says of each level: distributions over [B, D]."""
        features = self.encoder(x)
        found = [self.posterior_head(features)]
        for layer, head in zip(self.upward, self.heads, strict=True):
            features = layer(features)
            found.append(head(features))
        return found

    kl_of = Hierarchy.kl_of  # every level is given those above it


@register(
    "lvae",
    "ladder: the posterior corrects the generative model's expectation at each level",
    "Sønderby et al. 2016",
)
@keras.saving.register_keras_serializable("zoo")
class LVAE(BottomUpFeatures):
    """A ladder VAE; arguments as `HierarchicalVAE`."""

    @property
    def inference_layers(self):
        return []

    def posterior_pick(self, x, take):
        evidence = self.evidence(x)

        def pick(level, prior, code):
            q = evidence[level] if level == self.levels - 1 else precision_weighted(evidence[level], prior)
            return take(level, q), q

        return pick


def precision_weighted(first, second):
    """The normalised product of two diagonal Gaussians."""
    a, b = first.distribution, second.distribution
    va, vb = tf.square(a.scale), tf.square(b.scale)
    total = va + vb
    return independent_normal((a.loc * vb + b.loc * va) / total, tf.sqrt(va * vb / total))
