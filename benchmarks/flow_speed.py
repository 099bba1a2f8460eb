"""Milliseconds of a training step as a function of the number of flow layers: this zoo, pythae and normflows.

    python benchmarks/flow_speed.py --json benchmarks/results/flow_speed.json

A 784-200-200-50 VAE with ReLU and a Bernoulli likelihood, Adam 1e-3, single precision, batches of 100. Ours is measured
with free parameters, as the planar and radial flows of the others have, and with amortised ones, which they lack; the
autoregressive networks of ours and pythae's have one hidden layer of 128 units. Each side lives in a process of its
own. For each kind and number of layers all build their model, then take `--steps` steps at a time in turn, with our
diagonal posterior (0 layers) among them. What is not installed is left out (`pip install vae-zoo[benchmark]`).
"""

import argparse
import importlib.util
import multiprocessing
import os
import platform
import statistics
import tempfile
import time

import numpy as np
from train_speed import HIDDEN, LATENT, PIXELS, RATE, conclude, of_aim, pythae_networks, torch_stack, versions

MADE_UNITS = 128
AIM = {
    "amortised planar, 10 layers over diagonal": 1.3,
    "amortised planar, a layer of the last 20 over one of the first 20": 1.5,
    "compiling 40 planar layers, s": 30.0,
}


def images(count):
    """[count, 28, 28, 1] random binary images, as floats."""
    return np.random.default_rng(0).integers(0, 2, (count, 28, 28, 1)).astype("float32")


def ours(kind, layers, amortized, steps, batch_size):
    """A function that takes `steps` training steps."""
    import zoo

    encoder = {"name": "mlp", "hidden_units": [HIDDEN, HIDDEN], "activation": "relu"}
    posterior = {"name": kind, "num_layers": layers, "amortized": amortized} if layers else "diagonal"
    if kind == "iaf" and layers:
        posterior["hidden_units"] = [MADE_UNITS]
    model = zoo.create("vae", latent_dim=LATENT, encoder=encoder, posterior=posterior)
    model.compile("adam", jit_compile=True, steps_per_execution=min(20, steps))
    model.optimizer.learning_rate = RATE
    data = zoo.load_dataset(images(steps * batch_size), batch_size=batch_size, drop_remainder=True)
    return lambda: model.fit(data, verbose=0)


def pythae(kind, layers, amortized, steps, batch_size):
    """As `ours`, with pythae's model and trainer."""
    import torch
    from pythae import models
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    encoder, decoder = pythae_networks()
    common = {"input_dim": (PIXELS,), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    if not layers:
        model = models.VAE(models.VAEConfig(**common), encoder, decoder)
    elif kind == "iaf":
        made = {"n_made_blocks": layers, "n_hidden_in_made": 1, "hidden_size": MADE_UNITS}
        model = models.VAE_IAF(models.VAE_IAF_Config(**common, **made), encoder, decoder)
    else:
        flows = [kind.capitalize()] * layers
        model = models.VAE_LinNF(models.VAE_LinNF_Config(**common, flows=flows), encoder, decoder)
    x = torch.tensor(images(steps * batch_size).reshape(-1, PIXELS))
    settings = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        learning_rate=RATE,
        per_device_train_batch_size=batch_size,
        optimizer_cls="Adam",
        no_cuda=True,
    )
    trainer = BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=settings)
    trainer.prepare_training()
    trainer.callback_handler.callbacks.clear()
    return lambda: trainer.train_step(1)


def normflows(kind, layers, amortized, steps, batch_size):
    """As `ours`, with normflows' VAE in a plain PyTorch loop."""
    import normflows
    import torch
    from torch import nn

    encoder = nn.Sequential(torch_stack(PIXELS, HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2 * LATENT))
    decoder = nn.Sequential(torch_stack(LATENT, HIDDEN, HIDDEN), nn.Linear(HIDDEN, PIXELS))
    flow = {"planar": normflows.flows.Planar, "radial": normflows.flows.Radial}[kind]
    model = normflows.NormalizingFlowVAE(
        normflows.distributions.DiagGaussian(LATENT, trainable=False),
        normflows.distributions.NNDiagGaussian(encoder),
        [flow((LATENT,)) for _ in range(layers)],
        normflows.distributions.NNBernoulliDecoder(decoder),
    )
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    x = torch.tensor(images(steps * batch_size).reshape(-1, PIXELS))

    def run():
        for rows in torch.randperm(len(x)).split(batch_size):
            _, log_q, log_p = model(x[rows])
            optimizer.zero_grad()
            (log_q - log_p).mean().backward()
            optimizer.step()

    return run


SIDES = {"ours": ours, "pythae": pythae, "normflows": normflows}
NOT_OF = {"normflows": ("iaf",)}  # its MADE has no network of one hidden layer


def worker(name, connection, cores):
    """A side's process: it is sent a model's arguments; the first time it builds that model, then it takes steps."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    models = {}
    while (order := connection.recv()) is not None:
        start, cpu = time.perf_counter(), time.process_time()
        try:
            if order not in models:
                models[order] = SIDES[name](*order)
            models[order]()
            connection.send((time.perf_counter() - start, time.process_time() - cpu))
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}")


def ask(connection, order):
    connection.send(order)
    return connection.recv()


def rows(options):
    """The cells (side, kind, layers, amortised) that are measured in turn: a number of layers, and the diagonal."""
    for kind in options.kinds:
        sides = [side for side in options.sides if kind not in NOT_OF.get(side, ())]
        for layers in options.layers:
            free = [(side, kind, layers, False) for side in sides if layers or side != "ours"]
            yield list(dict.fromkeys([("ours", kind, 0, True), ("ours", kind, layers, True), *free]))


def measure(row, connections, options):
    """Cell -> {"ms", "cpu_ms", "build": seconds until the first steps are done}, or {"error"} of a side that failed."""
    found, failed = {}, {}
    for repeat in range(options.repeats + 1):
        for cell in row:
            side, *arguments = cell
            if cell in failed:
                continue
            answer = ask(connections[side], (*arguments, options.steps, options.batch_size))
            if isinstance(answer, str):
                if side == "ours":
                    raise SystemExit(answer)
                failed[cell] = {"error": answer.strip().splitlines()[-1]}
                continue
            seconds, cpu = answer
            if repeat == 0:
                found[cell] = {"build": seconds, "times": [], "cpu": []}
                continue
            found[cell]["times"].append(1e3 * seconds / options.steps)
            found[cell]["cpu"].append(1e3 * cpu / options.steps)
    medians = {
        cell: {"ms": statistics.median(f["times"]), "cpu_ms": statistics.median(f["cpu"]), "build": f["build"]}
        for cell, f in found.items()
        if cell not in failed
    }
    return medians | failed


def verdicts(entries):
    """What the aims say of the measured cells."""
    times = {(e["side"], e["kind"], e["layers"], e["amortized"]): e for e in entries}
    planar = {n: times["ours", "planar", n, True] for n in (10, 20, 40) if ("ours", "planar", n, True) in times}
    values, ratio = {}, {n: entry["over_diagonal"] for n, entry in planar.items()}
    if 10 in planar:
        values["amortised planar, 10 layers over diagonal"] = ratio[10]
    if {20, 40} <= planar.keys():
        slope = (ratio[40] - ratio[20]) / (ratio[20] - 1)
        values["amortised planar, a layer of the last 20 over one of the first 20"] = slope
    if 40 in planar:
        values["compiling 40 planar layers, s"] = planar[40]["build"]
    return {name: of_aim(value, AIM[name]) for name, value in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", default=["planar", "radial", "iaf"])
    parser.add_argument("--layers", nargs="+", type=int, default=[0, 1, 5, 10, 20, 40])
    parser.add_argument("--steps", type=int, default=200, help="training steps timed at once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores each side may use")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options.sides = [side for side in SIDES if side == "ours" or importlib.util.find_spec(side)]
    context, connections, processes = multiprocessing.get_context("spawn"), {}, []
    for side in options.sides:
        connections[side], there = context.Pipe()
        processes.append(context.Process(target=worker, args=(side, there, options.cores), daemon=True))
        processes[-1].start()
    entries = []
    times = f"{'ms a step':>9} {'CPU ms':>7} {'x diagonal':>10} {'build s':>8}"
    print(f"{'kind':7} {'layers':>6} {'side':9} {'parameters':10} {times}")
    for row in rows(options):
        measured = measure(row, connections, options)
        diagonal = measured[row[0]]["ms"]
        for (side, kind, layers, amortized), found in measured.items():
            if layers != row[-1][2]:
                continue  # the diagonal, beside other layers
            if "ms" in found:
                found["over_diagonal"] = found["ms"] / diagonal
            entries.append({"side": side, "kind": kind, "layers": layers, "amortized": amortized, **found})
            how = "amortised" if amortized else "free"
            if "error" in found:
                print(f"{kind:7} {layers:6} {side:9} {how:10} {found['error']}", flush=True)
                continue
            numbers = f"{found['ms']:9.2f} {found['cpu_ms']:7.2f} {found['over_diagonal']:10.2f} {found['build']:8.1f}"
            print(f"{kind:7} {layers:6} {side:9} {how:10} {numbers}", flush=True)
    for connection, process in zip(connections.values(), processes, strict=True):
        connection.send(None)
        process.join()
    report = {
        "machine": {"system": platform.platform(), "cores": options.cores, "load": os.getloadavg()},
        "versions": versions(),
        "settings": {"steps": options.steps, "repeats": options.repeats, "batch_size": options.batch_size},
        "cells": entries,
        "aims": verdicts(entries),
    }
    conclude(report, options.json)


if __name__ == "__main__":
    main()
