"""Pictures of a model or a run, a kind a file, from the verbs of a model alone; importing this registers them."""

from zoo.pictures import (  # noqa: F401
    analogies,
    interpolations,
    kl,
    latents,
    levels,
    manifold,
    reconstructions,
    samples,
    sequences,
    styles,
    training,
    traversals,
)
from zoo.pictures.analogies import analogy_cells
from zoo.pictures.canvas import grid, new_figure, save_figure, save_image
from zoo.pictures.drawing import Subject, draw
from zoo.pictures.sequences import roll_figure, spectrogram_figure, waveform_figure

__all__ = [
    "Subject",
    "analogy_cells",
    "draw",
    "grid",
    "new_figure",
    "roll_figure",
    "save_figure",
    "save_image",
    "spectrogram_figure",
    "waveform_figure",
]
