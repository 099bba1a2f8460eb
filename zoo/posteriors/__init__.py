"""Posteriors q(z | x): layers from features to a distribution over [D]; importing this package registers them."""

from zoo.posteriors import coupling, gaussian, householder, iaf, planar, point, radial, sylvester  # noqa: F401
