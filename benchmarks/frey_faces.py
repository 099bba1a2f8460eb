"""Frey faces in bits per dimension: posteriors, a prior and a likelihood on three divisions of the frames.

    python benchmarks/frey_faces.py run      # trains what is missing, then writes the table and the means
    python benchmarks/frey_faces.py card     # the means into the cards of the pretrained models

"diagonal" is the preset `vae_frey_faces`, "planar" `planar_vae_frey_faces`, and "mixture" `flow_prior_vae_frey_faces`:
a flow as the prior, and a mixture of three logistics a pixel. Division 0 is that of the data set, on which the
pretrained models were trained; 1 and 2 are other random ones of the same sizes, 1,565/200/200. Their images are written
under `--folder`, where the runs of `zoo train` are too.
"""

import argparse
import itertools
import pathlib

import numpy as np

import zoo
from zoo import evaluation, pretrained
from zoo.files import atomic, read_json, write_json
from zoo.pretrained.cards import record
from zoo.training import train

RESULTS = pathlib.Path(__file__).parent / "results" / "frey_faces.json"
MODELS = {"diagonal": "vae_frey_faces", "planar": "planar_vae_frey_faces", "mixture": "flow_prior_vae_frey_faces"}
DIFFERENCES = {f"{this} - {before}": (this, before) for before, this in itertools.pairwise(MODELS)}
PARTS = ("train", "validation", "test")
DIVISIONS = (0, 1, 2)


def division(number, folder):
    """The name or folder of the data of a division."""
    if number == 0:
        return "frey_faces"
    home = folder / f"division_{number}"
    if not home.exists():
        from PIL import Image

        parts = [zoo.data.load_arrays("frey_faces", part)["x"] for part in PARTS]
        frames = np.concatenate(parts)
        order = np.random.RandomState(number).permutation(len(frames))
        with atomic(home) as temporary:
            for part, rows in zip(PARTS, np.split(order, np.cumsum([len(p) for p in parts])[:-1]), strict=True):
                (temporary / part).mkdir(parents=True)
                for row in rows:
                    Image.fromarray(frames[row, ..., 0]).save(temporary / part / f"{row:04}.png")
    return str(home)


def trained(name, number, folder):
    """The model of a run: the pretrained one, or read, gone on with, or trained."""
    if number == 0:
        return zoo.load(name)
    preset, home = pretrained.preset(name), folder / f"{name}_{number}"
    if (home / "card.json").exists():
        return zoo.load(home)
    data = {**preset["data"], "name": division(number, folder)}
    return train(home, {**preset, "data": data}, resume=(home / "run.json").exists(), verbose=2)[0]


def scores(name, number, options):
    """The numbers of each test image of a division."""
    data = zoo.load_dataset(division(number, options.folder), "test", batch_size=100, shuffle=False)
    return evaluation.per_example(trained(name, number, options.folder), data, options.num_samples)


def run(options):
    """Train and measure every model on every division."""
    rows, dimensions = [], 28 * 20 * np.log(2)
    for number in DIVISIONS:
        bits = {kind: scores(name, number, options)["nll"] / dimensions for kind, name in MODELS.items()}
        measured = {kind: evaluation.mean_and_error(values) for kind, values in bits.items()}
        for name, (this, before) in DIFFERENCES.items():
            measured[name] = evaluation.mean_and_error(bits[this] - bits[before])
        rows.append({"division": number, **measured})
    columns = [*MODELS, *DIFFERENCES]
    means = {key: evaluation.mean_and_error([row[key]["value"] for row in rows]) for key in columns}
    report = {"num_samples": options.num_samples, "rows": rows, "mean": means, "versions": pretrained.versions()}
    write_json(RESULTS, report)
    with atomic(RESULTS.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(table(report)) + "\n")


def table(report):
    """Markdown lines."""
    columns = [*MODELS, *DIFFERENCES]
    lines = [f"| division | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    entries = [(str(row["division"]), row) for row in report["rows"]] + [("mean", report["mean"])]
    for title, entry in entries:
        cells = [f"{entry[k]['value']:.3f} ± {entry[k]['standard_error']:.3f}" for k in columns]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    note = (
        f"Bits per dimension of 200 test frames, three divisions of Frey faces, {report['num_samples']} samples, ± "
        "standard errors: over the images, paired by image for differences, and over the divisions for the means."
    )
    return [*lines, "", note]


def card(options):
    """Write the means over the divisions into the pretrained models' cards."""
    report = read_json(RESULTS)
    for kind, name in MODELS.items():
        mean = report["mean"][kind]
        entry = {**mean, "num_examples": 200, "num_samples": report["num_samples"], "num_runs": mean["num_examples"]}
        command = "python benchmarks/frey_faces.py run"
        record(name, {"bits_per_dim_3_runs": entry}, None, command, "test")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=["run", "card"])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/frey_faces"))
    parser.add_argument("--num-samples", type=int, default=5000)
    options = parser.parse_args()
    {"run": run, "card": card}[options.command](options)


if __name__ == "__main__":
    main()
