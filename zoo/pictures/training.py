"""How a run went."""

import numpy as np

from zoo.errors import InvalidInput
from zoo.pictures.canvas import new_figure
from zoo.registry import PICTURES


@PICTURES.register("training", needs=["log"])
def training(subject):
    """Loss, ELBO parts and active units against the epoch, from the run's log; a line where a stage begins."""
    rows = subject.epochs()
    columns = [c for c in ("elbo", "reconstruction", "kl", "active_units") if any(c in row for row in rows)]
    if not any(number(row.get("kl", "")) for row in rows):  # a model without latents: its elbo is the reconstruction
        columns = columns[:1]
    if not columns:
        raise InvalidInput(f"the log of {subject.home.name} has none of the columns that a training has")
    stages = [row.get("stage", "") for row in rows]
    figure, axes = new_figure(3.2 * len(columns), 3, columns=len(columns))
    for axis, column in zip(np.atleast_1d(axes), columns, strict=True):
        for name, label in ((column, "training"), (f"val_{column}", "validation")):
            values = np.array([number(row.get(name, "")) for row in rows])
            if not np.isnan(values).all():
                axis.plot(range(1, 1 + len(rows)), values, label=label)
            if name == column != "active_units":  # the first epochs would flatten all that follows
                settled = values[len(rows) // 20 :]
                settled = settled[np.isfinite(settled)]
                if len(settled):
                    margin = 0.1 * np.ptp(settled) + 1e-3
                    axis.set_ylim(settled.min() - margin, settled.max() + margin)
        for epoch in range(1, len(rows)):
            if stages[epoch] != stages[epoch - 1]:
                axis.axvline(epoch + 0.5, color="grey", linestyle=":")
        if column == "active_units":
            axis.yaxis.get_major_locator().set_params(integer=True)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set(xlabel="epoch", title=column if column == "active_units" else f"{column} (nats)")
        axis.legend()
    return figure


def number(said):
    """What a log says in a place, NaN for nothing; "NA" is Keras' word for a run without validation."""
    try:
        return float("nan" if said in ("", "NA") else said)
    except ValueError:
        raise InvalidInput(f"a log of a training has numbers, got {said!r}") from None
