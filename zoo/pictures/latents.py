"""Where images lie in the latent space."""

import numpy as np

from zoo.errors import InvalidInput
from zoo.pictures.canvas import new_figure
from zoo.registry import PICTURES

MOST_COLUMNS = 4
NAMED = 20  # classes that a legend names; of more only the number is said


@PICTURES.register("latents")
def latents(subject, count=2000):
    """Where test images lie in the latent space, by label; more than two units by their principal components.

    A hierarchy has a panel a level, and a sequence a point a step.

    Args:
        count: how many test examples.
    """
    names = list(subject.model.latent_spec)
    if not names:
        raise InvalidInput(f"a {subject.model.registry_name} has no latents to show")
    try:
        inputs, labels = subject.test(count, labels=True)
    except InvalidInput:
        inputs, labels = subject.test(count), None
    data, others = subject.divide(inputs)
    codes = subject.model.encode(data, **others)
    codes = codes if len(names) > 1 else {names[0]: codes}
    if "steps" in subject.model.offers:
        real = np.arange(inputs["x"].shape[1]) < inputs["length"][:, None]
        codes = {name: np.asarray(z)[real] for name, z in codes.items()}
        labels = None if labels is None else np.repeat(labels, inputs["length"])
    columns = min(len(codes), MOST_COLUMNS)
    rows = -(-len(codes) // columns)
    side = 5 if len(codes) < MOST_COLUMNS else 3.2
    figure, axes = new_figure(1.2 * side * columns, side * rows, rows=rows, columns=columns)
    for axis in np.ravel(axes)[len(codes) :]:
        axis.set_axis_off()
    labels = np.zeros(len(next(iter(codes.values()))), int) if labels is None else labels
    classes = np.unique(labels)
    for axis, (name, z) in zip(np.ravel(axes), codes.items(), strict=False):
        scatter(axis, name, np.reshape(z, (len(z), -1)), labels, classes)
    said = f"{subject.card['name']}: {len(subject.originals(inputs))} test examples"
    if 1 < len(classes) <= NAMED:
        marks = np.ravel(axes)[0].get_legend_handles_labels()[0]
        titles = [subject.class_name(value) for value in classes]
        figure.legend(marks, titles, loc="outside right upper", markerscale=3)
    figure.suptitle(f"{said} of {len(classes)} classes" if len(classes) > NAMED else said)
    return figure


def scatter(axis, name, z, labels, classes):
    """The points of one latent [N, D], a colour a class; those of no known class are grey."""
    from matplotlib import colormaps
    from sklearn.decomposition import PCA

    title = name
    if z.shape[1] > 2:
        z, title = PCA(2).fit_transform(z), f"{name}, its two principal components"
    z = np.pad(z, ((0, 0), (0, 2 - z.shape[1])))
    few = colormaps["tab10" if len(classes) <= 10 else "tab20"].colors
    colours = few if len(classes) <= NAMED else colormaps["turbo"](np.linspace(0, 1, len(classes)))
    for value, colour in zip(classes, colours, strict=False):
        points = z[labels == value]
        axis.scatter(points[:, 0], points[:, 1], s=5, color="lightgrey" if value < 0 else colour, label=str(value))
    axis.set(title=title, aspect="equal", adjustable="datalim")
