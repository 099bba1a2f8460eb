"""What each level of a hierarchy holds."""

import numpy as np

from zoo.errors import check_positive
from zoo.pictures.canvas import grid, labelled
from zoo.registry import PICTURES


@PICTURES.register("levels", needs=["levels"])
def levels(subject, count=12, seed=0):
    """Test images, then rows that keep all levels of a hierarchy, one fewer, ..., none.

    The levels that are kept, from the top, stand at the posterior's location; the rest are drawn from the prior.

    Args:
        count: how many test images.
        seed: of the draws.
    """
    check_positive(count=count)
    inputs = subject.test(count)
    data, others = subject.divide(inputs)
    kept = range(len(subject.model.latent_names), -1, -1)
    rows = [subject.model.reconstruct(data, levels=number, seed=seed, **others) for number in kept]
    pixels = grid(np.concatenate([subject.originals(inputs), *map(subject.image, rows)]), columns=count)
    return labelled(pixels, ["test images", *map(kept_of, kept, [kept[0]] * len(kept))])


def kept_of(number, levels):
    """What a row that keeps so many levels is called."""
    named = {levels: "all levels", 1: "top level", 0: "no level"}
    return named.get(number, f"top {number} levels")
