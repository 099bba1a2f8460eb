"""Draws from the model."""

import numpy as np

from zoo.errors import check_positive
from zoo.pictures.canvas import grid
from zoo.registry import PICTURES


@PICTURES.register("samples", needs=["prior"])
def samples(subject, count=64, seed=0, mean=True, temperature=1.0):
    """A square of draws from p(x); with labels a column a class.

    Args:
        count: how many draws.
        seed: of the draws.
        mean: whether the mean of p(x | z) is shown in place of a draw of it.
        temperature: what the prior's standard deviation is multiplied with.
    """
    images, condition = drawn(subject, count, seed, mean, temperature)
    return grid(images, columns=subject.label("sample")[1] or None)


def drawn(subject, count, seed, mean, temperature=1.0):
    """(images [count, H, W, C], their labels by name where these steer them: each class in turn)."""
    check_positive(count=count)
    label, classes = subject.label("sample")
    condition = {label: np.arange(count) % classes} if classes else {}
    tempered = {} if temperature == 1 else {"temperature": temperature}
    return subject.image(subject.model.sample(count, seed=seed, mean=mean, **tempered, **condition)), condition
