"""How a run went."""

import numpy as np

from zoo.pictures.canvas import new_figure
from zoo.registry import PICTURES


@PICTURES.register("training", needs=["log"])
def training(subject):
    """Loss, ELBO parts and active units against the epoch, from the run's log."""
    header, *rows = subject.rows("log")
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    columns = [c for c in ("elbo", "reconstruction", "kl", "active_units") if c in rows[0]]
    epochs = [int(row["epoch"]) + 1 for row in rows]
    figure, axes = new_figure(3.2 * len(columns), 3, columns=len(columns))
    for axis, column in zip(np.atleast_1d(axes), columns, strict=True):
        for name, label in ((column, "training"), (f"val_{column}", "validation")):
            if rows[0].get(name, "NA") != "NA":  # what Keras writes for a run without validation
                axis.plot(epochs, [float(row[name]) for row in rows], label=label)
        axis.set(xlabel="epoch", title=column if column == "active_units" else f"{column} (nats)")
        axis.legend()
        settled = sorted(float(row[column]) for row in rows[len(rows) // 20 :])
        if column != "active_units":  # the first epochs would flatten all that follows
            margin = 0.1 * (settled[-1] - settled[0]) + 1e-3
            axis.set_ylim(settled[0] - margin, settled[-1] + margin)
    return figure
