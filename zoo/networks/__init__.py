"""Networks: tensors in, tensors out; importing this package registers them."""

from zoo.networks import convolutional, mlp, pooled  # noqa: F401
