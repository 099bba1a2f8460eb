"""What pictures are drawn on: a grid of images, or a figure, written as PNG."""

import math

import numpy as np

from zoo.errors import InvalidInput
from zoo.files import atomic

GAP = 2


def grid(images, columns=None, gap=GAP):
    """[N, H, W, C] in [0, 1] -> a uint8 image [H', W', 3], row by row with a grey gap; white where no image is left."""
    images = np.clip(np.asarray(images), 0, 1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        hint = ": zoo plot NAME --kind piano_roll, or waveform, shows sequences" if images.ndim == 3 else ""
        raise InvalidInput(f"only images of 1 or 3 channels can be shown, got shape {images.shape[1:]}{hint}")
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 0.5)
    if missing := rows * columns - count:
        canvas[(rows - 1) * (height + gap) + gap :, (columns - missing) * (width + gap) + gap :] = 1
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return np.round(canvas * 255).astype("uint8")


def labelled(pixels, rows, columns=(), below=""):
    """A figure of a `grid` with a label beside each row and, where there are such, below each column."""
    height, width, _ = pixels.shape
    size = 0.55 * max(len(rows), 1) / height  # inches a pixel
    figure, axis = new_figure(width * size + 1.6, height * size + (0.7 if columns else 0.1))
    axis.imshow(pixels, interpolation="nearest")
    axis.set_yticks(centres(len(rows), height), rows)
    axis.set_xticks(centres(len(columns), width), columns)
    axis.set_xlabel(below)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def centres(count, size):
    """Where the middles of `count` equal parts of `size` pixels are."""
    return [(place + 0.5) * size / count - 0.5 for place in range(count)]


def save_image(pixels, path, target=800):
    """Write a uint8 image as PNG, magnified by a whole number to about `target` pixels."""
    from PIL import Image

    factor = max(1, target // max(pixels.shape[:2]))
    with atomic(path) as temporary:
        Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(temporary)


def new_figure(width, height, rows=1, columns=1):
    """(figure, axes) without a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def save_figure(figure, path):
    """Write a matplotlib figure as PNG."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")
