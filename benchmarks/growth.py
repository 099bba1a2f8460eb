"""How the time and the memory of an update grow: with the batch, draws, sizes, depth, classes, pixels and replicas.

    python benchmarks/growth.py --json benchmarks/results/growth.json

Each point is a process of its own, which takes updates of a model without XLA, with Adam, on one batch; along a curve
all but the one size stays. Seconds are the least of the rounds, memory is the peak of the process, TensorFlow's own
part included. Along each curve the cost is fitted by `fixed + each * size` (least squares of relative errors): up to
the size `fixed / each` the fixed part is the larger one, and a size less than that is nearly free. The exponent is the
slope of log(cost - fixed) over the upper half of the sizes: 1 is linear. Replicas are logical devices of one processor,
a batch of 100 each, so that their exponent says what sharing a batch costs, not what more hardware gains.
"""

import argparse
import contextlib
import json
import math
import pathlib
import subprocess
import sys
import time

SMALL = {"data_shape": [28, 28, 1], "latent_dim": 50, "encoder": {"name": "mlp", "hidden_units": [200, 200]}}
DEEP = {"num_blocks": [1, 1, 1], "width": 16, "latent_channels": 4, "likelihood": "bernoulli", "binarize": "dynamic"}
PIXELS = [side**2 for side in (16, 32, 64, 128)]


def square(pixels):
    """The shape of a square image."""
    return [math.isqrt(pixels), math.isqrt(pixels), 1]


def mlp(**more):
    return "vae", {**SMALL, **more}


CURVES = {  # name -> (sizes, size -> the model as (registry name, arguments))
    "batch": ([25, 100, 400, 1600, 6400], lambda size: mlp()),
    "importance draws": ([1, 4, 16, 64, 256], lambda size: ("iwae", {**SMALL, "num_samples": size})),
    "latent size": ([8, 32, 128, 512, 2048], lambda size: mlp(latent_dim=size)),
    "hidden units of two layers": (
        [64, 128, 256, 512, 1024, 2048],
        lambda size: mlp(encoder={"name": "mlp", "hidden_units": [size, size]}),
    ),
    "hidden layers": ([1, 4, 16, 32, 64], lambda size: mlp(encoder={"name": "mlp", "hidden_units": [200] * size})),
    "planar layers": ([1, 4, 16, 32, 64], lambda size: mlp(posterior={"name": "planar", "num_layers": size})),
    "classes, enumerated": ([2, 8, 32, 128], lambda size: ("m2", {**SMALL, "num_classes": size})),
    "classes, the likeliest": (
        [4, 8, 32, 128],
        lambda size: ("m2", {**SMALL, "num_classes": size, "labels": {"name": "top", "count": 1}}),
    ),
    "pixels, dense": (PIXELS, lambda size: mlp(data_shape=square(size))),
    "pixels, convolutions": (PIXELS, lambda size: ("deep_vae", {**DEEP, "data_shape": square(size)})),
    "replicas": ([1, 2, 4, 8], lambda size: mlp()),
}
BATCHES = {"pixels, convolutions": 8}  # 100 otherwise
COSTS = {"seconds": "seconds an update", "peak_mb": "peak memory, MB"}


def measure(curve, size, rounds):
    """{"seconds", "peak_mb"} of a point, in this process."""
    import numpy as np
    import tensorflow as tf

    import zoo
    from zoo.training.timing import peak_memory

    replicas = size if curve == "replicas" else 1
    if replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)]) if replicas > 1 else None
    name, config = CURVES[curve][1](size)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = zoo.create(name, seed=0, **config)
        model.compile("adam")
    rows = size if curve == "batch" else BATCHES.get(curve, 100) * replicas
    dice = np.random.RandomState(0)
    batch = {"x": dice.rand(rows, *config["data_shape"]).astype("float32")}
    if name == "m2":
        batch["y"] = np.where(np.arange(rows) % 2, -1, dice.randint(0, size, rows)).astype("int32")
    batch = {key: tf.constant(value) for key, value in batch.items()}
    update = updater(strategy, model, batch)
    update()
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - begun)
    return {"seconds": min(seconds), "peak_mb": peak_memory() / 2**20}


def updater(strategy, model, batch):
    """A function that takes an update and waits for it."""
    import tensorflow as tf

    from zoo.training.distribute import shared, stepper

    if strategy:
        batches = shared(strategy, tf.data.Dataset.from_tensors(batch))
        step = stepper(strategy, model, model.train_step)
        return lambda: step(batches, 1)["loss"].numpy()
    step = tf.function(model.train_step)
    return lambda: step(batch)["loss"].numpy()


def fitted(sizes, costs):
    """{"fixed", "each", "even", "exponent"} of costs along sizes; "even" is where both parts are the same."""
    import numpy as np
    from scipy.optimize import nnls

    sizes, costs = np.asarray(sizes, float), np.asarray(costs, float)
    fixed, each = nnls(np.stack([1 / costs, sizes / costs], 1), np.ones(len(costs)))[0]
    found = {"fixed": fixed, "each": each, "even": fixed / each if each else None, "exponent": None}
    upper = slice(len(sizes) // 2, None)
    growing = costs[upper] - min(costs[0], fixed)
    if (growing > 0.05 * costs[upper]).all():  # else it does not grow
        found["exponent"] = float(np.polyfit(np.log(sizes[upper]), np.log(growing), 1)[0])
    return found


def table(report):
    """Markdown lines."""
    head = [
        "",
        *(f"{said}: {part}" for said in ("time", "memory") for part in ("least to most", "exponent", "even at")),
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for curve, found in report["curves"].items():
        points, cells = found["points"], []
        first, *_, last = points
        for cost, unit in (("seconds", 1000), ("peak_mb", 1)):
            fit = found["fits"][cost]
            ends = " to ".join(f"{points[size][cost] * unit:,.3g}" for size in (first, last))
            cells.append(ends + (" ms" if cost == "seconds" else " MB"))
            cells.append("none" if fit["exponent"] is None else f"{fit['exponent']:.2f}")
            cells.append("" if fit["even"] is None else f"{fit['even']:,.0f}")
        lines.append(f"| {curve}, {int(first):,} to {int(last):,} | " + " | ".join(cells) + " |")
    return lines


def draw(report, path):
    """A panel a curve: time and memory against the size, with the fits."""
    import matplotlib
    import numpy as np

    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    from zoo.files import atomic

    curves, columns = report["curves"], 4
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3.2 * rows), squeeze=False)
    for axis in axes.flat[len(curves) :]:
        axis.axis("off")
    for axis, (curve, found) in zip(axes.flat, curves.items(), strict=False):
        sizes = np.array([int(size) for size in found["points"]])
        for side, (cost, said), colour in zip((axis, axis.twinx()), COSTS.items(), ("C0", "C1"), strict=True):
            side.loglog(sizes, [point[cost] for point in found["points"].values()], "o", color=colour)
            fit, dense = found["fits"][cost], np.geomspace(sizes[0], sizes[-1], 50)
            side.loglog(dense, fit["fixed"] + fit["each"] * dense, color=colour, linewidth=1)
            side.set_ylabel(said, color=colour, fontsize=8)
            side.tick_params(labelsize=7)
            side.yaxis.set_major_formatter("{x:g}")
            side.yaxis.set_minor_locator(NullLocator())
            side.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
            side.xaxis.set_minor_locator(NullLocator())
            if cost == "seconds":
                side.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            else:
                side.set_yscale("linear")
        axis.set_title(curve, fontsize=10)
    figure.tight_layout()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=80)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--curves", nargs="+", choices=CURVES, default=list(CURVES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--one", nargs=2, help="a curve and a size: measure one point here.")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.rounds)))
        return
    from runs import store

    from zoo.files import read_json
    from zoo.pretrained import versions
    from zoo.training.timing import machine

    report = {"rounds": options.rounds, "machine": machine(), "versions": versions(), "curves": {}}
    if options.json and options.json.exists():
        before = read_json(options.json)
        if before == {**report, "curves": before["curves"]}:  # of the same kind: what is not asked for stays
            report = before
    for curve in options.curves:
        points = {}
        for size in CURVES[curve][0]:
            command = [sys.executable, __file__, "--rounds", str(options.rounds), "--one", curve, str(size)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            points[str(size)] = json.loads(done.stdout.splitlines()[-1])
        sizes = [int(size) for size in points]
        fits = {cost: fitted(sizes, [point[cost] for point in points.values()]) for cost in COSTS}
        report["curves"][curve] = {"points": points, "fits": fits}
        print(table({"curves": {curve: report["curves"][curve]}})[-1], flush=True)
        if options.json:
            store(options.json, report, {options.json.stem: table(report)})
            draw(report, options.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
