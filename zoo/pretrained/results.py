"""The numbers of the pretrained models as one table of comma-separated values, a row a model."""

import csv
import io

from zoo import index
from zoo.pretrained.store import read_card

MEASURED = ("nll", "elbo", "kl", "bits_per_dim", "elbo_per_step", "error_percent")  # each with its standard error
COLUMNS = ("name", "model", "data", "parameters", "megabytes", "epochs", "examples", "samples")
COLUMNS = (*COLUMNS, *(column for name in MEASURED for column in (name, f"{name}_error")), "active_units", "units")


def csv_text(names):
    """The table of the pretrained models of these names; cells are empty where a card does not say."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row_of(read_card(name)) for name in names)
    return text.getvalue()


def row_of(card):
    """Column -> cell of a card."""
    metrics = card.get("metrics", {})
    counted = metrics.get("nll") or metrics.get("reconstruction") or {}
    active = [entry for name, entry in metrics.items() if name.startswith("active_units")]
    row = {
        "name": card["name"],
        "model": card["model"],
        "data": card.get("data", {}).get("name"),
        "parameters": index.content()["parameters"].get(card["name"]),
        "megabytes": f"{card['weights']['bytes'] / 1e6:.2f}",
        "epochs": card.get("epochs_trained"),
        "examples": counted.get("num_examples"),
        "samples": counted.get("num_samples"),
        "active_units": sum(entry["value"] for entry in active) if active else None,
        "units": sum(entry["of"] for entry in active) if active else None,
    }
    for name in MEASURED:
        if name in metrics:
            error = metrics[name].get("standard_error")
            row |= {name: f"{metrics[name]['value']:.6g}", f"{name}_error": error and f"{error:.2g}"}
    return row
