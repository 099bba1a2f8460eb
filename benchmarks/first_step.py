"""Seconds until a model is made and has taken its first update: every model of the zoo, and flows of forty layers.

    python benchmarks/first_step.py --json benchmarks/results/first_step.json

Each in a process of its own, with the model's own defaults and a batch of 100 (sequences of 2 steps: the graph does not
grow with them); tracing the update counts, importing the zoo does not.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

AIM, FLOW_AIM, LAYERS, BATCH = 10.0, 30.0, 40, 100
FLOWS = ("planar", "radial", "sylvester", "iaf", "coupling")


def cases():
    """Name -> (registry name, arguments, aim)."""
    import zoo

    models = {name: (name, {}, AIM) for name in zoo.list_models()}
    flows = {
        f"vae, {LAYERS} layers of {flow}": ("vae", {"posterior": {"name": flow, "num_layers": LAYERS}}, FLOW_AIM)
        for flow in FLOWS
    }
    prior = {"prior": {"name": "flow", "num_layers": LAYERS}}
    return {**models, **flows, f"vae, a prior of {LAYERS} couplings": ("vae", prior, FLOW_AIM)}


def measure(name, config):
    """Seconds in this process."""
    import zoo
    from zoo.creation import model_class

    model_class(name)  # its imports
    begun = time.perf_counter()
    model = zoo.create(name, **config)
    model.compile("adam")
    model.train_on_batch(model.fake_batch(BATCH))
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", nargs=2, help="a registry name and its arguments as JSON: measure it here.")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if options.one:
        print(measure(options.one[0], json.loads(options.one[1])))
        return
    from train_speed import conclude, of_aim, versions

    report = {"batch_size": BATCH, "versions": versions(), "aims": {}}
    for said, (name, config, aim) in cases().items():
        command = [sys.executable, __file__, "--one", name, json.dumps(config)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        report["aims"][f"{said}, s"] = of_aim(float(done.stdout.splitlines()[-1]), aim)
    conclude(report, options.json)


if __name__ == "__main__":
    main()
