"""Where images lie in the latent space."""

import numpy as np

from zoo.errors import InvalidInput
from zoo.pictures.canvas import new_figure
from zoo.registry import PICTURES

MOST_COLUMNS = 4
FEW = 10  # labels that have a colour of their own


@PICTURES.register("latents")
def latents(subject, count=2000):
    """Where test images lie in the latent space, by label; more than two units by their principal components.

    A hierarchy has a panel a level, and a sequence a point a step.
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
    side = 5 if len(codes) <= MOST_COLUMNS else 3.5
    figure, axes = new_figure(1.2 * side * columns, side * rows, rows=rows, columns=columns)
    for axis in np.ravel(axes)[len(codes) :]:
        axis.set_axis_off()
    for axis, (name, z) in zip(np.ravel(axes), codes.items(), strict=False):
        points = scatter(axis, name, np.reshape(z, (len(z), -1)), labels)
    figure.suptitle(f"{subject.card['name']}: {len(subject.originals(inputs))} test examples")
    if labels is not None:
        ticks = range(int(labels.max()) + 1) if labels.max() < FEW else None
        figure.colorbar(points, ax=axes, label="label", ticks=ticks)
    return figure


def scatter(axis, name, z, labels):
    """The points of one latent [N, D]; returns what a colour bar needs."""
    from sklearn.decomposition import PCA

    names = (f"{name}, unit 1", f"{name}, unit 2")
    if z.shape[1] > 2:
        z, names = PCA(2).fit_transform(z), (f"{name}, first principal component", "second principal component")
    if z.shape[1] == 1:
        z, names = np.pad(z, ((0, 0), (0, 1))), (f"{name}, its one unit", "")
    colours = "tab10" if labels is not None and labels.max() < FEW else None
    points = axis.scatter(z[:, 0], z[:, 1], c=labels, s=5, cmap=colours)
    axis.set(xlabel=names[0], ylabel=names[1], aspect="equal", adjustable="datalim")
    return points
