"""Seconds for a training step with S importance samples, and for an image's NLL: this zoo against pythae.

    python benchmarks/importance_speed.py --json benchmarks/results/importance_speed.json

The 784-200-200-50 VAE of `train_speed.py` with the bound of S samples (iwae), batch 100, grey values, against pythae's
IWAE with the same networks; then the importance-weighted NLL of binarised images at 5000 samples each, in single
precision and with networks in bfloat16, against pythae's `get_nll`, called as it is (`pythae`: it records gradients)
and under `torch.no_grad()`, all with the same weights, which the zoo trains for a moment first. The answers must agree
within their Monte Carlo errors, and what bfloat16 does to the NLL is measured image by image. Each side lives in a
process of its own, and their rounds are run in turn; of the NLL in several, one after the other, for pythae's
differs from process to process. pythae is skipped where it is not installed.
"""

import argparse
import importlib.util
import math
import os
import platform
import statistics
import tempfile
import time

import numpy as np
from train_speed import (
    HIDDEN,
    LATENT,
    PIXELS,
    add_medians,
    conclude,
    mnist,
    of_aim,
    pythae_epoch,
    pythae_networks,
    race,
    verdict,
    versions,
)

BATCH = 100
STEPS = {1: 600, 5: 300, 50: 60}  # of a round
AIMS = {("training", 50): 0.7, ("nll", "pythae"): 0.2}
HALF = "ours in bfloat16"


def network():
    """The configuration of the zoo's model."""
    return {"latent_dim": LATENT, "encoder": {"name": "mlp", "hidden_units": [HIDDEN, HIDDEN], "activation": "relu"}}


def parameters_of(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


# Training: (images, S) -> (a function that trains for a round and returns its loss, parameters).


def train_ours(images, num_samples):
    """Keras' fit."""
    import zoo

    model = zoo.create("iwae", num_samples=num_samples, **network())
    data = zoo.load_dataset(images, batch_size=BATCH, drop_remainder=True)
    model.compile("adam")
    return lambda: model.fit(data, verbose=0).history["loss"][0], parameters_of(model)


def train_pythae(images, num_samples):
    """pythae's IWAE and its trainer."""
    from pythae.models import IWAE, IWAEConfig

    settings = {"input_dim": (PIXELS,), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    model = IWAE(IWAEConfig(number_samples=num_samples, **settings), *pythae_networks())
    return pythae_epoch(model, images, BATCH)


# NLL: (binarised images, weights' file, S) -> (a function that returns the mean NLL of a round, parameters).


def trained(path, images):
    """Train the zoo's VAE for an epoch and keep its weights."""
    import zoo

    model = zoo.create("vae", binarize="dynamic", **network())
    model.adapt(zoo.load_dataset(images, batch_size=BATCH))
    model.compile("adam", jit_compile=True)
    model.fit(zoo.load_dataset(images, batch_size=BATCH), verbose=0)
    model.save_weights(path)


def our_model(path):
    import zoo

    model = zoo.create("vae", **network())
    model.load_weights(path)
    return model


def nll_ours(images, path, num_samples, precision="float32"):
    """The estimator of `zoo.evaluate`."""
    from zoo.evaluation.importance import Estimator
    from zoo.precision import in_precision

    model = in_precision(our_model(path), precision)
    estimator, seeds = Estimator(model, num_samples), iter(range(10**6))
    fields = model.fields(images)
    return lambda: float(np.mean(estimator(fields, (next(seeds), 0))["nll"])), parameters_of(model)


def nll_half(*arguments):
    """The same with networks in half the bits."""
    return nll_ours(*arguments, precision="bfloat16")


def nll_pythae(images, path, num_samples):
    """pythae's `get_nll`, which averages log p(x)."""
    model, x = pythae_with_our_weights(path), torch_images(images)
    return lambda: -float(model.get_nll(x, n_samples=num_samples)), sum(p.numel() for p in model.parameters())


def nll_pythae_no_grad(images, path, num_samples):
    """The same without a tape."""
    import torch

    model, x = pythae_with_our_weights(path), torch_images(images)

    def round_():
        with torch.no_grad():
            return -float(model.get_nll(x, n_samples=num_samples))

    return round_, sum(p.numel() for p in model.parameters())


def torch_images(images):
    import torch

    return torch.tensor(images).reshape(-1, PIXELS).float() / 255


def pythae_with_our_weights(path):
    """pythae's VAE with the zoo's weights in its torch modules, and the zoo's positive scale."""
    import torch
    from pythae.models import VAE, VAEConfig
    from torch import nn

    ours = our_model(path)
    head = ours.posterior_head.dense.get_weights()
    location, raw_scale = [w[..., :LATENT] for w in head], [w[..., LATENT:] for w in head]
    weights = [*ours.encoder.get_weights(), *location, *raw_scale, *ours.decoder.get_weights()]
    least = 1e-4
    networks = pythae_networks(lambda raw: 2 * torch.log(least + nn.functional.softplus(raw - least)))
    model = VAE(VAEConfig(input_dim=(PIXELS,), latent_dim=LATENT, reconstruction_loss="bce"), *networks)
    layers = [m for part in networks for m in part.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
            layer.weight.copy_(torch.tensor(kernel.T))
            layer.bias.copy_(torch.tensor(bias))
    return model


def monte_carlo_error(images, path, num_samples):
    """The standard error of a round's mean NLL over the draws, from the effective sample sizes (delta method)."""
    from zoo.evaluation.importance import Estimator

    model = our_model(path)
    size = Estimator(model, num_samples)(model.fields(images), (0, 1))["effective_sample_size"]
    return float(np.sqrt(np.sum(1 / size - 1 / num_samples)) / len(size))


def parts(images, path, num_samples):
    """Shares of a chunk of the estimator: the decoder's products, the sum over pixels, and the draws with the rest."""
    import tensorflow as tf

    from zoo.evaluation.importance import Estimator

    model = our_model(path)
    estimator, fields = Estimator(model, num_samples), model.fields(images)
    draws = estimator.draws_of(fields)
    seed, z = tf.constant([0, 1]), tf.random.normal([draws, len(images), LATENT])
    decode = tf.function(lambda z: model.decoder(tf.reshape(z, [-1, LATENT])))
    logits = tf.reshape(decode(z), [draws, len(images), *images.shape[1:]])
    score = tf.function(lambda logits: model.likelihood_head(logits).log_prob(fields["x"]))
    calls = {
        "whole": lambda: estimator.compiled(fields, seed, tf.constant(0), draws),
        "products": lambda: decode(z),
        "pixels": lambda: score(logits),
    }
    seconds = {name: [] for name in calls}
    for _ in range(6):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    whole, *some = (statistics.median(times[1:]) for times in seconds.values())
    shares = {name: share / whole for name, share in zip(("products", "pixels"), some, strict=True)}
    return {**shares, "rest": 1 - sum(shares.values())}


def bias_of_half(images, path):
    """What bfloat16 does to the NLL of images, nats, as `zoo.evaluate` measures it, which would refuse too much."""
    from zoo.evaluation import compare as compare_models
    from zoo.evaluation.report import BIAS_DRAWS, LARGEST_BIAS
    from zoo.precision import in_precision

    exact = our_model(path)
    found = compare_models(in_precision(exact, "bfloat16"), exact, images, BIAS_DRAWS)["nll_difference"]
    found["aim"] = LARGEST_BIAS
    print(f"bfloat16 moves the NLL by {found['value']:.4f} +- {found['standard_error']:.4f} nats", flush=True)
    return found


def binarised(images):
    """uint8 0 or 255, each pixel drawn by its grey value."""
    noise = np.random.default_rng(1).uniform(size=images.shape)
    return np.where(noise < images / 255, 255, 0).astype("uint8")


def pooled(races):
    """Races of the same sides as one: the medians over all processes' rounds."""
    first, *others = races
    for name, result in first.items():
        rounds = [result, *(race[name] for race in others)]
        for clock in ("seconds", "cpu_seconds"):
            result[clock] = [seconds for found in rounds for seconds in found[clock]]
        result["loss"] = statistics.fmean(found["loss"] for found in rounds)
        add_medians(result)
    return first


def compare(results, unit, aim):
    """Our medians over each other side's, per `unit`."""
    found, ours = {}, [name for name in ("ours", HALF) if name in results]
    for name in [name for name in results if name not in ours]:
        goal = aim(name)
        for side in ours:
            ratio, cpu = (results[side][key] / results[name][key] for key in ("median", "cpu_median"))
            found[f"{side}/{name}"] = {
                "ratio": ratio,
                "cpu_ratio": cpu,
                "aim": goal,
                "met": goal and ratio <= goal,
            }
    for result in results.values():
        result["each"] = result["median"] / unit
    return found


def training(options, here, images):
    """{S: {"sides", "ratios"}, "growth"}: seconds for a step, and how they grow with S."""
    report = {}
    for draws in options.num_samples:
        steps = max(2, math.ceil(STEPS.get(draws, max(1, 3000 // draws)) * options.scale))
        sides = {"ours": train_ours, **({"pythae": train_pythae} if here else {})}
        results = race(sides, (images[: steps * BATCH], draws), options.repeats, options.cores)
        ratios = compare(results, steps, lambda name, draws=draws: AIMS.get(("training", draws)))
        report[draws] = {"steps": steps, "sides": results, "ratios": ratios}
        for name, result in results.items():
            low, high = (1e3 * seconds / steps for seconds in result["spread"])
            print(
                f"S = {draws:3} {name:16} {1e3 * result['each']:8.2f} ms a step ({low:.2f} to {high:.2f})", flush=True
            )
        show(ratios)
    low, *more = options.num_samples
    each = {draws: report[draws]["sides"]["ours"]["each"] for draws in options.num_samples}
    growth = {f"{draws}/{low}": {"samples": draws / low, "time": each[draws] / each[low]} for draws in more}
    for pair, entry in growth.items():
        entry["below_linear"] = entry["time"] < entry["samples"]
        print(f"S = {pair}: {entry['samples']:.0f} times the samples, {entry['time']:.1f} times the time")
    return {**report, "growth": growth}


def likelihood(options, here, images):
    """{"sides", "ratios", "agreement"}: seconds for an image's NLL, and whether the answers agree."""
    test = binarised(images[: options.images])
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/vae.weights.h5"
        trained(path, images)
        error = monte_carlo_error(test, path, options.draws)
        shares = parts(test, path, options.draws)
        bias = bias_of_half(binarised(images[:1000]), path)
        sides = {"ours": nll_ours, HALF: nll_half}
        sides |= {"pythae": nll_pythae, "pythae_no_grad": nll_pythae_no_grad} if here else {}
        races = [race(sides, (test, path, options.draws), 2, options.cores) for _ in range(options.processes)]
    results = pooled(races)
    ratios = compare(results, len(test), lambda name: AIMS.get(("nll", name)))
    for name, result in results.items():
        print(f"{name:16} {1e3 * result['each']:8.1f} ms an image, NLL {result['loss']:.3f} +- {error:.3f}", flush=True)
    show(ratios)
    found = [result["loss"] for result in results.values()]
    apart, allowed = max(found) - min(found), 4 * math.sqrt(2) * error
    print(f"the answers are {apart:.3f} nats apart; {allowed:.3f} are allowed")
    if apart > allowed:
        raise SystemExit("the sides do not give the same NLL")
    agreement = {"difference": apart, "standard_error": math.sqrt(2) * error}
    found = {"draws": options.draws, "images": len(test), "sides": results, "ratios": ratios, "agreement": agreement}
    return {**found, "shares": shares, "bfloat16_bias": bias}


def show(ratios):
    for name, entry in ratios.items():
        print(f"{name:24} {entry['ratio']:.2f} (CPU {entry['cpu_ratio']:.2f})  {verdict(entry)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--num-samples", type=int, nargs="+", default=[1, 5, 50], help="S of the training steps")
    parser.add_argument("--draws", type=int, default=5000, help="draws an image of the NLL")
    parser.add_argument("--images", type=int, default=20, help="images of the NLL")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each side's training that are timed")
    parser.add_argument("--processes", type=int, default=5, help="of each side's NLL, of two rounds each")
    parser.add_argument("--scale", type=float, default=1.0, help="of the steps in a round")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores each side may use")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    images, data = mnist(int(60_000 * options.scale))
    here = importlib.util.find_spec("pythae")
    if not here:
        print("pythae is skipped: it is not installed")
    machine = {"system": platform.platform(), "cores": options.cores, "load_before": os.getloadavg()}
    print(f"{data}; {options.cores} cores, load {os.getloadavg()[0]:.1f}; {options.repeats} rounds of each")
    report = {"data": data, "machine": machine, "versions": versions()}
    report["training"] = training(options, here, images)
    report["nll"] = likelihood(options, here, images)
    report["machine"]["load_after"] = os.getloadavg()
    pairs = [
        (f"training step, {draws} draws", cell["ratios"])
        for draws, cell in report["training"].items()
        if draws != "growth"
    ]
    pairs.append((f"NLL of an image, {options.draws} draws", report["nll"]["ratios"]))
    report["aims"] = {
        f"{what}, {name.replace('/', ' over ')}": of_aim(entry["ratio"], entry["aim"])
        for what, ratios in pairs
        for name, entry in ratios.items()
    }
    said = {"products": "the decoder's products", "pixels": "the sum over pixels", "rest": "draws and the rest"}
    for name, share in report["nll"]["shares"].items():
        report["aims"][f"of the NLL's time, {said[name]}"] = of_aim(share, None)
    moved, allowed = (1e3 * abs(report["nll"]["bfloat16_bias"][key]) for key in ("value", "aim"))
    report["aims"]["what bfloat16 does to the NLL, thousandths of a nat"] = of_aim(moved, allowed)
    conclude(report, options.json)


if __name__ == "__main__":
    main()
