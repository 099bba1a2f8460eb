"""Priors p(z); importing this package registers them."""

from zoo.priors import flow, mixture  # noqa: F401
from zoo.priors.base import Prior

__all__ = ["Prior"]
