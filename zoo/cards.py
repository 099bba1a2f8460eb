"""Model cards: measured numbers go into `card.json`, and README.md is written from it.

    python -m zoo.cards RUN NAME        publish the run of a folder as the pretrained model NAME
"""

import json
import shutil
import sys

from zoo import pretrained
from zoo.files import atomic, write_json
from zoo.training import KL_LOG, LOG


def record(name, metrics, probe, command, split):
    """Write measured metrics and a probe into a model's card, and its README anew."""
    home = pretrained.locate(name)
    card = pretrained.read_card(name)
    card["metrics"] = metrics
    card["probe"] = probe
    card["evaluation"] = {"command": command, "split": split, "versions": pretrained.versions()}
    write_json(home / "card.json", card)
    write_readme(home, card)


def publish(run, name):
    """Make the run in folder `run` the pretrained model `name`: weights, card, logs, SavedModel and README."""
    from zoo.export import export_saved_model

    home = pretrained.folder() / name
    model, card = pretrained.load(run), pretrained.read_card(run)
    shutil.rmtree(home, ignore_errors=True)
    kept = {key: card[key] for key in card if key not in ("format", "name", "weights", "versions", "date")}
    pretrained.save(model, home, card={**kept, "command": f"zoo train --preset {name}"})
    for log in (LOG, KL_LOG):
        shutil.copy(f"{run}/{log}", home / log)
    export_saved_model(model, home, version=1)
    write_readme(home, pretrained.read_card(home))


def write_readme(home, card):
    """README.md of a pretrained model, from its card alone."""
    with atomic(home / "README.md") as temporary:
        temporary.write_text(readme(card))


def readme(card):
    """The model card as Markdown."""
    data, evaluation = card.get("data", {}), card.get("evaluation", {})
    lines = [
        f"# {card['name']}",
        "",
        f"`{card['model']}` trained on `{data.get('name')}` ({data.get('split', 'train')}), "
        f"{card.get('epochs_trained')} epochs, seed {card.get('seed')}.",
        "",
        "```python",
        "import zoo",
        "",
        f'model = zoo.load("{card["name"]}")',
        "```",
        "",
        *metric_table(card),
        *reference_table(card),
        f"Data protocol: {data.get('protocol', 'as given')}",
        "",
        f"Binarisation: {card['config'].get('binarize') or 'none'}. "
        + (f"Measured on the {evaluation['split']} split by `{evaluation['command']}`." if evaluation else ""),
        "",
        *(["Notes:", "", *(f"- {note}" for note in card["notes"]), ""] if card.get("notes") else []),
        f"Trained by `{card.get('command')}`. Configuration and recipe:",
        "",
        "```json",
        json.dumps({"config": card["config"], "recipe": card.get("recipe")}, indent=1),
        "```",
        "",
        f"Weights: {card['weights']['bytes'] / 1e6:.2f} MB, SHA-256 `{card['weights']['sha256']}`. "
        "Versions: " + ", ".join(f"{k} {v}" for k, v in card["versions"].items()) + f". {card['date']}.",
        "",
    ]
    return "\n".join(lines)


def metric_table(card):
    """The measured numbers as Markdown lines."""
    if not card.get("metrics"):
        return []
    lines = ["| metric | value | standard error | images | samples |", "|---|---|---|---|---|"]
    for name, metric in card["metrics"].items():
        value = f"{metric['value']} of {metric['of']}" if "of" in metric else f"{metric['value']:.3f}"
        error = f"{metric['standard_error']:.3f}" if metric.get("standard_error") else ""
        lines.append(f"| {name} | {value} | {error} | {metric['num_examples']} | {metric.get('num_samples', '')} |")
    return [*lines, "", "Nats per image, unless bits per dimension.", ""]


def reference_table(card):
    """Published numbers beside the measured ones, as Markdown lines."""
    if not card.get("reference"):
        return []
    lines = ["| published | value | here |", "|---|---|---|"]
    for entry in card["reference"]:
        here = card.get("metrics", {}).get(entry["metric"])
        lines.append(f"| {entry['source']} ({entry['metric']}) | {entry['value']} | {here and round(here['value'], 2)} |")
    return [*lines, ""]


if __name__ == "__main__":
    publish(*sys.argv[1:3])
