"""What training maximises, apart from any model: the trace, bounds and penalties."""

from zoo.objectives import bounds  # noqa: F401  (registers them)
