"""What a draw costs in an export: the signature `sample` of 256 seeds against `decode` of 256 codes.

    python benchmarks/sample_speed.py --json benchmarks/results/sample_speed.json

Each model's published SavedModel, and one exported now, are called in turn in one process. Medians and minima over the
repeats, in milliseconds.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

NAMES = ("vae_mnist", "conv_vae_mnist", "lvae_mnist", "m2_mnist_100", "flow_prior_vae_mnist", "vamp_vae_mnist")
AIM = 1.3


def calls(path, model, rows):
    """{"sample", "decode"} -> a function that calls the signature of a SavedModel once."""
    import tensorflow as tf

    from zoo.export.examples import example_inputs

    signatures = tf.saved_model.load(str(path)).signatures
    found = {}
    for name in ("sample", "decode"):
        inputs = {k: tf.constant(v) for k, v in example_inputs(model, model.endpoints[name][1], rows).items()}
        found[name] = lambda signature=signatures[name], inputs=inputs: signature(**inputs)
    return found


def measure(name, rows, repeats):
    """{"now" | "published": {"sample_ms", "decode_ms", "ratio", "ratio_of_minima"}} of a pretrained model."""
    import zoo
    from zoo import pretrained

    model = zoo.load(name)
    with tempfile.TemporaryDirectory() as folder:
        paths = {"now": zoo.export_saved_model(model, folder), "published": pretrained.locate(name) / "1"}
        sides = {(when, n): call for when, path in paths.items() for n, call in calls(path, model, rows).items()}
    seconds = {side: [] for side in sides}
    for repeat in range(repeats + 3):
        for side, call in sides.items():
            start = time.perf_counter()
            call()
            if repeat >= 3:
                seconds[side].append(time.perf_counter() - start)
    report = {}
    for when in paths:
        sample, decode = seconds[when, "sample"], seconds[when, "decode"]
        report[when] = {
            "sample_ms": 1e3 * statistics.median(sample),
            "decode_ms": 1e3 * statistics.median(decode),
            "ratio": statistics.median(sample) / statistics.median(decode),
            "ratio_of_minima": min(sample) / min(decode),
        }
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--names", nargs="+", default=NAMES)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    from train_speed import conclude, of_aim, versions

    report = {"rows": options.rows, "repeats": options.repeats, "versions": versions(), "models": {}}
    for name in options.names:
        report["models"][name] = measure(name, options.rows, options.repeats)
        for when, entry in report["models"][name].items():
            print(
                f"{name:28} {when:10} {entry['sample_ms']:7.2f} / {entry['decode_ms']:7.2f} ms = "
                f"{entry['ratio']:.2f} (minima {entry['ratio_of_minima']:.2f})",
                flush=True,
            )
    report["aims"] = {
        f"{name}, {when}: a draw over a decoding": of_aim(entry["ratio"], AIM)
        for name, sides in report["models"].items()
        for when, entry in sides.items()
    }
    conclude(report, options.json)


if __name__ == "__main__":
    main()
