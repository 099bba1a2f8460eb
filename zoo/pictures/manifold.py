"""The plane of a latent of two units."""

import numpy as np

from zoo.errors import InvalidInput, check_positive
from zoo.pictures.canvas import grid
from zoo.registry import PICTURES


@PICTURES.register("manifold", needs=["plane", "prior"], instead="vae_mnist_2d has one")
def manifold(subject, count=20):
    """Decoded points of a two-dimensional latent plane: a grid that is even in probability.

    Args:
        count: how many points a side.
    """
    if subject.label("decode")[1]:
        raise InvalidInput("the plane of a model with labels differs between them: take styles")
    return grid(subject.image(subject.model.decode(plane(subject.model, count))), columns=count, gap=0)


def plane(model, count):
    """[count^2, D = 2]: a grid over the latent, evenly spaced in the prior's probability, row by row."""
    check_positive(count=count)
    places = ((np.arange(count) + 0.5) / count).astype("float32")
    across, down = np.meshgrid(places, places[::-1])
    return model.plane(np.stack([across.ravel(), down.ravel()], 1))
