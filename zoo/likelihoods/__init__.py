"""Likelihoods p(x | z): layers from the decoder's output to a distribution; importing this package registers them."""

from zoo.likelihoods import bernoulli, normal, pixels  # noqa: F401
