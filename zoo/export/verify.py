"""Does an exported file say what the model says? Asked in a process that has no `zoo`."""

import ctypes.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.export.archive import quiet
from zoo.export.examples import example_inputs
from zoo.export.tflite import drawing_nothing, tflite_specs
from zoo.export.warmup import read_warmup
from zoo.quiet import waiting

TOLERANCES = {"saved_model": 1e-5, "tflite": 1e-5, "tflite_gpu": 1e-4}
FLOAT16_TOLERANCE = 5e-3
BATCH_SIZES = (1, 3, 8)
TFLITE_ROWS = 8
SOFTWARE_DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")  # of Debian's chromium package
LOADER = SOFTWARE_DRIVER.with_name("libvulkan.so.1")
TIMEOUT = 1200


def verify_saved_model(model, path):
    """Compare every signature of a SavedModel with the model, on several batch sizes and on the warm-up records.

    The file is loaded with the loader of TF Serving, in a process of its own where `zoo` cannot be imported.

    Args:
        model: what was exported.
        path: directory/<version>.

    Returns:
        {endpoint: {"max_abs_difference", "max_relative_difference" (to max(1, |value|)), "tolerance", "passed",
        "cases", "warmup_records"}}; where it could not be run, "error" says why, the differences are
        infinite and "passed" is False.
    """
    return verify([saved_model_job(model, path)])[0]


def verify_tflite(model, path, gpu=None):
    """Compare every signature of a .tflite file with the model, in a process of its own.

    Args:
        model: what was exported.
        path: the file.
        gpu: True runs LiteRT's GPU path, and nothing else, on the Vulkan driver that `VK_ICD_FILENAMES` names or on
            Debian's software one; otherwise the CPU.

    Returns:
        As `verify_saved_model`, without "warmup_records", with "accelerated" (True) on the GPU path.
        None where the GPU path has no driver: `gpu_unavailable()` is the reason.
    """
    if gpu and gpu_unavailable():
        return None
    return verify([tflite_job(model, path, gpu=gpu)])[0]


def require_equal(report, path):
    """The report, if every endpoint passed.

    Raises:
        ExportDiffers: names the endpoint and how far its numbers are off, or why it could not be run.
    """
    for endpoint, result in report.items():
        if not result["passed"]:
            why = result.get("error", f"differs from the model by {result['max_abs_difference']:.1e}")
            raise ExportDiffers(f"{path}: {endpoint} {why} (tolerance {result['tolerance']:.0e}, relative)")
    return report


class ExportDiffers(RuntimeError):
    """An export does not say what the model says."""


def gpu_unavailable():
    """Why LiteRT's GPU path cannot be run here, in one line; None where it can."""
    if not os.environ.get("VK_ICD_FILENAMES") and not SOFTWARE_DRIVER.exists():
        return f"no Vulkan driver: set VK_ICD_FILENAMES, or install {SOFTWARE_DRIVER} (Debian: chromium)"
    if not ctypes.util.find_library("vulkan") and not LOADER.exists():
        return "no Vulkan loader, libvulkan.so.1: install it (Debian: libvulkan1, or chromium, which brings its own)"
    return None


def saved_model_job(model, path):
    """What `verify` needs to check a SavedModel."""
    path = existing(path)
    cases = []
    for endpoint, (method, names) in model.endpoints.items():
        for size in BATCH_SIZES:
            inputs = example_inputs(model, names, size, seed=size)
            cases.append({"endpoint": endpoint, "inputs": inputs, "expected": call(method, inputs), "warmup": False})
    for endpoint, inputs in read_warmup(path):
        expected = call(model.endpoints[endpoint][0], inputs)
        cases.append({"endpoint": endpoint, "inputs": inputs, "expected": expected, "warmup": True})
    return {"kind": "saved_model", "path": path, "cases": cases, "tolerance": TOLERANCES["saved_model"]}


def tflite_job(model, path, gpu=None):
    """What `verify` needs to check a .tflite file."""
    path = existing(path)
    specs, cases = tflite_specs(model), []
    for endpoint, (method, names) in drawing_nothing(model).items():
        inputs = example_inputs(model, names, TFLITE_ROWS)
        expected = call(method, inputs)
        inputs = {name: soften(value, specs[name]) for name, value in inputs.items()}
        cases.append({"endpoint": endpoint, "inputs": inputs, "expected": expected})
    kind = "tflite_gpu" if gpu else "tflite"
    tolerance = FLOAT16_TOLERANCE if half_precision(path) else TOLERANCES[kind]
    return {"kind": kind, "path": path, "cases": cases, "tolerance": tolerance}


def existing(path):
    path = Path(path).resolve()
    if not path.exists():
        raise InvalidInput(f"{path} does not exist; export the model first")
    return path


def call(method, inputs):
    """{output: array} of the model's own endpoint."""
    with quiet("asking the model"):
        outputs = method(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def soften(value, spec):
    """Labels [N] -> probabilities [N, C] where the file takes those."""
    return value if value.ndim == 1 + len(spec.shape) else np.eye(spec.shape[0], dtype="float32")[value]


def half_precision(path):
    """Whether a .tflite file stores float16 weights."""
    from ai_edge_litert.interpreter import Interpreter

    return any(tensor["dtype"] == np.float16 for tensor in Interpreter(model_path=str(path)).get_tensor_details())


def verify(jobs):
    """The results of several jobs, in order, from a child process, and another one after each job that ended it."""
    results = []
    while len(results) < len(jobs):
        results += verify_some(jobs[len(results) :])
    return results


def verify_some(jobs):
    """The results of the first jobs, up to one that ended the child process."""
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        write_jobs(jobs, directory)
        command = [sys.executable, "-P", str(Path(__file__).with_name("child.py")), str(directory)]
        try:
            settings = {"cwd": directory, "env": environment(directory), "timeout": TIMEOUT}
            with waiting("running the export in a process of its own"):
                done = subprocess.run(command, capture_output=True, text=True, **settings)
            reason, lost = f"the process ended with {done.returncode}: {last_line(done.stderr)}", 1
        except subprocess.TimeoutExpired:
            reason, lost = f"the process took more than {TIMEOUT} s", len(jobs)
        results = directory / "results.json"
        entries = json.loads(results.read_text()) if results.exists() else []
        entries += [{"error": reason}] * min(lost, len(jobs) - len(entries))
        return [summarise(job, entry, directory, i) for i, (job, entry) in enumerate(zip(jobs, entries, strict=False))]


def write_jobs(jobs, directory):
    """jobs.json and the cases' inputs, as child.py reads them."""
    described = []
    for i, job in enumerate(jobs):
        for j, case in enumerate(job["cases"]):
            np.savez(directory / f"{i}-{j}.npz", **case["inputs"])
        cases = [{"endpoint": case["endpoint"], "file": f"{i}-{j}"} for j, case in enumerate(job["cases"])]
        described.append({"kind": job["kind"], "path": str(job["path"]), "cases": cases})
    (directory / "jobs.json").write_text(json.dumps(described))


def environment(directory):
    """The child's environment: quiet, and with a Vulkan driver and its loader."""
    variables = {"VK_ICD_FILENAMES": str(SOFTWARE_DRIVER), "XDG_RUNTIME_DIR": str(directory), **os.environ}
    variables["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if not ctypes.util.find_library("vulkan"):
        places = [os.environ.get("LD_LIBRARY_PATH"), str(LOADER.parent)]
        variables["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, places))
    return variables


def last_line(text):
    return (text.strip().splitlines() or ["no message"])[-1]


def summarise(job, entry, directory, index):
    """{endpoint: {...}} of one job."""
    summary = {}
    for j, case in enumerate(job["cases"]):
        if "error" in entry:
            unknown = {"max_abs_difference": np.inf, "max_relative_difference": np.inf}
            summary[case["endpoint"]] = {**entry, **unknown, "tolerance": job["tolerance"], "passed": False}
            continue
        file = directory / f"{index}-{j}.out.npz"
        if not file.exists():
            continue  # a signature that this .tflite file was exported without
        with np.load(file) as outputs:
            absolute, relative = differences(case["expected"], outputs)
        known = summary.get(case["endpoint"], {})
        relative = max(relative, known.get("max_relative_difference", 0.0))
        merged = {
            "max_abs_difference": max(absolute, known.get("max_abs_difference", 0.0)),
            "max_relative_difference": relative,
            "tolerance": job["tolerance"],
            "passed": relative <= job["tolerance"],
            "cases": known.get("cases", 0) + 1,
        }
        if job["kind"] == "saved_model":
            merged["warmup_records"] = known.get("warmup_records", 0) + case["warmup"]
        if job["kind"] == "tflite_gpu":
            merged["accelerated"] = True  # or the child had given an error
        summary[case["endpoint"]] = merged
    return summary


def differences(expected, outputs):
    """(largest |a - b|, largest |a - b| / max(1, |b|)); infinite where a name or shape differs, or for NaN."""
    if set(expected) != set(outputs) or any(expected[name].shape != outputs[name].shape for name in expected):
        return np.inf, np.inf
    absolute = relative = 0.0
    for name, value in expected.items():
        value = value.astype("float64")
        difference = np.nan_to_num(np.abs(outputs[name] - value), nan=np.inf)
        absolute = max(absolute, float(difference.max(initial=0.0)))
        relative = max(relative, float((difference / np.maximum(1.0, np.abs(value))).max(initial=0.0)))
    return absolute, relative
