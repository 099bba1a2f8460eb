"""A VAE of several stochastic levels with a bottom-up posterior.

    p(z_L) = N(0, I)                                 the top level
    p(z_l | z_l+1) = N(loc_l(z_l+1), scale_l(z_l+1)^2)
    p(x | z_1) = likelihood(decoder(z_1))
    q(z_1 | x) = posterior(encoder(x)),  q(z_l | z_l-1) = N(loc'_l(z_l-1), scale'_l(z_l-1)^2)

Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082; Burda et al. 2016, arXiv:1509.00519 (two levels);
Sonderby et al. 2016, arXiv:1602.02282, whose plain VAE it is.
"""

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_widths
from zoo.models.hierarchy import Hierarchy, standard_normal
from zoo.networks.mlp import dense_layers
from zoo.posteriors.conditional import ConditionalGaussian
from zoo.probability import tfp
from zoo.randomness import seeded
from zoo.registry import POSTERIORS, register

tfd = tfp.distributions


@register(
    "hierarchical_vae",
    "several stochastic levels, bottom-up posterior",
    "Rezende et al. 2014; Burda et al. 2016",
)
@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(Hierarchy):
    """A hierarchy of latents z1 (beside x) to zL (the top).

    Args:
        data_shape, encoder, decoder, likelihood: as `VAE`; encoder and decoder stand between x and z1.
        latent_dims: D of each level, from z1 up.
        hidden_units: widths of the perceptrons between each level and the next, from the lowest up, one entry (a number
            or several) fewer than levels. Activation, normalisation and gates are those of the encoder's dict.
        **kwargs: `bound`, `num_samples`, `beta`, `penalties`, `binarize`, `masked`, `seed`: see `LatentVariableModel`.

    Raises:
        InvalidInput: lengths that do not fit each other.
    """

    posterior_name = "diagonal"

    def __init__(
        self,
        data_shape=(28, 28, 1),
        latent_dims=(32, 16),
        hidden_units=(128,),
        encoder="mlp",
        decoder=None,
        likelihood="bernoulli",
        **kwargs,
    ):
        check_widths(latent_dims=latent_dims)
        self.latent_dims = tuple(latent_dims)
        self.hidden_units = [list(w) if isinstance(w, (list, tuple)) else [w] for w in hidden_units]
        if not self.latent_dims or len(self.hidden_units) != len(self.latent_dims) - 1:
            raise InvalidInput(
                f"{len(self.latent_dims)} levels (latent_dims) need {max(0, len(self.latent_dims) - 1)} perceptrons "
                f"between them, got {len(self.hidden_units)} in hidden_units"
            )
        super().__init__(**kwargs)
        options = ("activation", "batch_norm", "gated")
        self.options = {k: encoder[k] for k in options if k in encoder} if isinstance(encoder, dict) else {}
        with seeded(self.seed):
            self.make_networks(data_shape, encoder, decoder, likelihood)
            self.posterior_head = POSTERIORS.create(self.posterior_name, latent_dim=self.latent_dims[0])
        with seeded(self.seed + 1):
            self.downward = self.make_downward()
            self.upward = self.make_upward()

    @classmethod
    def examples(cls):
        encoder = {"name": "mlp", "hidden_units": [8]}
        sizes = {"data_shape": (4, 4, 1), "encoder": encoder, "seed": 1}
        return {
            "two levels": {**sizes, "latent_dims": (3, 2), "hidden_units": (5,)},
            "three levels": {**sizes, "latent_dims": (4, 3, 2), "hidden_units": (5, [6, 4])},
        }

    def between_levels(self, level, reverse=False):
        """Hidden layers between a level and the next above it."""
        widths = self.hidden_units[level]
        return dense_layers(widths[::-1] if reverse else widths, **self.options)

    def make_downward(self):
        """Layers of the generative model above z1, by level."""
        return [ConditionalGaussian(d, self.between_levels(i, True)) for i, d in enumerate(self.latent_dims[:-1])]

    def make_upward(self):
        """Layers of the inference model above z1."""
        return [ConditionalGaussian(d, self.between_levels(i)) for i, d in enumerate(self.latent_dims[1:])]

    @property
    def latent_shapes(self):
        return [(size,) for size in self.latent_dims]

    @property
    def inference_layers(self):
        return [self.encoder, self.posterior_head, *self.upward]

    # The generative story

    def prior_of(self, level, code, lead):
        if level == self.levels - 1:
            return standard_normal(lead, self.latent_dims[level])
        return self.downward[level](code)

    def descend(self, level, code, z):
        return z

    def posterior_pick(self, x, take):
        q = self.posterior_head(self.encoder(x))
        chosen = [(take(0, q), q)]
        for level, layer in enumerate(self.upward, 1):
            q = layer(chosen[-1][0])
            chosen.append((take(level, q), q))
        return lambda level, prior, code: chosen[level]

    def kl_of(self, level, z, q, prior):
        """[B, D]: mean over the draws of log q - log p per unit; in closed form where it is an average over q."""
        q, prior, top = q.distribution, prior.distribution, level == self.levels - 1
        # Below the top the prior is conditioned on draws that came from this level's own.
        kl = tfd.kl_divergence(q, prior) if top else q.log_prob(z) - prior.log_prob(z)
        return tf.reduce_mean(kl, (0, 1))
