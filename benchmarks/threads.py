"""Seconds for one epoch of `zoo train` on one core, on two, and on two where each operator runs on one alone.

    python benchmarks/threads.py --json benchmarks/results/threads.json

Each training is a process of its own that may run on so many cores alone (`os.sched_setaffinity`, on Linux), by turns.
The first epoch of each, in which the update is compiled, is left out. Parallel efficiency is the time on one core by
twice the time on two: 1 where the second core halves the time. With `TF_NUM_INTRAOP_THREADS=1` cores share no operator,
but the rows of a batch.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ONE, TWO, APART = "1 core", "2 cores", "2 cores, an operator on one"
THREADS = "TF_NUM_INTRAOP_THREADS"
SIDES = {ONE: (1, {}), TWO: (2, {THREADS: "2"}), APART: (2, {THREADS: "1"})}  # cores, environment
MLP = ["--set", "latent_dim=50", "--set", "encoder.hidden_units=[200,200]", "--recipe", "steps_per_execution=10"]
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


def epochs(side, arguments):
    """Seconds of each epoch but the first of a training on one of the `SIDES`."""
    from zoo.training.timing import epochs

    cores, environment = SIDES[side]
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = ["train", "vae", "--dataset", "mnist", *arguments, "--output", str(run)]
        command = [sys.executable, "-c", CHILD, str(cores), *command]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        if done.returncode:
            raise SystemExit(done.stderr)
        return [seconds for seconds, _ in epochs(run / "timing.csv")][1:]


def compared(seconds):
    """Medians, least values, and what is made of the medians, of {side: [s]}."""
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    return {
        "seconds": medians,
        "minima": {side: min(values) for side, values in seconds.items()},
        "efficiency": {side: medians[ONE] / (2 * medians[side]) for side in (TWO, APART)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, help="Only so many images.")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("this measures a process on 2 cores, which this system does not give or hold")
    from train_speed import conclude, of_aim, versions

    from zoo.training.timing import machine

    more = ["--epochs", str(options.epochs), *(["--limit", str(options.limit)] if options.limit else [])]
    report = {"repeats": options.repeats, "epochs": options.epochs, "limit": options.limit}
    report |= {"machine": machine(), "versions": versions(), "cases": {}}
    for name in options.cases:
        seconds = {side: [] for side in SIDES}
        for _ in range(options.repeats):
            for side in SIDES:
                seconds[side] += epochs(side, [*CASES[name], *more])
        found = report["cases"][name] = compared(seconds)
        print(f"{name:28} " + ", ".join(f"{side} {s:.2f} s" for side, s in found["seconds"].items()), flush=True)
    report["aims"] = {
        f"{name}: seconds by {ONE} over twice those by {side}": of_aim(found["efficiency"][side])
        for name, found in report["cases"].items()
        for side in (TWO, APART)
    }
    conclude(report, options.json)


if __name__ == "__main__":
    main()
