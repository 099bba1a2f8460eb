"""Milliseconds of a training step of M2: what unlabelled examples and many classes cost, and Pyro's ss_vae beside it.

    python benchmarks/semi_supervised_speed.py --json benchmarks/results/semi_supervised_speed.json

784-500-z50 with softplus, batch 200, Adam, binarised MNIST (random images where it is not prepared), 20 of the rows
labelled. "labelled" is the labelled-only training of the same networks, a conditional VAE; "m2" sums over the classes,
"m2_top" over the two likeliest and one of the rest; "m2_20" and so on have that many classes, with labels drawn by
chance. "pyro" is the model of Pyro's example `ss_vae_M2` (TraceEnum_ELBO, the labels enumerated in parallel), with its
two losses, on the same numbers of labelled and unlabelled rows; it is skipped where Pyro is not installed. The sides
take turns, each in a process of its own, as in train_speed.py.
"""

import argparse
import functools
import importlib.util
import os
import platform

import numpy as np
import train_speed

HIDDEN, LATENT, BATCH, LABELLED, STEPS = 500, 50, 200, 20, 20
CLASSES = (5, 10, 20, 40)


def batches(images, num_classes):
    """Endless batches of STEPS steps, 20 rows labelled by chance."""
    import tensorflow as tf

    y = np.random.default_rng(0).integers(0, num_classes, len(images)).astype("int32")
    y[np.arange(len(y)) % BATCH >= LABELLED] = -1
    data = tf.data.Dataset.from_tensor_slices({"x": images, "y": y}).batch(BATCH, drop_remainder=True)
    return data.cache().repeat().prefetch(2)


def trained(images, name, config):
    """A side that trains a model of the zoo for STEPS steps."""
    import zoo

    model = zoo.create(name, latent_dim=LATENT, binarize="dynamic", **config)
    model.compile("adam", jit_compile=True, steps_per_execution=STEPS)
    data = batches(images, config.get("num_classes", 10))
    if name == "conditional_vae":
        data = data.map(lambda fields: {**fields, "y": abs(fields["y"])})
    return lambda: model.fit(data, steps_per_epoch=STEPS, verbose=0).history["loss"][0], None


def side(name, **config):
    """`trained` of a model, as it can be sent to another process; it needs TensorFlow."""
    return functools.partial(trained, name=name, config=config), "tensorflow"


def pyro(images):
    """Pyro's semi-supervised VAE with these sizes: unsupervised, supervised and classification losses."""
    import pyro as package
    import pyro.distributions as dist
    import torch
    from pyro.infer import SVI, TraceEnum_ELBO, config_enumerate
    from pyro.optim import Adam
    from torch import nn

    def network(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.Softplus(), nn.Linear(HIDDEN, outputs))

    decoder, encoder = network(LATENT + 10, train_speed.PIXELS), network(train_speed.PIXELS + 10, 2 * LATENT)
    classifier = network(train_speed.PIXELS, 10)

    def beside(x, y):
        return torch.cat([x.expand(*y.shape[:-1], x.shape[-1]), y], -1)

    def model(x, y=None):
        package.module("decoder", decoder)
        with package.plate("data", len(x)):
            z = package.sample("z", dist.Normal(x.new_zeros(len(x), LATENT), 1.0).to_event(1))
            y = package.sample("y", dist.OneHotCategorical(x.new_ones(len(x), 10) / 10), obs=y)
            logits = decoder(beside(z, y))
            package.sample("x", dist.Bernoulli(logits=logits, validate_args=False).to_event(1), obs=x)

    def guide(x, y=None):
        package.module("encoder", encoder), package.module("classifier", classifier)
        with package.plate("data", len(x)):
            if y is None:
                y = package.sample("y", dist.OneHotCategorical(logits=classifier(x)))
            loc, raw = encoder(beside(x, y)).chunk(2, -1)
            package.sample("z", dist.Normal(loc, nn.functional.softplus(raw) + 1e-4).to_event(1))

    def classify(x, y=None):
        package.module("classifier", classifier)
        with package.plate("data", len(x)), package.poutine.scale(scale=0.1):
            if y is not None:
                package.sample("y_aux", dist.OneHotCategorical(logits=classifier(x)), obs=y)

    adam, elbo = Adam({"lr": 1e-3}), TraceEnum_ELBO(max_plate_nesting=1)
    bound = SVI(model, config_enumerate(guide, "parallel", expand=True), adam, elbo)
    auxiliary = SVI(classify, lambda x, y=None: None, adam, elbo)
    x = torch.tensor(images).reshape(-1, train_speed.PIXELS).float() / 255
    y = torch.eye(10)[torch.randint(10, (LABELLED,))]

    def epoch():
        total = 0.0
        for step in range(STEPS):
            rows = torch.bernoulli(x[step * BATCH % len(x) :][:BATCH])
            total += bound.step(rows[LABELLED:]) + bound.step(rows[:LABELLED], y) + auxiliary.step(rows[:LABELLED], y)
        return total / (STEPS * BATCH)

    return epoch, None


ENCODER = {"name": "mlp", "hidden_units": [HIDDEN], "activation": "softplus"}
SIDES = {  # name -> (images -> as in train_speed.py, the package it needs)
    "labelled": side("conditional_vae", encoder=ENCODER),
    "m2_top": side("m2", hidden_units=HIDDEN, labels={"name": "top", "count": 2}),
    **{"m2" if n == 10 else f"m2_{n}": side("m2", hidden_units=HIDDEN, num_classes=n) for n in CLASSES},
    "pyro": (pyro, "pyro"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, help=f"times that {STEPS} steps of each side are timed")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores each side may use")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    names = [name for name in options.sides if importlib.util.find_spec(SIDES[name][1])]
    for name in set(options.sides) - set(names):
        print(f"{name} is skipped: {SIDES[name][1]} is not installed")
    images, data = train_speed.mnist(STEPS * BATCH)
    sides = {name: SIDES[name][0] for name in names}
    results = train_speed.race(sides, (images,), options.repeats, options.cores)
    base = results.get("labelled")
    for name, result in results.items():
        result["ms_per_step"] = 1e3 * result["median"] / STEPS
        result["times_labelled"] = result["median"] / base["median"] if base else None
        ratio = f"  {result['times_labelled']:.2f} of labelled-only" if base else ""
        cpu = 1e3 * result["cpu_median"] / STEPS
        print(f"{name:10} {result['ms_per_step']:7.1f} ms a step ({cpu:.1f} ms of CPU){ratio}", flush=True)
    machine = {"system": platform.platform(), "cores": options.cores, "load": os.getloadavg()}
    report = {"data": data, "machine": machine, "versions": train_speed.versions(), "sides": results}
    pairs = [("m2", "labelled"), ("m2_top", "labelled"), ("m2", "pyro")]
    report["aims"] = {
        f"a step, {name} over {other}": train_speed.of_aim(results[name]["median"] / results[other]["median"])
        for name, other in pairs
        if {name, other} <= results.keys()
    }
    train_speed.conclude(report, options.json)


if __name__ == "__main__":
    main()
