"""Which units of the latents a run learnt to use."""

import numpy as np

from zoo.errors import InvalidInput
from zoo.pictures.canvas import new_figure
from zoo.pictures.training import number
from zoo.registry import PICTURES

FEW, MOST = 4, 200  # latents whose panels stand below each other, and that are drawn


@PICTURES.register("kl", needs=["log"])
def kl(subject):
    """KL of every latent unit against the epoch, units sorted by their last value."""
    rows = subject.rows("kl_log")
    if not rows:
        raise InvalidInput(
            f"{subject.home.name} has no KL per unit: its posterior or prior does not factorise over units"
        )
    if min(map(len, rows)) < 3 or len({(row[1], len(row)) for row in rows}) > len({row[1] for row in rows}):
        raise InvalidInput(
            f"{subject.home.name} has a kl_per_unit.csv of other rows than epoch, latent, KL of each unit"
        )
    names = list(dict.fromkeys(row[1] for row in rows))
    if len(names) > MOST:
        raise InvalidInput(f"{subject.home.name} has the KL of {len(names)} latents; at most {MOST} are drawn")
    columns = 1 if len(names) <= FEW else 3
    lines = -(-len(names) // columns)
    figure, axes = new_figure(7 if columns == 1 else 5 * columns, 3.2 * lines, rows=lines, columns=columns)
    for axis in np.ravel(axes)[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(np.ravel(axes), names, strict=False):
        values = np.array([[number(v) for v in row[2:]] for row in rows if row[1] == name])
        values = values[:, np.argsort(-values[-1])]
        last = len(values)
        image = axis.imshow(values.T, aspect="auto", cmap="magma", extent=(0.5, last + 0.5, values.shape[1], 0))
        figure.colorbar(image, ax=axis, label="KL (nats)")
        active = int((values[-1] > 0.01).sum())
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.set(
            xlabel="epoch", ylabel="unit, sorted", title=f"{name}: {active} of {values.shape[1]} units > 0.01 nats"
        )
    return figure
