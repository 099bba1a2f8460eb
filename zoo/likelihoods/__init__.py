"""Likelihoods p(x | z): layers from the decoder's output to a distribution; importing this package registers them."""

from zoo.likelihoods import bernoulli, mixture, normal, pixels  # noqa: F401
