"""What is published serves and runs on devices: the SavedModel beside each card, and TFLite of trained weights."""

import pytest

import zoo
from zoo import pretrained
from zoo.export import export_tflite, gpu_unavailable
from zoo.export.verify import saved_model_job, tflite_job, verify

NAMES = pretrained.list_pretrained()
KINDS = ("SavedModel", "float32", "float32 on the GPU path", "float16")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """(name, kind) -> report, from one process that has no zoo."""
    folder, jobs = tmp_path_factory.mktemp("tflite"), {}
    for name in NAMES:
        model = zoo.load(name)
        files = {dtype: export_tflite(model, folder / f"{name}.{dtype}.tflite", dtype=dtype) for dtype in KINDS[1::2]}
        jobs[name, "SavedModel"] = saved_model_job(model, pretrained.locate(name) / "1")
        jobs[name, "float32"] = tflite_job(model, files["float32"])
        jobs[name, "float16"] = tflite_job(model, files["float16"])
        if not gpu_unavailable():
            jobs[name, "float32 on the GPU path"] = tflite_job(model, files["float32"], gpu=True)
    return dict(zip(jobs, verify(list(jobs.values())), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_published_export_says_what_the_model_says(reports, name, kind):
    if (name, kind) not in reports:
        pytest.skip(gpu_unavailable())
    for endpoint, result in reports[name, kind].items():
        assert result["passed"], (endpoint, result)
