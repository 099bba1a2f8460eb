"""What training maximises, apart from any model: the trace, bounds, and penalties beside them."""

from zoo.objectives import (  # noqa: F401  (registers them)
    bounds,
    capacity,
    classification,
    dip,
    factor_tc,
    mmd,
    patch_gan,
    total_correlation,
)
