"""A deep hierarchy of residual blocks, as deep as one likes, whose posterior goes down along with the generative model.

    h_L = a trained map,  h_l-1 = up(h_l + G_l z_l + T_l(h_l + G_l z_l))    G_l a 1x1 convolution, T_l a bottleneck
    p(z_l | z_>l) = N(loc_l, scale_l^2)(h_l)                                z_l [h, w, C], a map at its resolution
    p(x | z) = likelihood(convolution(h_0))
    activations: a_r = residual network(x), pooled by 2 from each resolution to the next
    q(z_l | z_>l, x) = N(loc'_l, scale'_l^2)(h_l, a_r)

Child 2021, arXiv:2011.10650; Vahdat & Kautz 2020, arXiv:2007.03898. In the first the prior's block adds
features to the state too, and each resolution has a trained offset; here neither.
"""

import math

import keras
import tensorflow as tf

from zoo.distributions import independent_normal
from zoo.errors import InvalidInput, check_positive
from zoo.models.hierarchy import Hierarchy
from zoo.networks.convolutional import halvings, over_rows
from zoo.networks.mlp import Chain
from zoo.networks.residual import Bottleneck, BottomUp, TopDown, kernel_at
from zoo.numerics import cut, soft_scale
from zoo.randomness import seeded
from zoo.registry import register

LEAST_SCALE = 1e-4
UNIT = math.log(math.expm1(1 - LEAST_SCALE)) + LEAST_SCALE  # whose soft scale is 1
LARGEST_TOP = 32  # pixels a side of the coarsest maps


@register("deep_vae", "convolutional top-down hierarchy of any depth, for images", "Child 2021; Vahdat & Kautz 2020")
@keras.saving.register_keras_serializable("zoo")
class DeepVAE(Hierarchy):
    """A deep top-down hierarchy of latents z1 (beside x) to zL (the top), each a map [h, w, latent_channels].

    A unit in `kl_per_unit` is a channel of a latent: its KL is summed over the map.

    Args:
        data_shape: (height, width, channels).
        num_blocks: stochastic levels at each resolution, from the image's down to the coarsest, each half of the one
            before, rounded up; (2, 4, 1) is 2 levels at 28x28, 4 at 14x14 and 1 at 7x7. The bottom-up network has half
            as many blocks. Only the last must not be 0.
        width: channels of the networks; bottlenecks have a quarter.
        latent_channels: how many channels each latent has.
        likelihood: any that has numbers for each pixel.
        rematerialize: forget what is inside of a block and compute it once more for the gradient, which takes less
            memory and more time. Chen et al. 2016, arXiv:1604.06174.
        **kwargs: `bound`, `num_samples`, `beta`, `penalties`, `binarize`, `masked`, `seed`: see `LatentVariableModel`.

    Raises:
        InvalidInput: no image, or one that is too small or too large for so many resolutions.
    """

    def __init__(
        self,
        data_shape=(28, 28, 1),
        num_blocks=(2, 2, 2),
        width=64,
        latent_channels=8,
        likelihood="bernoulli",
        rematerialize=False,
        **kwargs,
    ):
        check_positive(data_shape=tuple(data_shape), width=width, latent_channels=latent_channels)
        if width % 4:
            raise InvalidInput(f"width must be a multiple of 4, for bottlenecks have a quarter of it, got {width}")
        self.sizes = resolutions(tuple(data_shape), num_blocks)
        self.num_blocks = tuple(num_blocks)
        self.width, self.latent_channels, self.rematerialize = width, latent_channels, rematerialize
        super().__init__(**kwargs)
        with seeded(self.seed):
            self.make_likelihood(data_shape, likelihood)
            *size, filters = self.likelihood_head.decoder_shape
            if tuple(size) != self.sizes[0]:
                raise InvalidInput(f"a deep_vae needs a likelihood of pixels, not {likelihood!r}")
            self.encoder = BottomUp(self.sizes, [(count + 1) // 2 for count in self.num_blocks], width)
            self.decoder = TopDown(self.sizes, self.num_blocks, width, latent_channels, filters)
        with seeded(self.seed + 1):
            kernels = [kernel_at(self.sizes[place]) for place in self.decoder.places]
            heads = [Bottleneck(2 * latent_channels, width // 4, kernel, self.levels) for kernel in kernels]
            for head in heads:
                head.build((None, None, None, 2 * width))  # of the state and the activations beside it
            self.posterior_head = Chain(heads, name="posterior")

    @classmethod
    def examples(cls):
        sizes = {"data_shape": (4, 4, 1), "num_blocks": (1, 1), "width": 8, "latent_channels": 2, "seed": 1}
        colours = {"data_shape": (7, 5, 3), "num_blocks": (0, 2, 1), "likelihood": "discretized_logistic_mixture"}
        return {"two levels": sizes, "odd colours, rematerialised": {**sizes, **colours, "rematerialize": True}}

    @property
    def latent_shapes(self):
        places = [place for place, count in enumerate(self.num_blocks) for _ in range(count)]
        return [(*self.sizes[place], self.latent_channels) for place in places]

    # The generative story

    def start(self, lead):
        return self.decoder.start(lead)

    def prior_of(self, level, code, lead):
        return self.gaussian(self.decoder.priors[level], code)

    def descend(self, level, code, z):
        return over_rows(self.again(lambda *both: self.decoder.descend(level, *both)), code, z)

    def posterior_pick(self, x, take):
        found = self.encoder(x, again=self.again)

        def pick(level, prior, code):
            head = self.posterior_head.layers[level]
            told = self.again(head.hear)(found[self.decoder.places[level]])
            q = self.gaussian(head, code, spread_like(told, code))
            return take(level, q), q

        return pick

    def gaussian(self, network, *codes):
        """The diagonal Gaussian over [h, w, C] that a network makes of codes; N(0, I) where it gives zeros."""

        def parameters(*codes):
            loc, raw_scale = cut(tf.cast(network(*codes), tf.float32), self.latent_channels, self.latent_channels)
            return loc, soft_scale(raw_scale + UNIT, LEAST_SCALE)

        return independent_normal(*over_rows(self.again(parameters), *codes), event_rank=3)

    def again(self, function):
        """A function whose insides are not kept for the gradient, where the model rematerialises."""
        return tf.recompute_grad(function) if self.rematerialize else function

    def kl_of(self, level, z, q, prior):
        return tf.reduce_sum(super().kl_of(level, z, q, prior), (1, 2))

    # The contract

    def decoded(self, code):
        return self.likelihood_head(over_rows(self.decoder.output, code))

    def explained(self, code):
        return {self.fields_of("data")[0]: self.decoded(code)}

    def likelihood(self, z):
        raise InvalidInput("in a deep_vae x depends on the latents of all levels: use decode")


def resolutions(data_shape, num_blocks):
    """(height, width) of each resolution.

    Raises:
        InvalidInput: see `DeepVAE`.
    """
    whole = isinstance(num_blocks, (list, tuple)) and all(type(count) is int and count >= 0 for count in num_blocks)
    if not whole or not num_blocks or not num_blocks[-1]:
        raise InvalidInput(f"num_blocks is a list of whole numbers, the last of them not 0, got {num_blocks!r}")
    sizes = halvings(data_shape, [1] * (len(num_blocks) - 1))
    if max(sizes[-1]) > LARGEST_TOP:
        more = math.ceil(math.log2(max(sizes[-1]) / LARGEST_TOP))
        raise InvalidInput(
            f"images {data_shape} are larger than num_blocks={tuple(num_blocks)} is for: the coarsest maps would be "
            f"{sizes[-1]}, and {LARGEST_TOP} pixels a side are the most; give it {more} more numbers"
        )
    return sizes


def spread_like(maps, code):
    """Maps [B, h, w, F] for each of the draws that a code [..., B, h, w, C] has."""
    if code.shape.rank == 4:
        return maps
    shape = tf.concat([tf.shape(code)[:-1], maps.shape[-1:]], 0)
    return tf.reshape(maps, shape) if code.shape[0] == 1 else tf.broadcast_to(maps, shape)
