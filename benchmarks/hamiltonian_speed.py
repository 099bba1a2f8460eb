"""Milliseconds of a training step of Hamiltonian variational inference against leapfrog steps: this zoo and pythae.

    python benchmarks/hamiltonian_speed.py --json benchmarks/results/hamiltonian_speed.json

The 784-200-200-50 VAE of `train_speed.py` with L leapfrog steps, tempered from an inverse temperature of 0.3, batch
100, black and white, against pythae's HVAE with the same encoder and decoder and as many steps; the momenta are
standard normal on both sides. Each side lives in a process of its own, and their rounds are run in turn. pythae is
skipped where it is not installed.
"""

import argparse
import importlib.util
import os
import platform

import numpy as np
from importance_speed import BATCH, compare, network, show
from train_speed import LATENT, PIXELS, RATE, conclude, mnist, of_aim, pythae_epoch, pythae_networks, race, versions

ROUND = 1200  # leapfrog steps of a round, about
AIM = 0.7
LINEAR = 1.25
TEMPERING = 0.3


def ours(images, leapfrog_steps):
    """Keras' fit, compiled by XLA."""
    import zoo

    model = zoo.create("hvi_vae", leapfrog_steps=leapfrog_steps, tempering=TEMPERING, momentum_units=None, **network())
    model.compile("adam", jit_compile=True, steps_per_execution=min(20, len(images) // BATCH))
    model.optimizer.learning_rate = RATE
    data = zoo.load_dataset(images, batch_size=BATCH, drop_remainder=True)
    common = [w for part in (model.encoder, model.posterior_head, model.decoder) for w in part.trainable_weights]
    return lambda: model.fit(data, verbose=0).history["loss"][0], sum(int(np.prod(w.shape)) for w in common)


def pythae(images, leapfrog_steps):
    """pythae's HVAE and its trainer."""
    from pythae.models import HVAE, HVAEConfig

    settings = {"input_dim": (PIXELS,), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    steps = {"n_lf": leapfrog_steps, "beta_zero": TEMPERING, "learn_eps_lf": True, "learn_beta_zero": True}
    model = HVAE(HVAEConfig(**settings, **steps), *pythae_networks())
    epoch, _ = pythae_epoch(model, images, BATCH)
    return epoch, sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters())


def verdicts(cells):
    """What the aims say of {L: {"sides": {"ours": {"each"}}, "ratios"}}: the race, and whether time is linear in L."""
    found = {}
    for steps, cell in cells.items():
        if steps and "ours/pythae" in cell["ratios"]:
            ratio = cell["ratios"]["ours/pythae"]["ratio"]
            found[f"{steps} leapfrog steps over pythae's"] = of_aim(ratio, AIM)
    taken = sorted(steps for steps in cells if steps)
    if len(taken) >= 3:
        each = [cells[steps]["sides"]["ours"]["each"] for steps in taken]
        slopes = np.diff(each) / np.diff(taken)
        value = float(slopes[-1] / np.mean(slopes[:-1]))
        name = f"a leapfrog step of {taken[-2]} to {taken[-1]} over one before"
        found[name] = of_aim(value, LINEAR)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leapfrog-steps", type=int, nargs="+", default=[0, 1, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each side that are timed")
    parser.add_argument("--scale", type=float, default=1.0, help="of the steps in a round")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores each side may use")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    images, data = mnist(60_000)
    images = np.where(images > 127, 255, 0).astype("uint8")  # pythae's HVAE takes no grey values
    here = importlib.util.find_spec("pythae")
    if not here:
        print("pythae is skipped: it is not installed")
    machine = {"system": platform.platform(), "cores": options.cores, "load_before": os.getloadavg()}
    cells = {}
    for steps in options.leapfrog_steps:
        updates = min(len(images) // BATCH, max(2, int(options.scale * ROUND / (steps + 1))))
        sides = {"ours": ours, **({"pythae": pythae} if here and steps else {})}
        results = race(sides, (images[: updates * BATCH], steps), options.repeats, options.cores)
        cells[steps] = {"updates": updates, "ratios": compare(results, updates, lambda name: AIM), "sides": results}
        for name, result in results.items():
            print(f"L = {steps:3} {name:8} {1e3 * result['each']:8.2f} ms a step", flush=True)
        show(cells[steps]["ratios"])
    machine["load_after"] = os.getloadavg()
    report = {"data": data, "machine": machine, "versions": versions(), "cells": cells, "aims": verdicts(cells)}
    conclude(report, options.json)


if __name__ == "__main__":
    main()
