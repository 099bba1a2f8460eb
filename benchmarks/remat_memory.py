"""What rematerialisation saves: the peak memory of training steps of `deep_vae`, plain and rematerialised.

    python benchmarks/remat_memory.py --json benchmarks/results/remat_memory.json

Each side trains in a process of its own, in graph mode. `activations_mb` is how much the peak of the process rises from
one image to a batch: what is kept for the gradient. `peak_mb` is all of the process: TensorFlow, the graph itself
(which grows with the depth and not with the batch), weights and activations.
Seconds are those of all threads of a step together.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

RATIOS = {"activations_mb": ("activations", 0.4), "peak_mb": ("the whole process", None), "seconds": ("time", None)}
BLOCKS = {12: (5, 4, 2, 1), 24: (10, 8, 4, 2), 48: (20, 16, 8, 4)}
SETTINGS = {"data_shape": (32, 32, 3), "width": 64, "latent_channels": 8, "likelihood": "discretized_logistic_mixture"}


def measure(depth, rematerialize, batch_size, steps):
    """{"peak_mb", "activations_mb", "seconds", "loss"} of a side, in this process."""
    import numpy as np
    import tensorflow as tf

    import zoo
    from zoo.training.timing import peak_memory

    model = zoo.create("deep_vae", num_blocks=BLOCKS[depth], rematerialize=rematerialize, seed=0, **SETTINGS)
    model.compile("adam")
    x = np.random.RandomState(0).randint(0, 256, (batch_size, 32, 32, 3)).astype("uint8")
    step = tf.function(model.train_step, input_signature=[{"x": tf.TensorSpec((None, 32, 32, 3), "uint8")}])
    step({"x": x[:1]})
    before, seconds = peak_memory(), []
    for _ in range(steps):
        start = time.process_time()
        logs = step({"x": x})
        seconds.append(time.process_time() - start)
    peak = peak_memory()
    found = {"peak_mb": peak / 2**20, "activations_mb": (peak - before) / 2**20, "seconds": min(seconds)}
    return {**found, "loss": float(logs["loss"])}


def compare(depth, batch_size, steps):
    """Both sides of a depth, each in a process of its own, and the ratios of their memory and time."""
    command = [sys.executable, __file__, "--one"]
    jobs = [[*command, *map(str, (depth, side, batch_size, steps))] for side in (0, 1)]
    jobs = [subprocess.Popen(job, stdout=subprocess.PIPE, text=True) for job in jobs]
    plain, again = (json.loads(job.communicate()[0].splitlines()[-1]) for job in jobs)
    ratios = {name: again[name] / plain[name] for name in RATIOS}
    return {"plain": plain, "rematerialised": again, "ratio": ratios}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depths", nargs="+", type=int, default=list(BLOCKS))
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--one", nargs=4, type=int, help="depth, side, batch size and steps: measure one side here.")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one)))
        return
    from train_speed import conclude, of_aim, versions

    report = {"batch_size": options.batch_size, "versions": versions(), "depths": {}, "aims": {}}
    for depth in options.depths:
        entry = report["depths"][str(depth)] = compare(depth, options.batch_size, options.steps)
        sides = " / ".join(f"{entry[side]['activations_mb']:.0f}" for side in ("rematerialised", "plain"))
        print(f"{depth:3} levels: {sides} MB of activations, rematerialised / plain", flush=True)
        for key, (what, aim) in RATIOS.items():
            report["aims"][f"{depth} levels, rematerialised over plain: {what}"] = of_aim(entry["ratio"][key], aim)
    conclude(report, options.json)


if __name__ == "__main__":
    main()
