"""Runs exported files where there is no zoo: `python child.py DIRECTORY`, a program of its own.

DIRECTORY/jobs.json lists {"kind": "saved_model" | "tflite" | "tflite_gpu", "path", "cases": [{"endpoint", "file"}]};
DIRECTORY/<file>.npz holds a case's inputs, DIRECTORY/<file>.out.npz gets its outputs, results.json one entry a job.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.modules["zoo"] = None  # whatever tries to import it fails


def saved_model(path, cases):
    """Through the loader that TF Serving uses; dynamic batch."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def
        for endpoint, inputs in cases:
            signature = signatures[endpoint]
            assert set(signature.inputs) == set(inputs), (endpoint, set(signature.inputs), set(inputs))
            feed = {signature.inputs[name].name: value for name, value in inputs.items()}
            yield session.run({name: tensor.name for name, tensor in signature.outputs.items()}, feed)


def tflite(path, cases):
    """On the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    signatures = interpreter.get_signature_list()
    for endpoint, inputs in cases:
        if endpoint not in signatures:
            yield None
            continue
        runner = interpreter.get_signature_runner(endpoint)
        size = next(iter(runner.get_input_details().values()))["shape"][0]
        yield in_batches(lambda fields, runner=runner: runner(**fields), inputs, size)


def tflite_gpu(path, cases):
    """On the GPU alone: with the CPU as a second choice, operators it refuses would silently run there."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    model = CompiledModel.from_file(path, hardware_accel=HardwareAccelerator.GPU)
    if not model.is_fully_accelerated():
        raise RuntimeError("compiled, but not fully accelerated")
    signatures = model.get_signature_list()
    for endpoint, inputs in cases:
        if endpoint not in signatures:
            yield None
            continue
        size = next(iter(model.get_input_tensor_details(endpoint).values()))["shape"][0]
        yield in_batches(lambda fields, endpoint=endpoint: run_on_gpu(model, endpoint, fields), inputs, size)


def run_on_gpu(model, endpoint, fields):
    """{output: array} of one call."""
    inputs = {name: model.create_input_buffer_by_name(endpoint, name) for name in fields}
    for name, buffer in inputs.items():
        buffer.write(np.ascontiguousarray(fields[name]))
    details = model.get_output_tensor_details(endpoint)
    outputs = {name: model.create_output_buffer_by_name(endpoint, name) for name in details}
    model.run_by_name(endpoint, inputs, outputs)
    shapes = {name: [int(size) for size in detail["shape"]] for name, detail in details.items()}
    return {name: outputs[name].read(int(np.prod(shapes[name])), np.float32).reshape(shapes[name]) for name in outputs}


def in_batches(run, inputs, size):
    """Any number of rows through a fixed batch: the last one is filled up with its last row."""
    count = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        parts.append(run({name: value[rows] for name, value in inputs.items()}))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def perform(job, directory):
    """The job's entry of results.json: {} or {"error": one line}."""
    cases = []
    for case in job["cases"]:
        with np.load(directory / f"{case['file']}.npz") as arrays:
            cases.append((case["endpoint"], dict(arrays)))
    try:
        outputs = {"saved_model": saved_model, "tflite": tflite, "tflite_gpu": tflite_gpu}[job["kind"]](
            job["path"], cases
        )
        for case, output in zip(job["cases"], outputs, strict=True):
            if output is not None:
                np.savez(directory / f"{case['file']}.out.npz", **output)
    except Exception as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    return {}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    results = []
    for job in json.loads((place / "jobs.json").read_text()):
        results.append(perform(job, place))
        (place / "results.json").write_text(
            json.dumps(results)
        )  # after each one: a GPU driver can take the process down
    assert sys.modules["zoo"] is None
