"""The KL autoencoder: a convolutional VAE whose latent is a map, with a small weight of the KL and an adversary.

    p(z) = N(0, I)                  z [h, w, C]
    p(x | z) = likelihood(decoder(z))
    q(z | x) = N(loc, scale^2)(encoder(x))
    minimised: -E_q log p(x | z) + beta KL(q(z | x) || p(z)) + adversary

The first stage of latent diffusion: pictures become small maps of few channels that keep what can be seen, and another
model is to learn their distribution, for N(0, I) is far from it. Rombach et al. 2022, arXiv:2112.10752; there the
distance of pictures is absolute and perceptual, which needs a network trained on photographs, and is left out here.
"""

import keras
import tensorflow as tf

from zoo import priors  # noqa: F401  (registers them)
from zoo.distributions import independent_normal
from zoo.errors import InvalidInput, check_positive
from zoo.models.one_latent import OneLatent
from zoo.networks.convolutional import decoder_of, downward, halvings, over_rows, upward
from zoo.networks.mlp import Chain
from zoo.numerics import cut, soft_scale
from zoo.randomness import seeded
from zoo.registry import PRIORS, register


@register(
    "kl_autoencoder",
    "pictures as small maps, sharp by an adversary, for latent diffusion",
    "Rombach et al. 2022",
    likelihood={"name": "normal", "scale": "learned"},
    beta=1e-6,
    penalties=["patch_gan"],
)
@keras.saving.register_keras_serializable("zoo")
class KLAutoencoder(OneLatent):
    """A convolutional VAE with one latent `z`, a map [h, w, latent_channels].

    A unit in `kl_per_unit` is a channel of the map: its KL is summed over the places.

    Args:
        data_shape: (height, width, channels).
        filters: channels of the networks at each stage; each halves the sides, rounded up: two of them make a map of a
            quarter of the picture's sides.
        num_blocks: residual blocks at each stage.
        latent_channels: C, the channels of the latent image.
        likelihood: any that has numbers for each pixel.
        **kwargs: `bound`, `num_samples`, `beta`, `penalties`, `binarize`, `masked`, `seed`: see `LatentVariableModel`;
            `penalties=[]` leaves the adversary out.

    Raises:
        InvalidInput: no image, one that is too small for so many stages, or a likelihood that is not of pixels.
    """

    def __init__(
        self,
        data_shape=(32, 32, 3),
        filters=(32, 64),
        num_blocks=1,
        latent_channels=4,
        likelihood="bernoulli",
        **kwargs,
    ):
        check_positive(data_shape=tuple(data_shape), latent_channels=latent_channels)
        sizes = halvings(tuple(data_shape), filters)
        super().__init__(**kwargs)
        self.latent_shape = (*sizes[-1], latent_channels)
        with seeded(self.seed):
            self.make_likelihood(data_shape, likelihood)
            *size, channels = self.likelihood_head.decoder_shape
            if tuple(size) != sizes[0]:
                raise InvalidInput(f"a kl_autoencoder needs a likelihood of pixels, not {likelihood!r}")
            self.encoder = Chain(downward(filters, "silu", num_blocks=num_blocks), name="encoder")
            widen = keras.layers.Conv2D(filters[-1], 3, padding="same", activation="silu")
            self.decoder = decoder_of([widen, *upward(sizes, filters, channels, "silu", num_blocks=num_blocks)])
            self.posterior_head = MapGaussian(latent_channels)
            self.prior_head = PRIORS.create("standard_normal", latent_dim=self.latent_shape)

    @classmethod
    def examples(cls):
        sizes = {"data_shape": (4, 4, 1), "filters": [4], "num_blocks": 1, "latent_channels": 2, "seed": 1}
        adversary = {"name": "patch_gan", "filters": [4], "learning_rate": 1e-3}
        return {
            "adversary": {**sizes, "likelihood": "bernoulli", "penalties": [adversary]},
            "odd colours": {**sizes, "data_shape": (7, 5, 3), "filters": [4, 4], "likelihood": "normal"},
        }

    def decoded(self, code):
        return self.likelihood_head(over_rows(self.decoder, code))


class MapGaussian(keras.layers.Layer):
    """Features [N, h, w, F] -> N(loc, scale^2) over [h, w, C], by one 3x3 convolution; scale >= 1e-4."""

    rows_apart = True

    def __init__(self, channels):
        super().__init__(name="posterior")
        self.channels = channels
        self.convolution = keras.layers.Conv2D(2 * channels, 3, padding="same")

    def build(self, shape):
        self.convolution.build(shape)

    def call(self, features):
        parameters = tf.cast(self.convolution(features), tf.float32)
        loc, raw_scale = cut(parameters, self.channels, self.channels)
        return independent_normal(loc, soft_scale(raw_scale, 1e-4), event_rank=3)
