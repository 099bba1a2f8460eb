"""What a deep VAE's upper levels hold: plain, batch-normalised, warmed up, and as a ladder.

    python benchmarks/warm_up.py RUNS      train what is missing in the folder RUNS, measure, write table and picture

Five levels of 64-32-16-8-4 units on dynamic MNIST, the four rows of Sonderby et al. 2016 (arXiv:1602.02282), 100 epochs
each; the same networks, updates and seed. The gradient's norm is held below 100: otherwise the second row begins with
so large a KL that 100 epochs do not recover from it. A run that was interrupted is resumed; a row is measured once,
when its run is complete, and written into benchmarks/results/warm_up.json, from which warm_up.md and warm_up.png are
made.
"""

import argparse
import pathlib

import zoo
from zoo import evaluation, pictures, pretrained, training
from zoo.files import atomic, read_json, write_json

RESULTS = pathlib.Path(__file__).parent / "results" / "warm_up.json"
LATENTS, WIDTHS = [64, 32, 16, 8, 4], [[256], [128], [64], [32]]
WARM_UP = {"name": "linear", "steps": 8000}
ROWS = {
    "plain": ("hierarchical_vae", False, None),
    "+ batch norm": ("hierarchical_vae", True, None),
    "+ batch norm + warm-up": ("hierarchical_vae", True, WARM_UP),
    "ladder + batch norm + warm-up": ("lvae", True, WARM_UP),
}
IMAGES, SAMPLES = 1000, 500
UNUSED = 0.01  # nats a unit


def preset(row):
    """Model, data and recipe of a row."""
    model, batch_norm, kl = ROWS[row]
    return {
        "model": model,
        "config": {
            "latent_dims": LATENTS,
            "hidden_units": WIDTHS,
            "encoder": {"name": "mlp", "hidden_units": [512, 512], "batch_norm": batch_norm},
            "binarize": "dynamic",
        },
        "data": {"name": "mnist", "split": "train+validation"},
        "recipe": {
            "epochs": 100,
            "batch_size": 300,
            "learning_rate": 0.002,
            "warmup_steps": 500,
            "schedule": "cosine",
            "kl": kl,
            "clipnorm": 100.0,
            "jit_compile": True,
            "steps_per_execution": 20,
        },
    }


def measure(folder):
    """The metrics of a finished run on the first test images."""
    model = zoo.load(folder)
    data = zoo.load_dataset("mnist", split="test", batch_size=100, shuffle=False, limit=IMAGES)
    return evaluation.evaluate(model, data, num_samples=SAMPLES)


def folder_of(runs, row):
    """runs/plain, runs/batch_norm, runs/batch_norm_warm-up, runs/ladder_batch_norm_warm-up"""
    return pathlib.Path(runs) / "_".join(row.replace("+", "").split())


def run(runs, rows):
    """Train and measure the rows that have no result yet."""
    for row in rows:
        folder = folder_of(runs, row)
        results = read_json(RESULTS) if RESULTS.exists() else {"rows": {}}
        if row in results["rows"]:
            continue
        if not (folder / "card.json").exists():
            training.train(folder, preset(row), resume=(folder / training.run.RUN).exists(), verbose=2)
        metrics = measure(folder)
        results = read_json(RESULTS) if RESULTS.exists() else {"rows": {}}  # another row may have come meanwhile
        results["rows"][row] = metrics
        epochs = preset(row)["recipe"]["epochs"]
        results["protocol"] = f"dynamic MNIST, {epochs} epochs, {SAMPLES} samples, the first {IMAGES} test images"
        results["versions"] = pretrained.versions()
        RESULTS.parent.mkdir(exist_ok=True)
        write_json(RESULTS, results)


def table(results):
    """The rows as Markdown."""
    levels = [f"z{i + 1}" for i in range(len(LATENTS))]
    head = ["model", "NLL", "ELBO", *(f"KL {level}" for level in levels), *(f"used {level}" for level in levels)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in ROWS:
        if row not in results["rows"]:
            continue
        metrics = results["rows"][row]
        nll = f"{metrics['nll']['value']:.2f} ± {metrics['nll']['standard_error']:.2f}"
        kl = [f"{metrics[f'kl_{level}']['value']:z.2f}" for level in levels]
        used = [f"{used_units(metrics, level)} of {size}" for level, size in zip(levels, LATENTS, strict=True)]
        lines.append("| " + " | ".join([row, nll, f"{metrics['elbo']['value']:.2f}", *kl, *used]) + " |")
    return "\n".join([*lines, "", results["protocol"] + "; nats; a unit is used where its KL is above 0.01.", ""])


def used_units(metrics, level):
    """How many units of a level have a mean KL above 0.01 nats."""
    entry = metrics[f"unused_units_{level}"]
    return entry["of"] - entry["value"]


def picture(results):
    """KL per level and used units per level, one colour a row."""
    figure, axes = pictures.new_figure(10, 3.5, columns=2)
    rows, levels = [row for row in ROWS if row in results["rows"]], [f"z{i + 1}" for i in range(len(LATENTS))]
    for i, row in enumerate(rows):
        metrics, width = results["rows"][row], 0.8 / len(rows)
        places = [level + width * (i - (len(rows) - 1) / 2) for level in range(len(LATENTS))]
        axes[0].bar(places, [metrics[f"kl_{level}"]["value"] for level in levels], width)
        used = [used_units(metrics, level) / size for level, size in zip(levels, LATENTS, strict=True)]
        axes[1].bar(places, used, width, label=row)
    axes[0].set(title="KL of each level (nats, log scale)", yscale="log", ylim=(1e-3, 100))
    axes[1].set(title="share of units with a KL above 0.01 nats")
    for axis in axes:
        axis.set_xticks(range(len(LATENTS)), [f"{n}\n({size} units)" for n, size in zip(levels, LATENTS, strict=True)])
    axes[1].legend(fontsize="small")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", help="folder of the training runs")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), help="only these rows")
    arguments = parser.parse_args()
    run(arguments.runs, arguments.rows)
    results = read_json(RESULTS)
    with atomic(RESULTS.with_suffix(".md")) as temporary:
        temporary.write_text(table(results))
    pictures.save_figure(picture(results), RESULTS.with_suffix(".png"))
    print(table(results))


if __name__ == "__main__":
    main()
