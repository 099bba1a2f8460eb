"""What a card, a data set or a setting says, as tables that a person reads."""

import math
import textwrap

WIDTH = 78
SHOWN = ("config", "recipe", "data")  # of a card, each a table of its own


def card_lines(card):
    """A card as lines: what it is, what was measured, what was asked for."""
    weights = card.get("weights")
    size = f"{weights['bytes'] / 1e6:.1f} MB of weights" if weights else "no weights yet"
    data = card.get("data", {})
    epochs = f", {card['epochs_trained']} epochs" if "epochs_trained" in card else ""
    lines = [card["name"], f"  {card['model']} on {data.get('name', '?')}{epochs}, {size}, {card.get('date', '')}"]
    rows = [metric_row(name, metric) for name, metric in card.get("metrics", {}).items()]
    lines += section(f"measured on the {card.get('evaluation', {}).get('split', 'test')} split", rows)
    published = [(entry["metric"], f"{entry['value']:g}", entry["source"]) for entry in card.get("reference", ())]
    lines += section("published", published)
    for key in SHOWN:
        lines += section(key, [(name, words(value)) for name, value in card.get(key, {}).items()])
    stages = [(stage.get("name", ""), stage.get("model", "")) for stage in card.get("stages", ())]
    lines += section("trained after", stages)
    if "command" in card:
        lines += ["", "made by", f"  {card['command']}"]
    return lines + ([""] + paragraphs(card["notes"]) if card.get("notes") else [])


def metric_row(name, metric):
    """(name, value with its error, what it is of)."""
    error = metric.get("standard_error")
    value = f"{metric['value']} of {metric['of']}" if "of" in metric else digits(metric["value"], error)
    counted = [("num_examples", "examples"), ("num_samples", "samples each"), ("num_chains", "chains each")]
    return name, value, ", ".join(f"{metric[key]:,} {what}" for key, what in counted if key in metric)


def digits(value, error=None):
    """A number with the digits that its standard error allows, and that error; without one four digits."""
    if not error or not math.isfinite(error):
        return f"{value:.4g}"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}"


def words(value):
    """A value without brackets and quotation marks; a part as its name and its arguments."""
    if isinstance(value, dict):
        value = dict(value)
        name = value.pop("name", None)
        rest = ", ".join(f"{key} {words(entry)}" for key, entry in value.items())
        return rest if name is None else f"{name} ({rest})" if rest else str(name)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(words, value)) if any(isinstance(v, dict) for v in value) else " ".join(map(words, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def section(title, rows):
    """A title over a table; nothing where the table is empty."""
    return ["", title, *(f"  {line}" for line in table(rows))] if rows else []


def table(rows):
    """Rows of texts as lines with aligned columns, the last of which is wrapped."""
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    margin = sum(widths) + 2 * len(widths)
    lines = []
    for *row, last in rows:
        start = "".join(f"{cell:{width}}  " for cell, width in zip(row, widths, strict=True))
        lines += [(start + line).rstrip() for line in textwrap.wrap(last, max(20, WIDTH - margin))[:1] or [""]]
        lines += [" " * margin + line for line in textwrap.wrap(last, max(20, WIDTH - margin))[1:]]
    return lines


def paragraphs(notes):
    """Sentences as wrapped lines."""
    return [line for note in notes for line in textwrap.wrap(str(note), WIDTH, subsequent_indent="  ")]
