"""What is published serves and runs on devices: the SavedModel beside each card, and TFLite of trained weights.

Exports are verified when they are published (`tools.publish`), which their cards record. Here those are verified anew
that differ from the commit before, and two more, others each day.
"""

import json
import pathlib
import subprocess

import pytest
from support import of_today

import zoo
from zoo import pretrained
from zoo.export import export_tflite, gpu_unavailable
from zoo.export.tflite import drawing_nothing
from zoo.export.verify import saved_model_job, tflite_job, verify

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parent.parent
NAMES = pretrained.list_pretrained()
KINDS = ("SavedModel", "float32", "float32 on the GPU path", "float16")


def git(*arguments):
    """What git prints; "" where this is no checkout, or the file is new."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode else done.stdout


def changed():
    """The models whose weights, export or description of the model differ from the commit before."""
    found = set()
    for file in map(pathlib.PurePath, git("diff", "--name-only", "HEAD~", "--", "saved_models").splitlines()):
        name, inside = file.parts[1], file.parts[2:]
        if inside == ("card.json",) and name in NAMES:
            now, then = pretrained.read_card(name), json.loads(git("show", f"HEAD~:{file}") or "{}")
            if any(now[key] != then.get(key) for key in ("model", "config", "weights")):
                found.add(name)
        elif inside[0] == "1" or inside[0].endswith(".h5"):
            found.add(name)
    return found & set(NAMES)


SAMPLED = sorted({*changed(), *of_today(NAMES)})


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """(name, kind) -> report, from one process that has no zoo."""
    folder, jobs = tmp_path_factory.mktemp("tflite"), {}
    print(f"\nExports that are verified: {', '.join(SAMPLED)}")
    for name in SAMPLED:
        model = zoo.load(name)
        files = {dtype: export_tflite(model, folder / f"{name}.{dtype}.tflite", dtype=dtype) for dtype in KINDS[1::2]}
        jobs[name, "SavedModel"] = saved_model_job(model, pretrained.locate(name) / "1")
        jobs[name, "float32"] = tflite_job(model, files["float32"])
        jobs[name, "float16"] = tflite_job(model, files["float16"])
        if not gpu_unavailable():
            accelerated = [e for e in drawing_nothing(model) if e not in model.cpu_endpoints]
            file = export_tflite(model, folder / f"{name}.gpu.tflite", endpoints=accelerated)
            jobs[name, "float32 on the GPU path"] = tflite_job(model, file, gpu=True)
    return dict(zip(jobs, verify(list(jobs.values())), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLED)
def test_a_published_export_says_what_the_model_says(reports, name, kind):
    if (name, kind) not in reports:
        pytest.skip(gpu_unavailable())
    for endpoint, result in reports[name, kind].items():
        assert result["passed"], (endpoint, result)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_records_that_its_exports_were_verified(name):
    measured = pretrained.read_card(name)["tflite"]
    assert {"float32", "float16"} <= measured.keys()
    for entry in measured.values():
        differences = [result["cpu"] for endpoint, result in entry.items() if endpoint != "bytes"]
        assert differences
        assert max(differences) < 2e-2  # absolute, of codes up to 4, in half precision
