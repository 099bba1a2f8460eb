"""The plane of a latent of two units, with every label."""

import math

import numpy as np

from zoo.pictures.canvas import GAP, grid
from zoo.pictures.manifold import plane
from zoo.registry import PICTURES


@PICTURES.register("styles", needs=["plane", "prior", "label_decoder"], instead="m2_mnist_2d has both")
def styles(subject, count=10):
    """A panel a class: decoded points of a two-dimensional latent plane, the same in each panel.

    Args:
        count: how many points a side of each panel.
    """
    model, (label, classes) = subject.model, subject.label("decode")
    z = plane(model, count)
    decoded = [subject.image(model.decode(z, **{label: np.full(len(z), value)})) for value in range(classes)]
    panels = [grid(images, columns=count, gap=0) for images in decoded]
    return grid(np.stack(panels) / 255, columns=math.ceil(classes / 2), gap=2 * GAP)
