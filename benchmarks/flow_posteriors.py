"""What richer posteriors and priors are worth on static MNIST: one encoder, decoder, budget and seed, a row a part.

    python benchmarks/flow_posteriors.py                 all rows; interrupted, it goes on where it was
    python benchmarks/flow_posteriors.py --rows diagonal planar_10

Every row is trained by `zoo.training.train` in a folder of its own under `--folder` (so its training resumes too), then
measured on the first `--limit` test images with `--num-samples` draws. After each row the results are written:
`--output`.json, and `.md`, the table. The difference is that to the row `diagonal`, image by image, with the standard
error of its own mean.
"""

import argparse
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from runs import trained

import zoo
from zoo import evaluation
from zoo.files import atomic, read_json, write_json
from zoo.replicas import num_cores
from zoo.training.recipe import Recipe
from zoo.training.run import data_arguments

RESULTS = pathlib.Path(__file__).parent / "results" / "flow_posteriors"


def layers(name, count, **settings):
    return {"posterior": {"name": name, "num_layers": count, **settings}}


ROWS = {
    "diagonal": ("vae", {}),
    "full_covariance": ("full_covariance_vae", {}),
    "planar_10": ("planar_vae", layers("planar", 10)),
    "planar_20": ("planar_vae", layers("planar", 20)),
    "planar_40": ("planar_vae", layers("planar", 40)),
    "radial_10": ("radial_vae", layers("radial", 10)),
    "sylvester_4": ("sylvester_vae", layers("sylvester", 4)),
    "iaf_4": ("iaf_vae", layers("iaf", 4)),
    "coupling_6": ("coupling_vae", layers("coupling", 6)),
    "flow_prior": ("flow_prior_vae", {}),
    "vamp_prior": ("vamp_vae", {"num_pseudo_inputs": 500}),
}


def preset(row, options):
    """The preset of a row; rows differ in the model and its part alone."""
    model, config = ROWS[row]
    encoder = {"name": "mlp", "hidden_units": list(options.hidden_units), "activation": "silu"}
    recipe = {
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "schedule": "cosine",
        "warmup_steps": options.warm_up_steps // 4,
        "kl": {"name": "linear", "steps": options.warm_up_steps},
        "jit_compile": True,
        "steps_per_execution": options.steps_per_execution,
        "seed": options.seed,
    }
    return {
        "model": model,
        "config": {"latent_dim": options.latent_dim, "encoder": encoder, **config},
        "data": {"name": "binarized_mnist", "split": "train", "limit": options.train_limit},
        "recipe": {**recipe, "ema": options.ema},
    }


def scored(row, options):
    """(the row's model, its numbers per test image), kept beside its weights."""
    model = trained(options.folder / row, preset(row, options), options.verbose)
    path = options.folder / row / f"scores-{options.num_samples}-{options.limit}.npz"
    if not path.exists():
        data = evaluation.test_data(model, {"name": "binarized_mnist"}, limit=options.limit)
        scores = evaluation.per_example(model, data, options.num_samples, options.limit)
        with atomic(path) as temporary:
            np.savez(temporary, **scores)
    with np.load(path) as scores:
        return model, dict(scores)


def epoch_seconds(row, options):
    """Seconds of an epoch, the median of three short runs on a fresh model, without compilation and validation."""
    settings = preset(row, options)
    model, recipe = zoo.create(settings["model"], **settings["config"]), Recipe.of(settings["recipe"])
    data = zoo.load_dataset(**data_arguments(model, settings["data"], recipe), drop_remainder=True)
    total = int(data.cardinality())
    steps = min(total, 10 * recipe.steps_per_execution)
    model.compile("adam", jit_compile=True, steps_per_execution=recipe.steps_per_execution)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        model.fit(data.take(steps), verbose=0)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * total / steps


def measure(row, reference, options):
    """The row's entry of the results; `reference` are the scores of the diagonal row, None for itself."""
    model, scores = scored(row, options)
    entry = {"row": row, "model": ROWS[row][0], "config": preset(row, options)["config"]}
    entry["metrics"] = evaluation.summary(model, scores, options.num_samples)
    if reference is not None:
        difference = evaluation.mean_and_error(scores["nll"] - reference["nll"], num_samples=options.num_samples)
        entry["metrics"]["nll_difference"] = difference
    entry["parameters"] = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    entry["seconds_per_epoch"] = epoch_seconds(row, options)
    entry["cores"] = num_cores()
    return entry, scores


def table(rows, protocol):
    """Markdown lines."""
    lines = ["| row | NLL | difference to diagonal | ELBO | KL | active units | parameters | s per epoch |"]
    lines.append("|---" * 8 + "|")
    for row in rows.values():
        metrics = row["metrics"]
        cells = [shown(metrics[m]) if m in metrics else "" for m in ("nll", "nll_difference", "elbo", "kl")]
        units = f"{metrics['active_units']['value']} of {metrics['active_units']['of']}"
        sizes = f"{row['parameters'] / 1e6:.2f} M | {row['seconds_per_epoch']:.1f}"
        lines.append(f"| {row['row']} | " + " | ".join(cells) + f" | {units} | {sizes} |")
    note = (
        "Nats per image, ± standard errors, on the first {limit} test images of binarized_mnist; NLL with {num_samples}"
        " samples; {epochs} epochs, seed {seed}. Differences are paired by image: negative is better than diagonal."
        " Seconds are of training on {cores} cores."
    )
    cores = "/".join(sorted({str(row["cores"]) for row in rows.values()}))
    return [*lines, "", note.format(**protocol, cores=cores)]


def shown(metric):
    return f"{metric['value']:.2f} ± {metric['standard_error']:.2f}"


PROTOCOL = (
    "epochs",
    "batch_size",
    "learning_rate",
    "warm_up_steps",
    "hidden_units",
    "latent_dim",
    "ema",
    "train_limit",
    "limit",
    "num_samples",
    "seed",
)


def write(report, output):
    write_json(output.with_suffix(".json"), report)
    with atomic(output.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(table(report["rows"], report["protocol"])) + "\n")


def known_rows(options, protocol):
    """The rows that are in `--output` already, measured under the same protocol."""
    path = options.output.with_suffix(".json")
    if not path.exists():
        return {}
    report = read_json(path)
    if report["protocol"] != protocol:
        raise SystemExit(f"{path} has another protocol: choose another --output, or remove it")
    return report["rows"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warm-up-steps", type=int, default=5000, help="updates over which the KL's weight rises")
    parser.add_argument("--hidden-units", type=int, nargs="+", default=[300, 300])
    parser.add_argument("--latent-dim", type=int, default=40)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--steps-per-execution", type=int, default=20)
    parser.add_argument("--train-limit", type=int, help="only the first training images")
    parser.add_argument("--limit", type=int, default=1000, help="test images")
    parser.add_argument("--num-samples", type=int, default=500, help="draws per image of the NLL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", default="auto", choices=["auto", "0", "1", "2"])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/flow_posteriors"))
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS, help="without a suffix")
    options = parser.parse_args()
    options.verbose = options.verbose if options.verbose == "auto" else int(options.verbose)
    protocol = {name: getattr(options, name) for name in PROTOCOL}
    report = {"protocol": protocol, "rows": known_rows(options, protocol)}
    reference = None
    for row in dict.fromkeys(["diagonal", *options.rows]):
        if row in report["rows"] and row != "diagonal":
            print(f"{row}: done before")
            continue
        print(f"{row}", flush=True)
        if row == "diagonal" and row in report["rows"]:
            reference = scored(row, options)[1]
            continue
        report["rows"][row], scores = measure(row, reference, options)
        reference = scores if row == "diagonal" else reference
        write(report, options.output)
        print("\n".join(table({row: report["rows"][row]}, protocol)[:3]), flush=True)
    write(report, options.output)
    print(f"wrote {options.output}.json and .md")


if __name__ == "__main__":
    main()
