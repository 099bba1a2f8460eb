"""What other packages see of a run: TensorBoard, Weights & Biases, MLflow and KerasTuner."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

import zoo as package
from zoo.errors import InvalidInput
from zoo.pretrained import read_card
from zoo.training import train
from zoo.training.recipe import Recipe
from zoo.training.trackers import TRACKERS

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = {"data_shape": [8, 8, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}}
DATA = {"name": "digits", "limit": 256, "validation": "validation"}


def preset(callbacks, **more):
    return {"model": "vae", "config": CONFIG, "data": DATA, "recipe": {"epochs": 2, "callbacks": callbacks}, **more}


@pytest.fixture
def all_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_package_that_is_missing_is_one_line_with_the_command_and_leaves_nothing(name, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *rest: None if n == name else find(n, *rest))
    for arguments in (
        {"preset": preset(name)},
        *([{"preset": preset(None), "tensorboard": True}] * (name == "tensorboard")),
        *([{"preset": preset(None), "profile": True}] * (name == "tensorboard")),
    ):
        with pytest.raises(InvalidInput, match=rf"pip install 'vae-zoo\[{name}\]'"):
            train(tmp_path / "run", verbose=False, **arguments)
    assert not list(tmp_path.iterdir())
    assert f'"{name}": ' in (ROOT / "setup.py").read_text(), "the extra exists"


@pytest.mark.parametrize(
    ("callbacks", "said"),
    [
        ("wandbb", "did you mean wandb"),
        ({"name": "wandb", "projekt": "a"}, "did you mean project"),
        ([3], "names, or dicts"),
        (3, "callbacks of a recipe"),
    ],
)
def test_a_wrong_callback_is_one_line(callbacks, said, all_there):
    with pytest.raises(InvalidInput, match=said):
        Recipe(callbacks=callbacks)


def test_a_service_that_refuses_the_run_is_one_line(tmp_path, monkeypatch, all_there):
    def refuse(self, known):
        raise RuntimeError("no key:\nlog in")

    monkeypatch.setattr(TRACKERS["wandb"], "begin", refuse)
    with pytest.raises(InvalidInput, match="^wandb does not begin a run: no key: log in$"):
        train(tmp_path / "run", preset("wandb"), verbose=False)


def logged(folder):
    """Epoch -> value of "val_elbo" in a run's own log."""
    header, *rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    return {int(row[0]): float(row[header.index("val_elbo")]) for row in rows}


@pytest.mark.slow
def test_tensorboard_has_the_numbers_and_the_reconstructions(tmp_path):
    pytest.importorskip("tensorboard")
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path / "run", preset({"name": "tensorboard", "images": 3}), verbose=False, tensorboard=True)
    home = tmp_path / "run" / "tensorboard"
    read = {}
    for part in ("validation", "images"):
        read[part] = EventAccumulator(str(home / part), size_guidance={"tensors": 0, "images": 0}).Reload()
    values = [tf.make_ndarray(event.tensor_proto) for event in read["validation"].Tensors("epoch_elbo")]
    np.testing.assert_allclose(values, list(logged(tmp_path / "run").values()), rtol=1e-5)
    pictures = read["images"].Tensors("reconstructions")
    assert [event.step for event in pictures] == [0, 1]
    picture = tf.io.decode_png(tf.make_ndarray(pictures[0].tensor_proto)[2])
    assert picture.shape[:2] == (16, 24)
    first = package.load_dataset("digits", "validation").take(1).get_single_element()["x"]
    np.testing.assert_array_equal(picture[:8, :8, 0], first[0, ..., 0])
    assert read_card(tmp_path / "run")["recipe"]["callbacks"] is None


@pytest.mark.slow
def test_a_profile_has_the_operators_of_the_training(tmp_path):
    pytest.importorskip("tensorboard")
    train(tmp_path / "run", preset(None), verbose=False, profile=True)
    (trace,) = (tmp_path / "run" / "tensorboard").rglob("*.xplane.pb")
    assert b"MatMul" in trace.read_bytes()


@pytest.mark.slow
def test_a_profile_of_a_run_that_is_too_short_is_refused(tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(InvalidInput, match="from call 3 on, and this run makes 1"):
        train(tmp_path / "run", {**preset(None), "recipe": {"epochs": 1, "batch_size": 256}}, profile=True)


@pytest.mark.slow
def test_weights_and_biases_has_the_numbers_of_all_pieces_of_a_run(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    sent, log = {}, wandb.Run.log

    def seen(run, values, step=None):
        sent[run.id, step] = values["val_elbo"]
        return log(run, values, step=step)

    monkeypatch.setattr(wandb.Run, "log", seen)
    train(tmp_path / "run", preset({"name": "wandb", "project": "a", "mode": "offline"}), verbose=False)
    train(tmp_path / "run", resume=True, epochs=3, verbose=False)
    identity = (tmp_path / "run" / "wandb.id").read_text().strip()
    expected = {(identity, epoch): value for epoch, value in logged(tmp_path / "run").items()}
    assert sent == pytest.approx(expected) and len(sent) == 3
    assert list((tmp_path / "run").glob(f"wandb/offline-run-*-{identity}/run-{identity}.wandb"))


@pytest.mark.slow
def test_mlflow_has_the_numbers_of_all_pieces_of_a_run(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    train(tmp_path / "run", preset({"name": "mlflow", "tracking_uri": uri, "experiment": "a"}), verbose=False)
    train(tmp_path / "run", resume=True, epochs=3, verbose=False)
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("a").experiment_id])
    history = client.get_metric_history(run.info.run_id, "val_elbo")
    assert {metric.step: metric.value for metric in history} == pytest.approx(logged(tmp_path / "run"))
    assert json.loads(run.data.params["model"]) == "vae"


@pytest.mark.slow
def test_keras_tuner_chooses_among_models_of_the_zoo(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")

    def build(hp):
        latent_dim = hp.Choice("latent_dim", [1, 4])
        model = package.create("vae", **{**CONFIG, "latent_dim": latent_dim, "binarize": "dynamic"})
        model.compile("adam")
        return model

    settings = {"objective": keras_tuner.Objective("val_elbo", "max"), "max_trials": 2, "seed": 0}
    tuner = keras_tuner.RandomSearch(build, **settings, directory=tmp_path, project_name="a")
    parts = [package.load_dataset("digits", split, limit=256) for split in ("train", "validation")]
    tuner.search(parts[0], validation_data=parts[1], epochs=2, verbose=0)
    best = tuner.get_best_hyperparameters()[0].get("latent_dim")
    (model,) = tuner.get_best_models(1)
    assert model.latent_dim == best
    score = tuner.oracle.get_best_trials()[0].score
    assert model.evaluate(parts[1], verbose=0, return_dict=True)["elbo"] == pytest.approx(score, abs=0.5)
