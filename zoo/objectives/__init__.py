"""What training maximises, apart from any model: the trace, bounds, and penalties beside them."""

from zoo.objectives import bounds, classification, factor_tc, mmd, patch_gan  # noqa: F401  (registers them)
