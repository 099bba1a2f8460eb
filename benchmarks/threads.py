"""Seconds for one epoch of `zoo train` on one core and on two, and how well the second one is used.

    python benchmarks/threads.py --json benchmarks/results/threads.json

Each training is a process of its own that may run on so many cores alone (`os.sched_setaffinity`, on Linux), by turns:
one core, two cores, one core, ... The first epoch of each, in which the update is compiled, is left out. Parallel
efficiency is the time on one core by twice the time on two: 1 where the second core halves the time.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

CORES = (1, 2)
MLP = ["--set", "latent_dim=50", "--set", "encoder.hidden_units=[200,200]"]
CONVOLUTIONS = ["--set", "latent_dim=50", "--set", "encoder=conv"]
CASES = {
    "784-200-200-50, batch 100": [*MLP, "--recipe", "batch_size=100"],
    "784-200-200-50, batch 500": [*MLP, "--recipe", "batch_size=500"],
    "convolutions, batch 100": [*CONVOLUTIONS, "--recipe", "batch_size=100"],
}
CHILD = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
from zoo.cli import main
main(sys.argv[2:])
"""


def epochs(cores, arguments):
    """Seconds of each epoch but the first of a training on so many cores."""
    from zoo.training.timing import epochs

    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = ["train", "vae", "--dataset", "mnist", *arguments, "--output", str(run)]
        done = subprocess.run([sys.executable, "-c", CHILD, str(cores), *command], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return [seconds for seconds, _ in epochs(run / "timing.csv")][1:]


def compared(seconds):
    """{"seconds": {cores: median}, "minima": {cores: least}, "efficiency", "efficiency_of_minima"} of {cores: [s]}."""
    medians = {cores: statistics.median(values) for cores, values in seconds.items()}
    minima = {cores: min(values) for cores, values in seconds.items()}
    few, many = min(seconds), max(seconds)
    share = many / few
    return {
        "seconds": medians,
        "minima": minima,
        "efficiency": medians[few] / (share * medians[many]),
        "efficiency_of_minima": minima[few] / (share * minima[many]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, help="Only so many images.")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < max(CORES):
        raise SystemExit(f"this measures a process on {max(CORES)} cores, which this system does not give or hold")
    from train_speed import conclude, of_aim, versions

    from zoo.training.timing import machine

    more = ["--epochs", str(options.epochs), *(["--limit", str(options.limit)] if options.limit else [])]
    report = {"repeats": options.repeats, "epochs": options.epochs, "limit": options.limit}
    report |= {"machine": machine(), "versions": versions(), "cases": {}}
    for name in options.cases:
        seconds = {cores: [] for cores in CORES}
        for _ in range(options.repeats):
            for cores in CORES:
                seconds[cores] += epochs(cores, [*CASES[name], *more])
        found = report["cases"][name] = compared(seconds)
        times = ", ".join(f"{cores} cores {s:.2f} s" for cores, s in found["seconds"].items())
        print(f"{name:28} {times}: efficiency {found['efficiency']:.2f}", flush=True)
    report["aims"] = {
        f"{name}: seconds by one core over twice those by two": of_aim(found["efficiency"])
        for name, found in report["cases"].items()
    }
    conclude(report, options.json)


if __name__ == "__main__":
    main()
