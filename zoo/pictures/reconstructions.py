"""What comes back of test images."""

import numpy as np

from zoo.errors import check_positive
from zoo.pictures.canvas import grid
from zoo.registry import PICTURES


@PICTURES.register("reconstructions")
def reconstructions(subject, count=10):
    """Test images in the upper row, their reconstructions below.

    Args:
        count: how many test images.
    """
    check_positive(count=count)
    inputs = subject.unlabelled(count)
    originals = subject.originals(inputs)
    return grid(np.concatenate([originals, subject.reconstructed(inputs)]), columns=len(originals))
