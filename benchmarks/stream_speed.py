"""What streamed input costs a training step: shards of TFRecord files against one batch again and again.

    python benchmarks/stream_speed.py --json benchmarks/results/stream_speed.json

The 784-200-200-50 VAE of `train_speed.py` trains by `fit` on 60,000 shuffled MNIST images (random ones where MNIST is
not prepared) from shards, from memory, and on a batch that is already there, in turn, for whole passes, the first of
each left out. Seconds are those of the processor, all threads together; the input's share is what a step takes beyond
that with the batch that is there. Beside it the most memory of a pass over growing numbers of rows. Each size of batch,
and each number of rows, has a process of its own.
"""

import argparse
import itertools
import os
import pathlib
import shutil
import statistics
import tempfile
import time

BATCHES, EPOCHS = (100, 500), 3
GROWTH, SHARD = (100_000, 500_000, 2_000_000), 20_000  # rows
AIM, GIGABYTES = 0.1, 1.5


def images(count):
    import numpy as np

    from zoo.data import describe_dataset, load_arrays

    if describe_dataset("mnist")["available"]:
        return load_arrays("mnist", "train+validation", limit=count)["x"]
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), "uint8")


def passes(model, dataset, steps):
    """Milliseconds of the processor a step, of each pass over the data but the first."""
    import keras

    ends = []
    ended = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.process_time()))
    model.fit(dataset, steps_per_epoch=steps, epochs=1 + EPOCHS, verbose=0, callbacks=[ended])
    return [1e3 * (end - begin) / steps for begin, end in itertools.pairwise(ends)]


def shares(connection, folder, size, repeats):
    """In a process of its own: milliseconds of the processor a step by each kind of input, and the input's shares."""
    import zoo
    from zoo.data import write_shards

    x = images(60_000)
    write_shards(zoo.load_dataset(x, batch_size=500, shuffle=False), folder / "shards", 16)
    model = zoo.create("vae", latent_dim=50, encoder={"name": "mlp", "hidden_units": [200, 200]})
    model.compile("adam")
    settings = {"split": "all", "batch_size": size, "shuffle": True, "first_epoch": 0, "drop_remainder": True}
    streamed, held = (zoo.load_dataset(source, **settings) for source in (folder / "shards", x))
    sides = {"shards": streamed, "memory": held, "there": held.take(1).cache().repeat()}
    found = {name: [] for name in sides}
    for _ in range(repeats):
        for name, dataset in sides.items():
            found[name] += passes(model, dataset, len(x) // size)
    step = {name: statistics.median(times) for name, times in found.items()}
    share = {f"share of {name}": 1 - step["there"] / step[name] for name in ("shards", "memory")}
    connection.send({**step, **share})


def passed(connection, folder, rows):
    """In a process of its own: the most memory of a pass over so many rows of 784 pixels, in bytes."""
    import numpy as np

    import zoo
    from zoo.data import write_shards
    from zoo.training.timing import peak_memory

    x = np.random.default_rng(0).integers(0, 256, (SHARD, 28, 28, 1), "uint8")
    write_shards(zoo.load_dataset(x, batch_size=500, shuffle=False), folder / "one", 1)
    (folder / str(rows)).mkdir()
    for number in range(rows // SHARD):
        shutil.copy(folder / "one" / "00000-of-00001.tfrecord", folder / str(rows) / f"{number}.tfrecord")
    seen = sum(len(batch["x"]) for batch in zoo.load_dataset(folder / str(rows), "all", 500, shuffle=True))
    if seen != rows:
        raise SystemExit(f"a pass over {rows} rows had {seen}")
    connection.send(peak_memory())


def alone(function, *arguments):
    """What a function sends from a process and a folder of its own."""
    from runs import in_process

    with tempfile.TemporaryDirectory() as folder:
        found = in_process(function, pathlib.Path(folder), *arguments)
    print(*arguments, found, flush=True)
    return found


def tables(report):
    """The lines of the page's tables, by their names."""
    steps = [
        "| batch | shards, ms a step | from memory | batch that is there | share of the input |",
        "|---|---|---|---|---|",
    ]
    for size, found in report["steps"].items():
        times = " | ".join(f"{found[name]:.2f}" for name in ("shards", "memory", "there"))
        steps.append(f"| {size} | {times} | {100 * found['share of shards']:.1f} % |")
    sizes = ["| rows of 784 pixels | most memory of a pass |", "|---|---|"]
    sizes += [f"| {int(rows):,} | {size / 1e9:.2f} GB |" for rows, size in report["memory"].items()]
    return {"stream_speed": steps, "stream_memory": sizes}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="write the results to this file, and tables beside it")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from zoo.pretrained import versions

    report = {"repeats": options.repeats, "versions": versions(), "memory": {n: alone(passed, n) for n in GROWTH}}
    report["steps"] = {size: alone(shares, size, options.repeats) for size in BATCHES}
    met = {size: found["share of shards"] <= AIM for size, found in report["steps"].items()}
    report["aims"] = {"share": AIM, "met": met, "memory_met": max(report["memory"].values()) < GIGABYTES * 1e9}
    print(f"at most {AIM:.0%} of a step: {met}; below {GIGABYTES} GB: {report['aims']['memory_met']}")
    if options.json:
        from runs import store

        store(options.json, report, tables(report))


if __name__ == "__main__":
    main()
