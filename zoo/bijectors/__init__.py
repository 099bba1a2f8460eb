"""Bijectors that TFP lacks, or has in a form that neither XLA nor LiteRT takes."""

from zoo.bijectors.autoregressive import InverseAutoregressive
from zoo.bijectors.base import Flow
from zoo.bijectors.coupling import Affine, Coupling
from zoo.bijectors.householder import Householder, householder_columns
from zoo.bijectors.leapfrog import leapfrog
from zoo.bijectors.planar import Planar
from zoo.bijectors.radial import Radial
from zoo.bijectors.spline import Spline
from zoo.bijectors.sylvester import Sylvester, orthonormal_columns

__all__ = [
    "Affine",
    "Coupling",
    "Flow",
    "Householder",
    "InverseAutoregressive",
    "Planar",
    "Radial",
    "Spline",
    "Sylvester",
    "householder_columns",
    "leapfrog",
    "orthonormal_columns",
]
