"""Pipelines of Apache Beam against the bare signature, the memory of a worker, and a billion images.

    python benchmarks/beam_speed.py --json benchmarks/results/beam_speed.json

A process with one thread calls a signature of `vae_mnist` on batches of 256 rows that are in memory, and runs the
pipeline of DirectRunner over shards of MNIST with fewer and with more rows, in turn. Rates are rows by seconds of the
processor, of the pipeline by what the additional rows take, so that starting it does not count.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import tempfile
import time

NAME, SHARD, BATCH = "vae_mnist", 5_000, 256
ROWS = {"encode": (5_000, 125_000), "score": (250, 2_500), "sample": (5_000, 125_000)}  # of the two runs
GROWTH = (20_000, 80_000)  # rows, over which the memory of a worker is watched
AIM, GIGABYTES = 0.7, 2.0
BILLION, WORKERS, CORES = 1_000_000_000, 100, 4  # machines, and their cores


def shards(folder, rows):
    """The pattern of files with so many rows: a shard of MNIST, again and again."""
    import zoo
    from zoo.data import write_shards

    place = folder / str(rows)
    size = min(SHARD, rows)
    if not place.exists():
        data = zoo.load_dataset("mnist", "train", 500, shuffle=False, limit=size)
        write_shards(data, folder / "one", 1)
        place.mkdir()
        for number in range(rows // size):
            shutil.copy(folder / "one" / "00000-of-00001.tfrecord", place / f"{number}.tfrecord")
        shutil.rmtree(folder / "one")
    return str(place / "*.tfrecord")


def bare(path, endpoint, rows):
    """Seconds of the processor a row of the signature alone."""
    import numpy as np
    import tensorflow as tf

    import zoo
    from zoo.data import load_arrays
    from zoo.export.examples import example_inputs

    model = zoo.load(NAME)
    inputs = example_inputs(model, model.endpoints[endpoint][1], BATCH)
    if "x" in inputs:
        inputs["x"] = load_arrays("mnist", "train", limit=BATCH)["x"].astype("float32") / np.float32(255)
    signature = tf.saved_model.load(path).signatures[endpoint]
    call = lambda: signature(**{name: tf.constant(value) for name, value in inputs.items()})  # noqa: E731
    call()
    start = time.process_time()
    for _ in range(max(1, rows // BATCH)):
        call()
    return (time.process_time() - start) / (max(1, rows // BATCH) * BATCH)


def piped(endpoint, rows, folder, output):
    """(seconds of the processor, seconds) of the pipeline over so many rows."""
    import zoo
    from zoo.beam.pipeline import run
    from zoo.beam.runners import quiet_beam

    given = {"count": rows} if endpoint == "sample" else {"pattern": shards(folder, rows)}
    model = zoo.load(NAME)
    start, cpu = time.perf_counter(), time.process_time()
    with quiet_beam():
        counts = run(model, endpoint, output, runner="DirectRunner", **given)
    if counts != {"written": rows, "failed": 0}:
        raise SystemExit(f"{rows} rows went in, and {counts} came out")
    shutil.rmtree(output)
    return time.process_time() - cpu, time.perf_counter() - start


def raced(connection, endpoint, folder, repeats):
    """In a process of its own, with one thread of TensorFlow: the two rates of an endpoint."""
    import tensorflow as tf

    import zoo
    from zoo.beam.served import write_served

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    few, many = ROWS[endpoint]
    write_served(zoo.load(NAME), endpoint, folder / f"{endpoint}_model", 64)
    alone, pipeline, wall = [], [], []
    piped(endpoint, few, folder, folder / "out")  # what is imported and compiled once
    for _ in range(repeats):
        alone.append(bare(str(folder / f"{endpoint}_model"), endpoint, many - few))
        small, large = (piped(endpoint, rows, folder, folder / "out") for rows in (few, many))
        pipeline.append((large[0] - small[0]) / (many - few))
        wall.append((large[1] - small[1]) / (many - few))
    rates = {
        name: 1 / statistics.median(found) for name, found in (("bare", alone), ("beam", pipeline), ("wall", wall))
    }
    connection.send({**rates, "ratio": rates["beam"] / rates["bare"], "rows": [few, many]})


def grown(connection, rows, folder):
    """In a process of its own: the most memory of a pipeline over so many rows, in bytes."""
    from zoo.training.timing import peak_memory

    piped("encode", rows, folder, folder / "out")
    connection.send(peak_memory())


def tables(report):
    """The lines of the page's tables, by their names."""
    rates = ["| endpoint | bare signature, rows a core-second | pipeline | ratio |", "|---|---|---|---|"]
    hours = ["| endpoint | core-hours for a billion images | hours on 100 workers of 4 cores |", "|---|---|---|"]
    for endpoint, found in report["endpoints"].items():
        rates.append(f"| `{endpoint}` | {found['bare']:,.0f} | {found['beam']:,.0f} | {found['ratio']:.2f} |")
        core_hours = BILLION / found["beam"] / 3600
        hours.append(f"| `{endpoint}` | {core_hours:,.1f} | {core_hours / (WORKERS * CORES):.2f} |")
    memory = ["| rows | most memory of the worker |", "|---|---|"]
    memory += [f"| {int(rows):,} | {size / 1e9:.2f} GB |" for rows, size in report["memory"].items()]
    return {"beam_speed": rates, "beam_memory": memory, "beam_billion": hours}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="write the results to this file, and tables beside it")
    options = parser.parse_args()
    from runs import in_process, store

    from zoo.pretrained import versions

    report = {"model": NAME, "batch": BATCH, "repeats": options.repeats, "versions": versions(), "endpoints": {}}
    report |= {"memory": {}, "load": os.getloadavg()}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for endpoint in ROWS:
            report["endpoints"][endpoint] = in_process(raced, endpoint, folder, options.repeats)
            print(endpoint, json.dumps(report["endpoints"][endpoint]), flush=True)
        for rows in GROWTH:
            report["memory"][rows] = in_process(grown, rows, folder)
            print(f"{rows} rows: {report['memory'][rows] / 1e9:.2f} GB", flush=True)
    met = {name: found["ratio"] >= AIM for name, found in report["endpoints"].items()}
    report["aims"] = {"ratio": AIM, "met": met, "gigabytes": GIGABYTES}
    report["aims"]["memory_met"] = max(report["memory"].values()) < GIGABYTES * 1e9
    print(f"aim {AIM}: {met}; below {GIGABYTES} GB: {report['aims']['memory_met']}")
    if options.json:
        store(options.json, report, tables(report))


if __name__ == "__main__":
    main()
