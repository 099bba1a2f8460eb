"""What each unit of a latent does."""

import numpy as np

from zoo.errors import check_positive
from zoo.pictures.canvas import grid, labelled
from zoo.registry import PICTURES


@PICTURES.register("traversals", needs=["one_latent"], instead="zoo plot NAME --kind levels shows a hierarchy")
def traversals(subject, count=10, steps=11, width=3.0):
    """A row a latent unit, moved from -3 to 3 standard deviations while the others stay at one test image's code.

    The mean and the standard deviation are those of the locations of test images, which need not be those of N(0, I):
    a learnt prior has a scale of its own. The rows are the units whose location varies most, most first.

    Args:
        count: how many units.
        steps: how many places a row.
        width: how far the rows go, in standard deviations.
    """
    check_positive(count=count, steps=steps)
    data, others = subject.divide(subject.test(500))
    z = np.asarray(subject.model.encode(data, **others))
    units = np.argsort(-z.var(0))[:count]
    codes = np.repeat(z[:1], len(units) * steps, 0)
    places = np.linspace(-width, width, steps)
    codes[np.arange(len(codes)), np.repeat(units, steps)] = (
        z.mean(0)[units, None] + z.std(0)[units, None] * places
    ).ravel()
    names = subject.model.fields_of("condition", "label")
    condition = {name: np.repeat(value[:1], len(codes), 0) for name, value in others.items() if name in names}
    pixels = grid(subject.image(subject.model.decode(codes, **condition)), columns=steps)
    columns = [f"{place:.2g}" for place in places]
    name = subject.model.latent_names[0]
    return labelled(pixels, [f"unit {unit}" for unit in units], columns, f"standard deviations of the unit of {name}")
