"""Priors p(z); importing this package registers them."""

from zoo.priors import base, flow, mixture  # noqa: F401
