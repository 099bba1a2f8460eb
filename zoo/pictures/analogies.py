"""One style, every label."""

import numpy as np

from zoo.errors import check_positive
from zoo.pictures.canvas import grid
from zoo.registry import PICTURES


@PICTURES.register("analogies", needs=["label_decoder", "one_latent"])
def analogies(subject, count=10):
    """A row a test image, in the first column; then what its latent code gives with each label.

    Args:
        count: how many test images.
    """
    check_positive(count=count)
    _, classes = subject.label("decode")
    inputs = subject.unlabelled(count)
    cells = analogy_cells(subject.model, inputs, classes)
    rows = np.concatenate([subject.originals(inputs)[:, None], cells], 1)
    return grid(rows.reshape(-1, *cells.shape[2:]), columns=classes + 1)


def analogy_cells(model, inputs, classes):
    """[B, classes, *data_shape]: the code of each of B images, decoded with every label."""
    label = model.fields_of("condition", "label")[0]
    z = np.asarray(model.encode(**inputs))
    labels = np.tile(np.arange(classes), len(z))
    cells = np.asarray(model.decode(np.repeat(z, classes, 0), **{label: labels}))
    return cells.reshape(len(z), classes, *cells.shape[1:])
