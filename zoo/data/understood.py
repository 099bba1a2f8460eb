"""What a source was understood as, in words and numbers, before anything is trained on it."""

import numpy as np

from zoo.data.load import arrays_of
from zoo.data.sources.open import open_source
from zoo.data.spec import LABELS, LENGTH
from zoo.data.tfds.catalogue import SPLITS
from zoo.errors import InvalidInput

LOOKED_AT = 20_000  # rows of what is streamed


def describe_source(thing, **settings):
    """A dict that JSON can hold: kind, rows, splits, fields, range, lengths, columns, classes, rate, left_out.

    Args:
        thing, **settings: as `open_source`'s. Classes are counted over all rows, of what is streamed over the first
            20,000; what is not there is left out of the dict.
    """
    try:
        source = open_source(thing, **{"labels": True, **settings})
    except InvalidInput:  # it has none, or there is more to say
        source = open_source(thing, **settings)
    splits = {split: rows for split in SPLITS[:3] if (rows := rows_of(source, split))}
    part = source.split("all" if source.rows_of else "train", LOOKED_AT if source.streamed else None)
    arrays = arrays_of(part)
    x, lengths = arrays["x"], arrays.get(LENGTH)
    real = x if lengths is None else x[np.arange(x.shape[1]) < lengths[:, None]]
    found = {
        "kind": source.kind,
        "rows": source.count,
        "splits": splits,
        "fields": {name: f"{values.dtype} {[None, *values.shape[1:]]}" for name, values in arrays.items()},
        "range": [float(np.nanmin(real)), float(np.nanmax(real))],
        "missing": int(np.isnan(real).sum()) if real.dtype.kind == "f" else 0,
        "lengths": None if lengths is None else [int(lengths.min()), int(lengths.max())],
        "rate": source.rate,
        "columns": source.columns,
        "classes": classes_of(source, arrays.get(LABELS)),
        "left_out": list(source.left_out),
    }
    return {name: value for name, value in found.items() if value not in (None, 0, [], {})}


def rows_of(source, split):
    """How many rows a split has; None where there is none."""
    if source.sizes:
        return source.sizes[split]
    try:
        return source.split(split).count
    except InvalidInput:
        return None


def classes_of(source, labels):
    """Name -> how many rows, of the classes that occur or have names; None without labels."""
    if labels is None or labels.dtype.kind not in "iu":
        return None
    names = dict(enumerate(source.classes or ()))
    counts = dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True))
    return {str(names.get(label, label)): counts.get(label, 0) for label in sorted({*names, *counts})}


def in_lines(found):
    """What `describe_source` found, as lines for a person."""
    lines = [f"{found['kind']}, {found['rows']} rows"]
    lines += [f"  {name:12} {count}" for name, count in found.get("splits", {}).items()]
    for name, said in found["fields"].items():
        lines.append(f"{name:14} {said}".replace("None", "N", 1))
    low, high = found["range"]
    lines.append(f"values         {low:g} to {high:g}" + (f", {n} missing" if (n := found.get("missing")) else ""))
    if "lengths" in found:
        lines.append("lengths        {} to {}".format(*found["lengths"]))
    if "rate" in found:
        lines.append(f"rate           {found['rate']} samples a second")
    if "columns" in found:
        lines.append(f"columns        {', '.join(found['columns'])}")
    if "classes" in found:
        lines.append("classes        " + ", ".join(f"{name} ({count})" for name, count in found["classes"].items()))
    return [*lines, *(f"left out       {line}" for line in found.get("left_out", ()))]
