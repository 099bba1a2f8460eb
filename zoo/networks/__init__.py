"""Networks: tensors in, tensors out; and heads, the layers that return distributions."""

from zoo.networks import convolutional, flows, heads, labelled, mlp, pooled, priors  # noqa: F401  (registers them)
