"""Model cards: measured numbers go into `card.json`, and README.md is written from it.

python -m zoo.cards publish RUN NAME    make the run of a folder the pretrained model NAME
python -m zoo.cards refresh README.md   write what the presets say of published numbers, targets and notes into the
                                        cards, every card's README, and README's tables between their markers: of the
                                        models, and of benchmarks/results/*.md
"""

import contextlib
import json
import pathlib
import re
import shutil
import sys
import tempfile

from zoo import pretrained
from zoo.errors import InvalidInput
from zoo.evaluation import collapse_report
from zoo.files import atomic, write_json
from zoo.pictures import plots
from zoo.presets import list_presets, read_preset
from zoo.training.run import KL_LOG, LOG

PICTURES = ("samples", "reconstructions", "levels", "manifold", "styles", "analogies", "traversals", "latents")
PICTURES += ("training", "kl")
SAID_BY_PRESET = ("reference", "target", "notes")
SECTION = (
    r"(?P<start><!-- (?P<name>\w+): written by python -m zoo.cards refresh -->).*?(?P<end><!-- end of (?P=name) -->)"
)


def record(name, metrics, probe, command, split):
    """Write measured metrics and a probe into a model's card, and its README anew.

    The parts of an evaluation, of annealed chains, of comparisons and of means over several runs stand beside each
    other; each replaces its own earlier numbers. A `probe` that is None leaves the card's.
    """
    home = pretrained.locate(name)
    card = pretrained.read_card(name)
    kinds = {kind_of(entry) for entry in metrics.values()}
    kept = {key: entry for key, entry in card.get("metrics", {}).items() if kind_of(entry) not in kinds}
    card["metrics"] = dict(sorted({**metrics, **kept}.items(), key=lambda item: kind_of(item[1])))
    card["probe"] = probe or card.get("probe")
    entry = {"command": command, "split": split, "versions": pretrained.versions()}
    for kind in kinds:
        old = card.get("evaluation", {})
        card["evaluation"] = {**old, kind: entry} if kind else {**entry, **{k: old[k] for k in old if k not in entry}}
    finish(home, card)


def kind_of(metric):
    """Which part of an evaluation a metric belongs to: "" for the usual one, "annealed", "runs", or "versus NAME"."""
    if "versus" in metric:
        return f"versus {metric['versus']}"
    return "annealed" if "num_chains" in metric else "runs" if "num_runs" in metric else ""


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
    card = pretrained.read_card(home)
    card["tflite"] = measure_tflite(model)
    for kind in PICTURES:
        with contextlib.suppress(InvalidInput):  # a kind this model has not
            plots.draw(home, kind, home / f"{kind}.png")
    finish(home, card)


def finish(home, card):
    """Write a card, with what its preset says, and its README."""
    if card["name"] in list_presets():
        preset = read_preset(card["name"])
        card |= {key: preset[key] for key in SAID_BY_PRESET if key in preset}
    write_json(home / "card.json", card)
    with atomic(home / "README.md") as temporary:
        temporary.write_text(readme(home, card))


def measure_tflite(model):
    """{dtype: {"bytes", endpoint: {"cpu", "gpu"}}}: largest differences from Keras, None where there is no driver."""
    from zoo.export import export_tflite, require_equal, verify_tflite

    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("float32", "float16"):
            path = pathlib.Path(folder) / f"{dtype}.tflite"
            export_tflite(model, path, dtype=dtype)
            cpu = require_equal(verify_tflite(model, path), path)
            gpu = require_equal(verify_tflite(model, path, gpu=True) or {}, f"{path} on the GPU path")
            measured[dtype] = {"bytes": path.stat().st_size}
            for endpoint, result in cpu.items():
                difference = gpu.get(endpoint, {}).get("max_abs_difference")
                measured[dtype][endpoint] = {"cpu": result["max_abs_difference"], "gpu": difference}
    return measured


def readme(home, card):
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
        *picture_lines(home),
        *metric_table(card),
        *(line for sentence in collapse_report(card.get("metrics", {})) for line in (sentence, "")),
        *target_lines(card),
        *reference_table(card),
        f"Data protocol: {data.get('protocol', 'as given')}",
        "",
        f"Binarisation: {card['config'].get('binarize') or 'none'}. "
        + " ".join(
            f"Measured on the {entry['split']} split by `{entry['command']}`."
            for entry in (evaluation, *evaluation.values())
            if isinstance(entry, dict) and "command" in entry
        ),
        "",
        *tflite_table(card),
        *(["Notes:", "", *(f"- {note}" for note in card["notes"]), ""] if card.get("notes") else []),
        f"Trained by `{card.get('command')}`. Configuration and recipe:",
        "",
        "```json",
        json.dumps({key: card[key] for key in ("config", "recipe", "start") if key in card}, indent=1),
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
        images = f"{metric['num_examples']} {metric.get('data', '')}".strip()
        draws = str(metric.get("num_samples", ""))
        if "num_runs" in metric:
            draws = ", ".join([f"{metric['num_runs']} run{'s' * (metric['num_runs'] > 1)}", *filter(None, [draws])])
        if "num_chains" in metric:
            draws = ", ".join(
                [f"{metric['num_chains']} chains of {metric['num_temperatures']}", *filter(None, [draws])]
            )
        lines.append(f"| {name} | {value} | {error} | {images} | {draws} |")
    return [*lines, "", "Nats per image, unless bits per dimension or percent.", ""]


def target_lines(card):
    """Whether what was aimed at was reached, as Markdown lines."""
    lines = []
    for metric, aim in card.get("target", {}).items():
        if metric in card.get("metrics", {}):
            value = card["metrics"][metric]["value"]
            lines += [f"Target: {metric} {aim} or lower: {'met' if value <= aim else 'missed'} ({value:.2f}).", ""]
    return lines


def reference_table(card):
    """Published numbers beside the measured ones, as Markdown lines."""
    if not card.get("reference"):
        return []
    lines = ["| published | value | here |", "|---|---|---|"]
    for entry in card["reference"]:
        measured = card.get("metrics", {}).get(entry["metric"])
        here = f"{measured['value']:.2f}" if measured else ""
        lines.append(f"| {entry['source']} ({entry['metric']}) | {entry['value']} | {here} |")
    return [*lines, ""]


def picture_lines(home):
    """The pictures beside the card, as Markdown."""
    shown = [f"![{kind}]({kind}.png)" for kind in PICTURES if (home / f"{kind}.png").exists()]
    return [line for picture in shown for line in (picture, "")]


def tflite_table(card):
    """Largest differences of the TFLite files from Keras, as Markdown lines."""
    if not card.get("tflite"):
        return []
    lines = ["| TFLite | endpoint | size | CPU | GPU path |", "|---|---|---|---|---|"]
    for dtype, entry in card["tflite"].items():
        for endpoint, result in entry.items():
            if endpoint != "bytes":
                gpu = "not measured" if result["gpu"] is None else f"{result['gpu']:.1e}"
                lines.append(f"| {dtype} | {endpoint} | {entry['bytes'] / 1e6:.2f} MB | {result['cpu']:.1e} | {gpu} |")
    return [*lines, "", "Largest absolute differences from Keras.", ""]


def model_table():
    """The table of all pretrained models, as Markdown lines."""
    lines = ["| name | model | data | NLL (nats) | ELBO | active units | weights |", "|---|---|---|---|---|---|---|"]
    for name in pretrained.list_pretrained():
        card = pretrained.read_card(name)
        metrics = card.get("metrics", {})
        nll, elbo = metrics.get("nll"), metrics.get("elbo")
        active = [entry for key, entry in metrics.items() if key.startswith("active_units")]
        shown = (
            f"{nll['value']:.2f} ± {nll['standard_error']:.2f} (S={nll['num_samples']}, {nll['num_examples']})"
            if nll
            else ""
        )
        bound = f"{elbo['value']:.2f}" if elbo else ""
        units = " of ".join("+".join(str(level[key]) for level in active) for key in ("value", "of")) if active else ""
        size = f"{card['weights']['bytes'] / 1e6:.1f} MB"
        link = f"[{name}](saved_models/{name}/README.md)"
        lines.append(f"| {link} | {card['model']} | {card['data']['name']} | {shown} | {bound} | {units} | {size} |")
    return lines


def gain_table():
    """The paired differences between pretrained models, as Markdown lines."""
    lines = ["| model | beside | difference in NLL (nats) | images | samples |", "|---|---|---|---|---|"]
    for name in pretrained.list_pretrained():
        for metric in pretrained.read_card(name).get("metrics", {}).values():
            if "versus" in metric:
                shown = f"{metric['value']:.2f} ± {metric['standard_error']:.2f}"
                lines.append(
                    f"| {name} | {metric['versus']} | {shown} | {metric['num_examples']} | {metric['num_samples']} |"
                )
    return lines


def refresh(path):
    """Write every card and its README anew, and the tables between the markers of the README at `path`."""
    for name in pretrained.list_pretrained():
        finish(pretrained.locate(name), pretrained.read_card(name))
    path = pathlib.Path(path)
    with atomic(path) as temporary:
        temporary.write_text(with_tables(path))


def with_tables(path):
    """The text of the README at `path`, the table of models and the benchmarks' results between their markers."""

    def section(match):
        name, tables = match["name"], {"models": model_table, "gains": gain_table}
        results = path.parent / "benchmarks" / "results" / f"{name}.md"
        lines = tables[name]() if name in tables else results.read_text().splitlines()
        return "\n".join([match["start"], "", *lines, "", match["end"]])

    return re.sub(SECTION, section, path.read_text(), flags=re.DOTALL)


if __name__ == "__main__":
    {"publish": publish, "refresh": refresh}[sys.argv[1]](*sys.argv[2:])
