"""Coupling layers: some units pass, and decide how the others are moved. Dinh et al. 2017, arXiv:1605.08803."""

import numpy as np
import tensorflow as tf

from zoo.bijectors.base import Flow
from zoo.errors import InvalidInput


class Affine(Flow):
    """y = x exp(log_scale) + shift, each [..., D]."""

    def __init__(self, log_scale, shift, validate_args=True, name="Affine"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        self.log_scale, self.shift = log_scale, shift

    def push(self, x):
        return x * tf.exp(self.log_scale) + self.shift, tf.reduce_sum(self.log_scale, -1)

    def pull(self, y):
        return (y - self.shift) * tf.exp(-self.log_scale), -tf.reduce_sum(self.log_scale, -1)


class Coupling(Flow):
    """x[kept] stays, the rest goes through the bijector that `conditioner(x[kept])` is; every unit keeps its place.

    Units are picked and put back by products with constant 0/1 matrices, which are exact, and which LiteRT's GPU path
    takes where it takes no gather.

    Args:
        kept: the units that stay, some but not all of 0..D-1.
        conditioner: [..., len(kept)] -> a `Flow` of [..., D - len(kept)].
        size: D.
    """

    def __init__(self, kept, conditioner, size, validate_args=True, name="Coupling"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        kept = sorted(kept)
        if not 0 < len(kept) < size or len(set(kept)) < len(kept) or not set(kept) <= set(range(size)):
            raise InvalidInput(f"{name}: keeps some of the units 0..{size - 1}, not none and not all; got {kept}")
        self.kept, self.moved = np.eye(size)[:, kept], np.eye(size)[:, np.setdiff1d(np.arange(size), kept)]
        self.conditioner = conditioner

    def apply(self, x, direction):
        """`direction` is "push" or "pull"."""
        stay = pick(x, self.kept)
        move, log_det = getattr(self.conditioner(stay), direction)(pick(x, self.moved))
        return pick(stay, self.kept.T) + pick(move, self.moved.T), log_det

    def push(self, x):
        return self.apply(x, "push")

    def pull(self, y):
        return self.apply(y, "pull")


def pick(x, matrix):
    """x [..., D] matrix [D, M], a constant."""
    return tf.tensordot(x, tf.constant(matrix, x.dtype), 1)


def halves(size, index):
    """The units that the coupling layer number `index` keeps: half of `size`, the other half in the next layer.

    The first two layers halve the units in their order, each further pair at random, always the same.
    """
    if size < 2:
        raise InvalidInput(f"coupling layers divide the latent units in two: latent_dim must be at least 2, got {size}")
    order = np.arange(size) if index < 2 else np.random.RandomState(index // 2).permutation(size)
    half = size // 2
    return [int(unit) for unit in (order[:half] if index % 2 == 0 else order[half:])]
