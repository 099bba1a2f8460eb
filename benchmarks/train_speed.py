"""Seconds for one epoch of a 784-200-200-50 VAE and of a convolutional one: the zoo as it comes, PyTorch, and pythae.

    python benchmarks/train_speed.py --json benchmarks/results/train_speed.json

Bernoulli likelihood, 50 latent units, Adam 1e-3, single precision, on the same 60,000 MNIST images (random ones where
MNIST is not prepared), as grey values, because pythae has no binarisation of its own; `--binarize` draws the pixels
afresh in each step instead and leaves pythae out. The zoo's sides are `model.compile("adam")` with `model.fit` of a
data set and of the array, the former with XLA too, and the command `zoo train`, which averages the weights and writes a
checkpoint after each epoch; nothing is set by hand. PyTorch's is the loop one writes by hand for speed: pixels in
memory as uint8, a fused Adam, no `.item()` in the loop; and that with `torch.compile`. Convolutions are PyTorch's
with channels last.

Each side lives in a process of its own, so that no library disturbs another's threads; epochs are run one at a time, in
turn (A B C A B C ...). The first epoch of each, with imports, building and compiling, is reported apart. PyTorch and
pythae are skipped where they are not installed (`pip install vae-zoo[benchmark]`). Import times are measured too.

    python benchmarks/train_speed.py --against ../before --repeats 15

races this checkout against another one of the zoo instead, in the same manner.
"""

import argparse
import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

PIXELS, HIDDEN, LATENT, RATE = 784, 200, 50, 1e-3
BEFORE = 1.03  # at most so many times the time of another checkout
FIT, ARRAY, XLA, COMMAND = "fit(dataset)", "fit(array)", "fit(dataset), XLA", "zoo train"
OURS = (FIT, ARRAY, XLA, COMMAND, "ours")
AIMS = {(FIT, "pytorch"): 1.0, (ARRAY, FIT): 1.05, (COMMAND, "pytorch, batch 100"): 0.8}
AIMS |= {(COMMAND, "pytorch, batch 500"): 0.88, (COMMAND, "pytorch, channels last"): 0.92, ("ours", "before"): BEFORE}
FILTERS, WIDTH = (32, 64), 256  # of the convolutional networks
FEW = 10_000  # images of theirs
IMPORTS = {
    "import tensorflow, tensorflow_probability": ("import tensorflow, tensorflow_probability", None),
    "import zoo": ("import zoo", 0.5),
    "import zoo; zoo.create": ("import zoo; zoo.create", None),
    "import zoo; zoo.create('vae')": ("import zoo; zoo.create('vae')", None),
    "zoo --help": ("import sys; sys.argv[1:] = ['--help']; from zoo.cli import main; main()", 0.5),
    "zoo list --pretrained": (
        "import sys; sys.argv[1:] = ['list', '--pretrained']; from zoo.cli import main; main()",
        0.5,
    ),
}


def mnist(examples):
    """(uint8 [N, 28, 28, 1], what they are): MNIST's training images, or random ones."""
    import zoo.data

    if zoo.data.describe_dataset("mnist")["available"]:
        return zoo.data.load_arrays("mnist", "train+validation", limit=examples)["x"], "MNIST"
    return np.random.default_rng(0).integers(0, 256, (examples, 28, 28, 1), "uint8"), "random images (no MNIST here)"


# The sides: (images, batch size, binarise) -> (a function that trains one epoch and returns its loss, parameters).


def made(network, binarize):
    """A VAE of the zoo with dense layers or with convolutions."""
    import zoo

    encoder = {"name": "mlp", "hidden_units": [HIDDEN, HIDDEN], "activation": "relu"}
    if network == "convolutions":
        encoder = {"name": "conv", "filters": list(FILTERS), "hidden_units": [WIDTH]}
    return zoo.create("vae", latent_dim=LATENT, encoder=encoder, binarize="dynamic" if binarize else None)


def counted(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def fit(images, batch_size, binarize, network="dense", **settings):
    """Keras' fit of a data set."""
    import zoo

    model, data = made(network, binarize), zoo.load_dataset(images, batch_size=batch_size)
    model.compile("adam", **settings)
    return lambda: model.fit(data, verbose=0).history["loss"][0], counted(model)


def fit_array(images, batch_size, binarize, network="dense"):
    """Keras' fit of the array."""
    model = made(network, binarize)
    model.compile("adam")
    return lambda: model.fit(images, batch_size=batch_size, verbose=0).history["loss"][0], counted(model)


def by_command(images, batch_size, binarize, network="dense"):
    """The command `zoo train` in a thread, which waits before each epoch until it is asked for."""
    from zoo.cli import main
    from zoo.training import run

    folder, begin, end = pathlib.Path(tempfile.mkdtemp()), threading.Semaphore(0), threading.Semaphore(0)
    found = {}

    class Waiting(run.TimingLogger):
        def on_epoch_begin(self, epoch, logs=None):
            found["model"] = self.model
            end.release()
            begin.acquire()
            super().on_epoch_begin(epoch, logs)

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            found["loss"] = logs["loss"]

    run.TimingLogger = Waiting
    np.savez(folder / "x.npz", x=images)
    config = {"data_shape": [28, 28, 1], "latent_dim": LATENT, "encoder": {"name": "mlp", "hidden_units": [HIDDEN] * 2}}
    config["encoder"] |= {"activation": "relu"}
    if network == "convolutions":
        config["encoder"] = {"name": "conv", "filters": list(FILTERS), "hidden_units": [WIDTH]}
    preset = {"model": "vae", "config": {**config, "binarize": "dynamic" if binarize else None}}
    preset |= {"data": {"name": str(folder / "x.npz"), "split": "all"}}
    preset |= {"recipe": {"epochs": 10**6, "batch_size": batch_size, "learning_rate": RATE}}
    (folder / "preset.json").write_text(json.dumps(preset))
    command = ["train", "--preset", str(folder / "preset.json"), "--output", str(folder / "run")]
    threading.Thread(target=main, args=(command,), daemon=True).start()
    end.acquire()

    def epoch():
        begin.release()
        end.acquire()
        return found["loss"]

    return epoch, counted(found["model"])


def ours(images, batch_size, binarize):
    """`fit`, of a checkout that may be an older one: with so many updates a call as it would take by itself."""
    return fit(images, batch_size, binarize, steps_per_execution=20)


def of_checkout(path, *arguments):
    """`ours` by the zoo of another checkout, in a process that has imported none yet."""
    sys.path.insert(0, str(path))
    import zoo

    found = pathlib.Path(zoo.__file__).resolve().parents[1]
    if found != path:
        raise ImportError(f"the zoo of {found} was imported, not that of {path}")
    return ours(*arguments)


def torch_stack(*sizes):
    """Dense layers with ReLU between and after them."""
    from torch import nn

    layers = [part for pair in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers)


def torch_dense():
    """(encoder, decoder) of dense layers."""
    from torch import nn

    encoder = nn.Sequential(nn.Flatten(), torch_stack(PIXELS, HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2 * LATENT))
    return encoder, nn.Sequential(torch_stack(LATENT, HIDDEN, HIDDEN), nn.Linear(HIDDEN, PIXELS))


def torch_convolutions():
    """(encoder, decoder) of convolutions as the zoo's."""
    from torch import nn

    (first, second), size = FILTERS, 7 * 7 * FILTERS[1]
    encoder = [nn.Conv2d(1, first, 4, 2, 1), nn.SiLU(), nn.Conv2d(first, second, 4, 2, 1), nn.SiLU(), nn.Flatten()]
    encoder += [nn.Linear(size, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 2 * LATENT)]
    decoder = [nn.Linear(LATENT, WIDTH), nn.SiLU(), nn.Linear(WIDTH, size), nn.SiLU(), nn.Unflatten(1, (second, 7, 7))]
    decoder += [nn.ConvTranspose2d(second, first, 4, 2, 1), nn.SiLU(), nn.ConvTranspose2d(first, 1, 4, 2, 1)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Flatten())


def pytorch(images, batch_size, binarize, network="dense", compiled=False):
    """The loop one writes by hand: uint8 images in memory, gathered a batch at a time, and a fused Adam."""
    import torch
    from torch import nn

    x = torch.tensor(images).reshape(-1, 1, 28, 28)
    encoder, decoder = torch_convolutions() if network == "convolutions" else torch_dense()
    if network == "convolutions":
        encoder, decoder = (part.to(memory_format=torch.channels_last) for part in (encoder, decoder))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE, fused=True)

    def cost(batch):
        batch = batch.float() / 255
        if network == "convolutions":
            batch = batch.contiguous(memory_format=torch.channels_last)
        batch = torch.bernoulli(batch) if binarize else batch
        loc, log_var = encoder(batch).chunk(2, -1)
        z = loc + torch.randn_like(loc) * torch.exp(0.5 * log_var)
        logits = decoder(z)
        error = nn.functional.binary_cross_entropy_with_logits(logits, batch.flatten(1), reduction="none").sum(-1)
        return (error + 0.5 * (loc.square() + log_var.exp() - 1 - log_var).sum(-1)).mean()

    cost = torch.compile(cost) if compiled else cost

    def epoch():
        total = torch.zeros(())
        batches = torch.randperm(len(x)).split(batch_size)
        for rows in batches:
            loss = cost(x[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total.item() / len(batches)

    return epoch, sum(p.numel() for p in parameters)


def pythae_networks(to_log_var=lambda raw: raw):
    """pythae's (encoder, decoder); `to_log_var` maps the encoder's second output to a log variance."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from torch import nn

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = torch_stack(PIXELS, HIDDEN, HIDDEN)
            self.loc, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

        def forward(self, x):
            hidden = self.hidden(x)
            return ModelOutput(embedding=self.loc(hidden), log_covariance=to_log_var(self.log_var(hidden)))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(torch_stack(LATENT, HIDDEN, HIDDEN), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    return Encoder(), Decoder()


def pythae(images, batch_size, binarize):
    """pythae's VAE, data loader and trainer."""
    from pythae.models import VAE, VAEConfig

    config = VAEConfig(input_dim=(PIXELS,), latent_dim=LATENT, reconstruction_loss="bce")
    return pythae_epoch(VAE(config, *pythae_networks()), images, batch_size)


def pythae_epoch(model, images, batch_size):
    """(the trainer's own epoch, without progress bar and checkpoints; parameters)."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    x = torch.tensor(images).reshape(-1, PIXELS).float() / 255
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
    return lambda: trainer.train_step(1), sum(p.numel() for p in model.parameters())


SIDES = {
    FIT: (fit, "tensorflow"),
    ARRAY: (fit_array, "tensorflow"),
    XLA: (functools.partial(fit, jit_compile=True), "tensorflow"),
    COMMAND: (by_command, "tensorflow"),
    "pytorch": (pytorch, "torch"),
    "pytorch, compiled": (functools.partial(pytorch, compiled=True), "torch"),
    "pythae": (pythae, "pythae"),
}
CONVOLUTIONS = {
    FIT: (functools.partial(fit, network="convolutions"), "tensorflow"),
    COMMAND: (functools.partial(by_command, network="convolutions"), "tensorflow"),
    "pytorch, channels last": (functools.partial(pytorch, network="convolutions"), "torch"),
}


def worker(make, connection, cores, *arguments):
    """A side's process, on the first `cores` cores: makes it, runs a first epoch, then one each time it is asked."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    start = time.perf_counter()
    try:
        epoch, parameters = make(*arguments)
        built = time.perf_counter()
        epoch()
        connection.send({"build": built - start, "first": time.perf_counter() - built, "parameters": parameters})
    except Exception as error:
        connection.send({"error": f"{type(error).__name__}: {error}"})
        return
    while connection.recv():
        start, cpu = time.perf_counter(), time.process_time()
        loss = epoch()
        connection.send((time.perf_counter() - start, time.process_time() - cpu, loss))


def race(sides, arguments, repeats, cores):
    """Name -> the epochs of a side, taken in turn; `sides` is name -> function, called with `arguments`."""
    context, workers, results = multiprocessing.get_context("spawn"), {}, {}
    for name, make in sides.items():
        here, there = context.Pipe()
        process = context.Process(target=worker, args=(make, there, cores, *arguments), daemon=True)
        process.start()
        there.close()
        results[name] = here.recv() | {
            "seconds": [],
            "cpu_seconds": [],
        }  # one after the other: a start does not slow another's
        if "error" in results[name]:
            raise SystemExit(f"{name}: {results[name]['error']}")
        workers[name] = (process, here)
    for _ in range(repeats):
        for name, (_, connection) in workers.items():
            connection.send(True)
            seconds, cpu, results[name]["loss"] = connection.recv()
            results[name]["seconds"].append(seconds)
            results[name]["cpu_seconds"].append(cpu)
    for process, connection in workers.values():
        connection.send(False)
        process.join()
    for result in results.values():
        add_medians(result)
    if len({result["parameters"] for result in results.values()}) > 1:
        raise SystemExit("the sides do not have the same number of parameters")
    return results


def add_medians(result):
    """Say the medians and the spread of a side's rounds in its entry."""
    seconds = result["seconds"]
    result |= {"median": statistics.median(seconds), "spread": [min(seconds), max(seconds)]}
    result["cpu_median"] = statistics.median(result["cpu_seconds"])


def ratios(results, batch_size):
    """Our medians over the others', with the aim; CPU seconds say more on a machine that others use too.

    Of XLA the first pass, in which it compiles, stands beside it.
    """
    found = {}
    for mine in results.keys() & set(OURS):
        for name in results.keys() - {mine, *(set(OURS) - {FIT})}:
            ratio = results[mine]["median"] / results[name]["median"]
            cpu = results[mine]["cpu_median"] / results[name]["cpu_median"]
            aim = AIMS.get((mine, name), AIMS.get((mine, f"{name}, batch {batch_size}")))
            first = {"first": results[mine]["first"]} if mine == XLA else {}
            entry = {"ratio": ratio, "cpu_ratio": cpu, "aim": aim, "met": aim and ratio <= aim, **first}
            found[f"{mine} over {name}"] = entry
    return dict(sorted(found.items()))


def import_times(repeats, checkout):
    """What `IMPORTS` of a checkout cost in fresh processes: medians of seconds on the clock and of CPU seconds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")])}
    found = {name: {"wall": [], "cpu": []} for name in IMPORTS}
    for _ in range(repeats):
        for name, (code, _) in IMPORTS.items():
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found[name]["wall"].append(time.perf_counter() - start)
            found[name]["cpu"].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for name, (_, aim) in IMPORTS.items():
        medians = {clock: statistics.median(times) for clock, times in found[name].items()}
        found[name] = {**medians, "aim": aim, "met": None if aim is None else medians["wall"] < aim}
    return found


def verdict(entry):
    """The aim in words."""
    if entry["aim"] is None:
        return ""
    return f"aim {entry['aim']}: {'met' if entry['met'] else 'NOT met'}"


def of_aim(value, aim=None):
    """What was found, what was aimed at, and whether that is met."""
    return {"value": value, "aim": aim, "met": None if aim is None else value <= aim}


def conclude(report, path):
    """Print what the aims of a report say, and write it, and a table of them, to files where one is named."""
    for name, entry in report["aims"].items():
        print(f"{name}: {entry['value']:.2f}, {verdict(entry)}")
    if path:
        from runs import store

        path = pathlib.Path(path)
        store(path, report, {path.stem: table_of_aims(report)})
        print(f"wrote {path}")


def table_of_aims(report):
    """Markdown lines."""
    lines = ["| what | measured | aim, at most | |", "|---|---|---|---|"]
    for name, entry in report["aims"].items():
        aim = "" if entry["aim"] is None else f"{entry['aim']:g}"
        said = {True: "met", False: "missed", None: ""}[entry["met"]]
        lines.append(f"| {name} | {entry['value']:.2f} | {aim} | {said} |")
    cores, packages = report.get("machine", {}).get("cores"), report["versions"].items()
    where = [f"{cores} core{'s' if cores > 1 else ''}"] if cores else []
    return [*lines, "", ", ".join([*where, *(f"{name} {version}" for name, version in packages)]) + "."]


def versions():
    """Versions of the packages that are there."""
    packages = ("tensorflow", "keras", "tensorflow-probability", "torch", "pythae", "numpy")
    present = [p for p in packages if importlib.util.find_spec(p.replace("-", "_"))]
    return {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in present}}


def commit(path):
    """What git calls the commit of a checkout."""
    command = ["git", "-C", str(path), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--repeats", type=int, default=7, help="epochs of each side that are timed")
    parser.add_argument("--examples", type=int, default=60_000, help="training images")
    parser.add_argument("--binarize", action="store_true", help="dynamic binarisation; leaves pythae out")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores each side may use")
    parser.add_argument("--against", help="another checkout of the zoo, raced in place of other libraries")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    images, data = mnist(options.examples)
    here = pathlib.Path(__file__).resolve().parents[1]
    races = {f"batch {size}": (SIDES, images, size) for size in options.batch_sizes}
    if options.batch_sizes:
        races["convolutions, batch 100"] = (CONVOLUTIONS, images[:FEW], 100)
    if options.against:
        there = pathlib.Path(options.against).resolve()
        checkouts = {"ours": here, "before": there}
        sides = {name: (functools.partial(of_checkout, path), "tensorflow") for name, path in checkouts.items()}
        races = {f"batch {size}": (sides, images, size) for size in options.batch_sizes}
    report = {
        "data": f"{len(images)} images, {data}, {'dynamically binarised' if options.binarize else 'grey values'}",
        "machine": {"system": platform.platform(), "cores": options.cores, "load_before": os.getloadavg()},
        "versions": versions(),
        **({"against": commit(there)} if options.against else {}),
        "training": {},
    }
    print(f"{report['data']}; {options.cores} cores, load {os.getloadavg()[0]:.1f}; {options.repeats} epochs of each")
    columns = f"{'median s':>9} {'min':>7} {'max':>7} {'CPU s':>7} {'build s':>8} {'1st epoch':>9} {'loss':>7}"
    print(f"{'side':29} {columns}")
    for title, (every, some, size) in races.items():
        sides = {name: make for name, (make, package) in every.items() if importlib.util.find_spec(package)}
        sides = {name: make for name, make in sides.items() if not (options.binarize and name == "pythae")}
        print(title, *(f"without {name}" for name in every.keys() - sides.keys()), sep=", ")
        results = race(sides, (some, size, options.binarize), options.repeats, options.cores)
        for name, r in results.items():
            low, high = r["spread"]
            print(
                f"{name:29} {r['median']:9.2f} {low:7.2f} {high:7.2f}"
                f" {r['cpu_median']:7.2f} {r['build']:8.1f} {r['first']:9.2f} {r['loss']:7.1f}",
                flush=True,
            )
        report["training"][title] = {"sides": results, "ratios": ratios(results, size)}
        for name, entry in report["training"][title]["ratios"].items():
            first = f"  first pass {entry['first']:.1f} s" if "first" in entry else ""
            print(f"{name:45} {entry['ratio']:.2f} (CPU {entry['cpu_ratio']:.2f})  {verdict(entry)}{first}", flush=True)
    places = {"imports": here, **({"imports before": there} if options.against else {})}
    for place, checkout in places.items():
        report[place] = import_times(min(options.repeats, 3), checkout)
        for name, entry in report[place].items():
            print(f"{place}: {name:45} {entry['wall']:.2f} s ({entry['cpu']:.2f} s CPU)  {verdict(entry)}")
    report["machine"]["load_after"] = os.getloadavg()
    report["aims"] = {
        f"{title}{clock}, {name}": of_aim(entry[key], aim and entry[aim])
        for clock, key, aim in (("", "ratio", "aim"), (", seconds of the processor", "cpu_ratio", None))
        for title, cell in report["training"].items()
        for name, entry in cell["ratios"].items()
    }
    report["aims"] |= {f"`{name}`, s": of_aim(entry["wall"], entry["aim"]) for name, entry in report["imports"].items()}
    conclude(report, options.json)


if __name__ == "__main__":
    main()
