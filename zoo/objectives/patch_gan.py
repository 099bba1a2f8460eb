"""An adversary that tells patches of pictures from patches of their reconstructions, so that these get sharp.

    d(x) [h, w]                                        a logit for each patch: at best log p(patch) / r(patch)
    the model pays       - E mean d(x'), for each value of x            x' = the mean of p(x | z), z ~ q(z | x)
    the adversary pays   1/2 E mean [softplus(-d(x)) + softplus(d(x'))]

p and r are the densities of patches of pictures and of reconstructions: the model pays an estimate of KL(r || p).
Patches: Isola et al. 2017, arXiv:1611.07004; beside a bound: Larsen et al. 2016, arXiv:1512.09300; Esser et al. 2021,
arXiv:2012.09841. In the last the weight follows a ratio of gradients, here it is `weight`, which a schedule may raise.
"""

import math

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_widths
from zoo.networks.convolutional import halvings, over_rows
from zoo.networks.mlp import Chain
from zoo.numerics import leaky_relu, softplus
from zoo.objectives.adversaries import Adversary
from zoo.registry import PENALTIES
from zoo.replicas import mean


@PENALTIES.register("patch_gan")
class PatchGAN(Adversary):
    """How real the patches of reconstructions look to a convolutional discriminator, times the number of values of x.

    Args:
        weight: what the penalty is multiplied with beside the bound.
        filters: channels of its stages, a 4x4 convolution of stride 2 and a leaky ReLU each; a last 3x3 convolution
            gives the logits.
        learning_rate, clipnorm: of the adversary's own optimiser.

    Raises:
        InvalidInput: data that are no images, or too small for so many stages.
    """

    registry_name = "patch_gan"

    def __init__(self, weight=1.0, filters=(32, 64), learning_rate=1e-4, clipnorm=None, **kwargs):
        super().__init__(weight, learning_rate, clipnorm, **kwargs)
        check_widths(filters=filters)
        self.filters = filters
        stages = [keras.layers.Conv2D(f, 4, strides=2, padding="same", activation=leaky_relu) for f in filters]
        self.discriminator = Chain([*stages, keras.layers.Conv2D(1, 3, padding="same")], name="discriminator")

    def value(self, p, model):
        field = model.fields_of("data")[0]
        shape = model.data_spec[field].shape
        halvings(shape, self.filters)
        if model.masked:
            raise InvalidInput("penalty 'patch_gan' compares whole pictures: leave out masked")
        return -math.prod(shape) * self.expect(self.logits(reconstruction(p, field)), p)

    def cost(self, p, model):
        field = model.fields_of("data")[0]
        real, made = self.logits(p.inputs[field]), self.logits(tf.stop_gradient(reconstruction(p, field)))
        return 0.5 * mean(tf.reduce_mean(softplus(-real), (1, 2)) + self.expect(softplus(made), p))

    def logits(self, x):
        """d(x) [..., h, w] of pictures [..., H, W, channels]."""
        return tf.cast(over_rows(self.discriminator, x)[..., 0], tf.float32)

    def expect(self, values, p):
        """[B]: the mean over patches of values [C, B, h, w], expected over the values of an enumerated latent."""
        return tf.reduce_sum(tf.exp(tf.stop_gradient(p.trace.log_mass[0])) * tf.reduce_mean(values, (2, 3)), 0)


def reconstruction(p, field):
    """[C, B, H, W, channels]: the mean of p(x | z) for the first draw of z."""
    return p.likelihood[field].mean()[0]
