"""Exported files say what the model says, appear whole or not at all, and take any batch row by row."""

import os

import numpy as np
import pytest
import tensorflow as tf
from support import tiered, wanted

import zoo
from zoo.errors import InvalidInput, OutputExists
from zoo.export import saved_model, tflite, verify
from zoo.export.examples import example_inputs
from zoo.export.warmup import BATCH_SIZES, FILE, read_warmup

MLP = {"name": "mlp", "hidden_units": [16]}
CONV = {"name": "conv", "filters": [4, 4], "hidden_units": [16]}
SHALLOW = {**CONV, "filters": [4]}
LEVELS = {"latent_dims": (4, 3, 2), "hidden_units": (8, 8)}


def flow(name, **settings):
    return ("vae", {"encoder": MLP, "data_shape": (8, 8, 1), "posterior": {"name": name, "num_layers": 2, **settings}})


MODELS = {
    "mlp": ("vae", {"encoder": MLP}),
    "gated_mlp": ("vae", {"encoder": {**MLP, "gated": True}, "likelihood": {"name": "normal", "scale": "per_pixel"}}),
    "conv": ("vae", {"encoder": CONV}),
    "odd_sides": ("vae", {"encoder": {**CONV, "filters": [4, 4, 4]}, "data_shape": (28, 20, 1)}),
    "small": ("vae", {"encoder": SHALLOW, "data_shape": (8, 8, 1), "posterior": "full_covariance"}),
    "colour": (
        "vae",
        {"encoder": {**CONV, "num_blocks": 1}, "data_shape": (32, 32, 3), "likelihood": "discretized_logistic"},
    ),
    "gated_conv": ("vae", {"encoder": {**CONV, "gated": True}}),
    "batch_norm": ("vae", {"encoder": {**CONV, "batch_norm": True}}),
    "categorical": ("vae", {"encoder": MLP, "data_shape": (8, 8, 1), "likelihood": "categorical"}),
    "conditional_vae": ("conditional_vae", {"encoder": CONV}),
    "autoencoder": ("autoencoder", {"encoder": CONV}),
    "m1": ("m1", {"encoder": CONV, "classifier": MLP}),
    "m2": ("m2", {"encoder": MLP, "classifier": CONV, "hidden_units": 16}),
    "m1_m2": ("m1_m2", {"encoder": MLP, "m2": {"latent_dim": 3, "hidden_units": 16}}),
    "planar": flow("planar"),
    "planar_free": flow("planar", amortized=False),
    "radial": flow("radial"),
    "householder": flow("householder"),
    "sylvester": flow("sylvester"),
    "sylvester_free": flow("sylvester", amortized=False),
    "sylvester_orthogonal": flow("sylvester", kind="orthogonal"),
    "sylvester_triangular": flow("sylvester", kind="triangular"),
    "iaf": flow("iaf", hidden_units=[8]),
    "coupling": flow("coupling", hidden_units=[8]),
    "spline": flow("spline", hidden_units=[8]),
    "flow_prior": (
        "flow_prior_vae",
        {"encoder": MLP, "data_shape": (8, 8, 1), "prior": {"name": "flow", "num_layers": 4}},
    ),
    "vamp": ("vamp_vae", {"encoder": MLP, "data_shape": (8, 8, 1), "num_pseudo_inputs": 5}),
    "hierarchical_vae": ("hierarchical_vae", {"encoder": CONV, **LEVELS}),
    "lvae": ("lvae", {"encoder": {**CONV, "batch_norm": True}, **LEVELS}),
    "dlgm": ("dlgm", {"encoder": CONV, **LEVELS}),
}
LABELLED = ("m1", "m2", "m1_m2")
SAVED = [
    "mlp",
    "small",
    "colour",
    "batch_norm",
    "conditional_vae",
    "autoencoder",
    *LABELLED,
    "planar",
    "flow_prior",
    "vamp",
    "lvae",
    "dlgm",
]
HALF = "mlp"
PLAIN = ("mlp", "conditional_vae")  # the others with --all: conformance exports one of every family


def perturbed(name):
    """A small model with no weight at its initial value; zero biases would hide what the GPU path refuses."""
    kind, config = MODELS[name]
    size = {} if "latent_dims" in config else {"latent_dim": 4}
    model = zoo.create(kind, **size, **config)
    model.score_samples = 4
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif weight.shape and weight.dtype == "float32":
            weight.assign(weight + rng.normal(0.0, 0.2, weight.shape))
    if name == "mlp":  # scales from the smallest to where exp overflows
        model.posterior_head.dense.bias.assign([0.0, 0.1, 0.2, 0.3, -20.0, 0.0, 20.0, 200.0])
    if name == "colour":  # and pixels of scale 1e-3, whose loc / scale does
        bias = model.decoder.output_layer.bias
        bias.assign(bias - np.array([0.0, 0.0, 0.0, 5.0, 50.0, 0.0]))
    return model


class Made(dict):
    """Values that are made when they are first asked for."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def __missing__(self, name):
        self[name] = self.make(name)
        return self[name]


@pytest.fixture(scope="module")
def models():
    return Made(perturbed)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def saved(models, place):
    """name -> directory/<version>."""
    return Made(lambda name: zoo.export_saved_model(models[name], place / name))


@pytest.fixture(scope="module")
def files(models, place):
    """name -> .tflite file; "half" has float16 weights and a batch of 3."""

    def make(name):
        half = {"dtype": "float16", "batch_size": 3} if name == "half" else {}
        return zoo.export_tflite(models[HALF if half else name], place / f"{name}.tflite", **half)

    return Made(make)


@pytest.fixture(scope="module")
def reports(request, models, saved, files):
    """(kind, name) -> the verification's report; all from one process without zoo."""
    jobs = {}
    for name in wanted(request, "name"):
        model = models[HALF if name == "half" else name]
        if name in SAVED:
            jobs["saved_model", name] = verify.saved_model_job(model, saved[name])
        jobs["cpu", name] = verify.tflite_job(model, files[name])
        if not verify.gpu_unavailable():
            jobs["gpu", name] = verify.tflite_job(model, files[name], gpu=True)
    other = zoo.create("vae", latent_dim=4, encoder=MLP)
    other.score_samples = 4
    jobs["saved_model", "other"] = verify.saved_model_job(other, saved["mlp"])
    jobs["cpu", "other"] = verify.tflite_job(other, files["mlp"])
    return dict(zip(jobs, verify.verify(list(jobs.values())), strict=True))


def lite_endpoints(name):
    return {"encode", "decode", "reconstruct", *(["classify"] if name in LABELLED else [])}


def show(report):
    return {name: entry for name, entry in report.items() if not entry["passed"]}


@pytest.mark.parametrize("name", tiered(SAVED, PLAIN.__contains__))
def test_every_signature_of_a_saved_model_says_what_the_model_says_where_there_is_no_zoo(reports, models, name):
    report = reports["saved_model", name]
    assert list(report) == list(models[name].endpoints)
    assert not show(report)
    assert all(entry["warmup_records"] == len(BATCH_SIZES) for entry in report.values())


@pytest.mark.parametrize("name", tiered([*MODELS, "half"], PLAIN.__contains__))
def test_a_tflite_file_says_what_the_model_says_on_the_cpu(reports, name):
    report = reports["cpu", name]
    assert set(report) == lite_endpoints(name)
    assert not show(report)


@pytest.mark.skipif(bool(verify.gpu_unavailable()), reason=verify.gpu_unavailable() or "")
@pytest.mark.parametrize("name", tiered([*MODELS, "half"], PLAIN.__contains__))
def test_a_tflite_file_says_what_the_model_says_on_the_gpu_path_alone(reports, name):
    report = reports["gpu", name]
    assert set(report) == lite_endpoints(name)
    assert not show(report)
    assert all(entry["accelerated"] for entry in report.values())


@pytest.mark.parametrize("kind", ["saved_model", "cpu"])
def test_another_model_is_told_apart(reports, kind):
    assert not any(entry["passed"] for entry in reports[kind, "other"].values())


@pytest.mark.slow
def test_half_precision_halves_the_file(files):
    assert os.path.getsize(files["half"]) < 0.6 * os.path.getsize(files[HALF])


@pytest.mark.parametrize("name", tiered(["mlp", "batch_norm", "conditional_vae", *LABELLED], PLAIN.__contains__))
def test_a_row_depends_on_itself_alone(models, saved, name):
    """The same row alone, in a batch, and among other neighbours; a seed's draw is its own."""
    signatures = tf.saved_model.load(str(saved[name])).signatures
    for endpoint, (_, inputs) in models[name].endpoints.items():
        fields = example_inputs(models[name], inputs, 5)
        whole = signatures[endpoint](**{k: tf.constant(v) for k, v in fields.items()})
        for rows in ([2], [4, 2, 0]):
            part = signatures[endpoint](**{k: tf.constant(v[rows]) for k, v in fields.items()})
            for output, value in part.items():
                rounding = 1e-6 if endpoint == "sample" else 1e-5  # products of other sizes are summed in another order
                np.testing.assert_allclose(
                    value, whole[output].numpy()[rows], rtol=2e-6, atol=rounding, err_msg=endpoint
                )


def test_equal_seeds_give_equal_rows_and_unequal_ones_do_not(saved):
    sample = tf.saved_model.load(str(saved["mlp"])).signatures["sample"]
    x = sample(seed=tf.constant([7, 8, 7, 7 + 2**40], tf.int64))["x"].numpy()
    np.testing.assert_array_equal(x[0], x[2])
    assert np.abs(x[0] - x[1]).max() > 1e-3
    assert np.abs(x[0] - x[3]).max() > 1e-3  # the upper half of a seed counts


def test_signatures_are_named_and_open_in_the_batch(models, saved):
    signatures = tf.saved_model.load(str(saved["conditional_vae"])).signatures
    model = models["conditional_vae"]
    assert set(signatures) == {"serving_default", *model.endpoints}
    for endpoint, (_, inputs) in model.endpoints.items():
        assert set(signatures[endpoint].structured_input_signature[1]) == set(inputs)
        outputs = signatures[endpoint].structured_outputs.values()
        assert all(tensor.shape.rank >= 1 and tensor.shape[0] is None for tensor in outputs)
    assert set(signatures["serving_default"].structured_outputs) == {"reconstruction"}


def test_warm_up_records_are_what_tf_serving_reads(saved):
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2").PredictionLog
    ours = read_warmup(saved["conditional_vae"])
    records = [log.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(saved["conditional_vae"] / FILE))]
    assert len(records) == len(ours)
    for record, (signature, inputs) in zip(records, ours, strict=True):
        request = record.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("conditional_vae", signature)
        assert set(request.inputs) == set(inputs)
        for name, value in inputs.items():
            np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), value)


def test_versions_count_up_and_never_overwrite(models, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "write_archive", lambda model, endpoints, specs, directory: directory.mkdir())
    monkeypatch.setattr(saved_model, "write_warmup", lambda model, directory, name: None)
    model = models["mlp"]
    assert zoo.export_saved_model(model, tmp_path).name == "1"
    assert zoo.export_saved_model(model, tmp_path, version=7).name == "7"
    (tmp_path / "009").mkdir()  # TF Serving reads 9
    assert zoo.export_saved_model(model, tmp_path).name == "10"
    for version in (7, 9):
        with pytest.raises(OutputExists, match="exists"):
            zoo.export_saved_model(model, tmp_path, version=version)
    for version in (0, -1, "3", 1.0, True):
        with pytest.raises(InvalidInput, match="version"):
            zoo.export_saved_model(model, tmp_path, version=version)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is a file"):
        zoo.export_saved_model(model, tmp_path / "file")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_export_leaves_nothing(models, tmp_path, monkeypatch, interruption):
    def interrupt(*args, **kwargs):
        raise interruption

    monkeypatch.setattr(saved_model, "write_warmup", interrupt)
    with pytest.raises(interruption):
        zoo.export_saved_model(models["autoencoder"], tmp_path)
    monkeypatch.setattr(tflite, "convert", lambda *args: b"bytes")
    monkeypatch.setattr(tflite.os, "replace", interrupt)
    with pytest.raises(interruption):
        zoo.export_tflite(models["mlp"], tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def test_a_tflite_file_is_not_overwritten_unasked(models, tmp_path, monkeypatch):
    monkeypatch.setattr(tflite, "convert", lambda *args: b"new")
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    with pytest.raises(OutputExists, match="overwrite"):
        zoo.export_tflite(models["mlp"], path)
    assert path.read_bytes() == b"old"
    zoo.export_tflite(models["mlp"], path, overwrite=True)
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoints": ["encoder"]}, "encode"),
        ({"endpoints": "sample"}, "known"),
        ({"endpoints": []}, "endpoints"),
        ({"dtype": "float61"}, "float16"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_arguments_are_answered_in_one_line_before_any_work(models, tmp_path, arguments, message):
    with pytest.raises(InvalidInput, match=message) as error:
        zoo.export_tflite(models["mlp"], tmp_path / "model.tflite", **arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_chosen_endpoints_are_all_a_file_has(models, tmp_path):
    path = zoo.export_tflite(models["autoencoder"], tmp_path / "decode.tflite", endpoints="decode", batch_size=2)
    assert list(verify.verify_tflite(models["autoencoder"], path)) == ["decode"]


def test_a_missing_driver_has_a_reason(models, files, monkeypatch, tmp_path):
    monkeypatch.delenv("VK_ICD_FILENAMES", raising=False)
    monkeypatch.setattr(verify, "SOFTWARE_DRIVER", tmp_path / "none.json")
    assert "Vulkan driver" in verify.gpu_unavailable()
    assert verify.verify_tflite(models["mlp"], files["mlp"], gpu=True) is None


def test_a_missing_file_is_named(models, tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        verify.verify_tflite(models["mlp"], tmp_path / "none.tflite")
