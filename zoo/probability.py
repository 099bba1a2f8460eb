"""TensorFlow Probability: the one place that imports it, so that a nightly or a vendored copy can take its place.

The zoo uses its distributions, bijectors, mcmc, math, random and util.
"""

import tensorflow_probability as tfp

__all__ = ["tfp"]
