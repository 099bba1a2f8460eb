"""Gaussian posteriors: diagonal, of full covariance, and with a precision of diagonal plus rank one."""

import numpy as np
import tensorflow as tf

from zoo.distributions import NormalRankOnePrecision, NormalTriL, independent_normal
from zoo.numerics import soft_scale
from zoo.posteriors.base import PosteriorHead
from zoo.registry import POSTERIORS


@POSTERIORS.register("diagonal")
class DiagonalGaussian(PosteriorHead):
    """q(z | x) = N(loc, diag(scale^2)); scale >= 1e-4."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, 2 * latent_dim)

    def distribution(self, loc, raw_scale):
        return independent_normal(loc, soft_scale(raw_scale, 1e-4))


@POSTERIORS.register("full_covariance")
class FullCovarianceGaussian(PosteriorHead):
    """q(z | x) = N(loc, L L^T), L lower triangular with a diagonal >= 1e-4."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, latent_dim + latent_dim * (latent_dim + 1) // 2)

    def distribution(self, loc, raw_scale):
        square, diagonal = lower_triangle(raw_scale, self.latent_dim), tf.eye(self.latent_dim)[None]
        return NormalTriL(loc, diagonal * soft_scale(square, 1e-4) + (1 - diagonal) * square)


@POSTERIORS.register("rank_one_precision")
class RankOnePrecisionGaussian(PosteriorHead):
    """q(z | x) = N(loc, C), C^-1 = diag(1 / scale^2) + u u^T; scale >= 1e-4. Rezende et al. 2014, arXiv:1401.4082."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, 3 * latent_dim)

    def distribution(self, loc, parameters):
        scale = soft_scale(parameters[:, : self.latent_dim], 1e-4)
        return NormalRankOnePrecision(loc, 1 / tf.square(scale), parameters[:, self.latent_dim :])


def lower_triangle(values, size):
    """[N, D(D+1)/2] -> [N, D, D], row by row, zero above the diagonal.

    In slices, for tfb.FillTriangular reverses an axis, which the LiteRT GPU path silently does wrong.
    """
    starts = [i * (i + 1) // 2 for i in range(size)]
    rows = tf.concat([values[:, start : start + size] for start in starts], -1)
    return tf.reshape(rows, [-1, size, size]) * np.tri(size, dtype="float32")[None]
