"""Draws from the model."""

import numpy as np

from zoo.errors import check_positive
from zoo.pictures.canvas import grid
from zoo.registry import PICTURES


@PICTURES.register("samples", needs=["prior"])
def samples(subject, count=64, seed=0, mean=True):
    """A square of draws from p(x); with labels a column a class."""
    check_positive(count=count)
    label, classes = subject.label("sample")
    condition = {label: np.arange(count) % classes} if classes else {}
    return grid(subject.image(subject.model.sample(count, seed=seed, mean=mean, **condition)), columns=classes or None)
