"""The way from one image to another."""

from zoo.errors import check_positive
from zoo.pictures.canvas import grid
from zoo.registry import PICTURES


@PICTURES.register("interpolations")
def interpolations(subject, count=6, steps=10):
    """A row a pair of test images: the ends are their reconstructions.

    Args:
        count: how many pairs.
        steps: how many images a row.
    """
    check_positive(count=count, steps=steps)
    inputs = subject.unlabelled(2 * count)
    (x0, others), (x1, _) = (subject.divide({k: v[i::2] for k, v in inputs.items()}) for i in (0, 1))
    frames = subject.image(subject.model.interpolate(x0, x1, steps=steps, **others))
    return grid(frames.swapaxes(0, 1).reshape(-1, *frames.shape[2:]), columns=steps)
