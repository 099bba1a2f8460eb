"""Six models of sequences on four sets of polyphonic music: bounds on log p(x) a step, beside published ones.

    python benchmarks/sequences.py                                        all rows; interrupted, it goes on where it was
    python benchmarks/sequences.py --data jsb_chorales --models vrnn dmm

Every model has a GRU and as many parameters as `--parameters` within 10 %: state, hidden layers and latents are of one
width, the largest that fits. All are trained by `zoo.training.train` for `--updates` updates (a share of them on the
two large sets), each in a folder of its own under `--folder`, with one recipe; the weights are those of the best epoch
on the validation pieces. Then the bounds of all test pieces are measured: the ELBO, and with 128 draws the
importance-weighted bound and that of a particle filter. After each row the results are written:
benchmarks/results/sequences.json, and .md, the table.
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from runs import trained

import zoo
from zoo import evaluation
from zoo.files import atomic, read_json, write_json

RESULTS = pathlib.Path(__file__).parent / "results" / "sequences.json"
KEYS, BATCH, NEAR = 88, 8, 0.1
SHARES = {"jsb_chorales": 1.0, "nottingham": 1.0, "piano_midi": 0.2, "muse_data": 0.2}  # of the updates
MODELS = {
    "rnn_baseline": ("rnn_baseline", {}),
    "storn": ("storn", {}),
    "vrnn": ("vrnn", {}),
    "srnn": ("srnn", {}),
    "dmm": ("dmm", {}),
    "dmm_iaf_2": ("dmm", {"posterior": {"name": "iaf", "num_layers": 2, "hidden_units": [64]}}),
}
BOUNDS = ("elbo_per_step", "iwae_per_step", "fivo_per_step")
# Nats a step: Bayer & Osendorfer 2014 (RNN of Boulanger-Lewandowski et al. 2012), Maddison et al. 2017 (ELBO, IWAE and
# FIVO of a VRNN with 4 particles), Fraccaro et al. 2016, Krishnan et al. 2017, Pyro's example (sum over sum).
PUBLISHED = {
    ("jsb_chorales", "rnn_baseline"): "-8.71",
    ("jsb_chorales", "storn"): "-6.91",
    ("jsb_chorales", "vrnn"): "-8.60, -7.86, -6.90",
    ("jsb_chorales", "srnn"): "-4.74",
    ("jsb_chorales", "dmm"): "-6.90 (sum over sum -6.85)",
    ("jsb_chorales", "dmm_iaf_2"): "sum over sum -6.80",
    ("nottingham", "rnn_baseline"): "-4.46",
    ("nottingham", "storn"): "-2.85",
    ("nottingham", "srnn"): "-2.94",
    ("muse_data", "rnn_baseline"): "-8.13",
    ("muse_data", "storn"): "-6.16",
    ("muse_data", "srnn"): "-6.28",
    ("piano_midi", "rnn_baseline"): "-8.37",
    ("piano_midi", "storn"): "-7.13",
    ("piano_midi", "srnn"): "-8.20",
}


def config(model, width):
    """The arguments of a model of this width."""
    name, extra = MODELS[model]
    sizes = {"state_dim": width, "hidden_units": [width], **({} if name == "rnn_baseline" else {"latent_dim": width})}
    return {"data_shape": [None, KEYS], **sizes, **extra}


def parameters(model, width):
    return zoo.create(MODELS[model][0], **config(model, width)).count_params()


def width_of(model, wanted):
    """The largest width with `wanted` parameters at most, by bisection."""
    low, high = 1, 2048
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(model, middle) <= wanted else (low, middle)
    if abs(parameters(model, low) / wanted - 1) > NEAR:
        raise SystemExit(f"{model}: no width gives {wanted} parameters within {NEAR:.0%}")
    return low


def preset(data, model, options):
    """The preset of a row; rows of one data set differ in the model alone."""
    pieces = len(zoo.data.load_arrays(data, "train")["length"])
    updates = int(SHARES[data] * options.updates)
    epochs = max(1, round(updates / -(-pieces // BATCH)))
    recipe = {
        "epochs": epochs,
        "batch_size": BATCH,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup_steps": 100,
        "kl": {"name": "linear", "steps": updates // 4},
        "ema": 0.99,
        "clipnorm": 10.0,
        "patience": epochs,
        "seed": options.seed,
    }
    return {
        "model": MODELS[model][0],
        "config": config(model, width_of(model, options.parameters)),
        "data": {"name": data, "split": "train", "validation": "validation"},
        "recipe": recipe,
    }


def measure(data, model, options):
    """The row's entry of the results."""
    wanted, start = preset(data, model, options), time.time()
    network = trained(options.folder / f"{data}-{model}", wanted, options.verbose)
    metrics = evaluation.evaluate(
        network, evaluation.test_data(network, {"name": data}, 20), evaluation.sequences.PARTICLES
    )
    return {
        **wanted,
        "parameters": network.count_params(),
        "metrics": {name: metrics[name] for name in (*BOUNDS, "overflow_percent") if name in metrics},
        "minutes": (time.time() - start) / 60,
        "updates": SHARES[data] * options.updates,
    }


def table(rows):
    """Markdown lines."""
    head = "| data | model | ELBO | IWAE, 128 | FIVO, 128 | sum over sum | published | parameters |"
    lines = [head, "|---" * 8 + "|"]
    for data in SHARES:
        for model in MODELS:
            row = rows.get(f"{data}/{model}")
            if row:
                found = [row["metrics"].get(name) for name in BOUNDS]
                cells = [f"{one['value']:.2f} ± {one['standard_error']:.2f}" if one else "" for one in found]
                if over := row["metrics"].get("overflow_percent"):
                    cells[0] = f"-∞ ({over['value']:.1f} % of the draws overflow)"
                pooled = ", ".join(f"{one['pooled']:.2f}" for one in found if one)
                cells += [pooled, PUBLISHED.get((data, model), ""), f"{row['parameters']:,}"]
                lines.append(f"| {data} | {model} | " + " | ".join(cells) + " |")
    updates = {
        data: {f"{row['updates']:,.0f}" for name, row in rows.items() if name.startswith(f"{data}/")} for data in SHARES
    }
    said = "; ".join(f"{data} {'/'.join(sorted(each))}" for data, each in updates.items() if each)
    note = (
        "Nats a step of all test pieces, mean over the pieces ± standard error, and the sum over all pieces by that of"
    )
    note += (
        f" their steps. Updates of batches of {BATCH}: {said}. Published numbers are of networks of other sizes, and"
    )
    return [*lines, "", note + " of one of the two means or the other."]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", default=list(SHARES), choices=SHARES)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--parameters", type=int, default=60_000)
    parser.add_argument("--updates", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/sequences"))
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--verbose", type=int, default=0)
    options = parser.parse_args()
    for data in options.data:
        for model in options.models:
            rows = read_json(options.output) if options.output.exists() else {}
            if f"{data}/{model}" in rows:
                continue
            row = measure(data, model, options)
            rows = read_json(options.output) if options.output.exists() else {}
            write_json(options.output, {**rows, f"{data}/{model}": row})
            with atomic(options.output.with_suffix(".md")) as temporary:
                temporary.write_text("\n".join(table({**rows, f"{data}/{model}": row})) + "\n")
            shown = {name: round(entry["value"], 3) for name, entry in row["metrics"].items()}
            print(f"{data} {model}: {shown}, {row['parameters']} parameters, {row['minutes']:.1f} min", flush=True)


if __name__ == "__main__":
    main()
