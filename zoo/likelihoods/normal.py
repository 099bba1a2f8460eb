"""Real values with Gaussian noise."""

import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.likelihoods.base import LikelihoodHead
from zoo.numerics import soft_scale
from zoo.probability import tfp
from zoo.registry import LIKELIHOODS

tfd = tfp.distributions


@LIKELIHOODS.register("normal")
class Normal(LikelihoodHead):
    """x in R with independent Gaussian noise.

    Args:
        scale: a number (fixed), "learned" (one trained number), or "per_pixel" (a second output of the decoder).
            Learned scales stay above 1/256, less than the grey step of 8-bit images.
    """

    minimum = maximum = None
    discrete = False

    def __init__(self, data_shape, scale=1.0):
        super().__init__(data_shape)
        fixed = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        if scale not in ("learned", "per_pixel") and not (fixed and scale > 0):
            raise InvalidInput(f"normal: scale is a positive number, 'learned' or 'per_pixel', got {scale!r}")
        self.scale = scale
        self.num_parameters = 2 if scale == "per_pixel" else 1

    def build(self, shape):
        if self.scale == "learned":
            self.raw_scale = self.add_weight(shape=(), initializer="zeros", name="raw_scale")

    def distribution(self, loc, raw_scale=None):
        if self.scale == "learned":
            raw_scale = tf.convert_to_tensor(self.raw_scale)
        scale = float(self.scale) if raw_scale is None else soft_scale(raw_scale, 1 / 256)
        return tfd.Normal(loc, scale)
