"""Several devices or cores: what is counted or drawn is so over the whole batch, and its update is that of one."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import random_batch, small

from zoo.models import sharing
from zoo.models.sharing import MOST, keep_operators_apart, may_share, num_parts
from zoo.models.vae import VAE
from zoo.posteriors.base import PosteriorHead
from zoo.replicas import Share, num_cores, rows_of

HERE = pathlib.Path(__file__).parent

UPDATES = """
import contextlib, sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from support import random_batch, small

def updated(strategy, name, config):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = small(name, **config)
        model.compile(keras.optimizers.SGD(0.001))
    batch = random_batch(model, 15)
    if "y" in batch:  # the labelled rows first: on the first device alone
        batch["y"] = tf.constant([2, 0, 1, *[-1] * 5, 1, 2, *[-1] * 5])
    data = tf.data.Dataset.from_tensor_slices(batch).batch(8)  # and of the second batch it has one row more
    logs = model.fit(data, verbose=0).history
    assert logs["skipped"] == [0.0], logs
    return {k: v[0] for k, v in logs.items()}, {w.path: w.numpy() for w in model.weights}

BALANCED = {"bound": "kl_balancing", "beta": 0.5, "covariance": "diagonal"}
FREE = {"bound": {"name": "free_bits", "nats": 0.5, "num_groups": 3}}
NORMALISED = {"encoder": {"name": "mlp", "hidden_units": [8], "batch_norm": True}, "binarize": "dynamic"}
DROPPED = {"encoder": {"name": "pooled_conv", "filters": [4], "hidden_units": [8], "dropout": [0.5, 0.5]}}
DROPPED["decoder"] = {"name": "mlp", "hidden_units": [8]}
TOP = {"bound": {"name": "free_bits", "nats": 2.0}, "labels": {"name": "top", "count": 1}}
CASES = [("vae", {"posterior": "rank_one_precision"}), ("vae", FREE), ("vae", NORMALISED), ("dlgm", BALANCED)]
CASES += [("m2", TOP), ("m2", DROPPED), ("m1_m2", {"joint": True}), ("vrnn", {"bound": "fivo", "num_samples": 3})]
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name, config in CASES:
    (one_logs, one), (two_logs, both) = (updated(strategy, name, config) for strategy in (None, two))
    for (path, a), b in zip(one.items(), both.values(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=2e-6, err_msg=f"{name} {config} {path}")
    for term, value in one_logs.items():
        np.testing.assert_allclose(two_logs[term], value, rtol=1e-4, atol=1e-5, err_msg=f"{name} {config} {term}")
"""


TWICE = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from zoo.training.run import train
data = {"name": "digits", "split": "train", "validation": "validation"}
recipe = {"epochs": 1, "batch_size": 2, "steps_per_epoch": 3}
for name in ("vae", "deep_vae"):
    sizes = {"data_shape": [8, 8, 1], **({"num_blocks": [1, 1], "width": 8} if name == "deep_vae" else {})}
    preset = {"model": name, "config": sizes, "data": data, "recipe": recipe}
    train(f"{sys.argv[1]}/{name}", preset, distribute="mirrored", verbose=False)
"""


def in_a_process(script, *arguments):
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_devices_take_the_step_of_one_whatever_rows_each_has():
    in_a_process(UPDATES)


@pytest.mark.slow
def test_devices_share_one_training_after_another_in_a_process(tmp_path):
    in_a_process(TWICE, tmp_path)


@pytest.fixture(autouse=True)
def nobody_said_how_many_threads(monkeypatch):
    """Not even a `zoo train` of another test in this process."""
    monkeypatch.setattr("tensorflow.config.threading.get_intra_op_parallelism_threads", lambda: 0)


def cores_apart(monkeypatch, cores=3):
    """As where TensorFlow was told to keep each operator on one of so many cores."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setattr(sharing, "num_cores", lambda: cores)


def test_cores_share_a_batch_where_they_do_not_share_operators(monkeypatch):
    assert num_cores() >= 1 and num_parts(500) == 1
    cores_apart(monkeypatch)
    assert [num_parts(rows) for rows in (500, 47, 31, 1, None)] == [3, 2, 1, 1, 3]
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "2")
    assert num_parts(500) == 2
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS")
    cores_apart(monkeypatch, 128)
    assert [num_parts(rows) for rows in (500, None)] == [MOST, MOST]
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [kind])
    assert num_parts(500) == 1  # a GPU is one, whatever cores are beside it


@pytest.mark.parametrize("remainder", [0, 1, 30])
def test_fit_is_the_same_when_cores_share_each_batch(remainder, monkeypatch):
    def trained():
        model = small("iwae", binarize="dynamic", num_samples=2)
        model.compile(keras.optimizers.SGD(0.01))
        data = tf.data.Dataset.from_tensor_slices(random_batch(model, 64 + remainder)).batch(64, not remainder)
        with_parts.clear()
        history = model.fit(data, validation_data=data, epochs=2, verbose=0).history
        return history, model.get_weights(), list(with_parts)

    with_parts, join = [], sharing.joined
    monkeypatch.setattr(sharing, "joined", lambda traces, rows: with_parts.append(len(rows)) or join(traces, rows))
    history, weights, parts = trained()
    cores_apart(monkeypatch)
    shared_history, shared_weights, shared_parts = trained()
    assert not parts and set(shared_parts) == {3}
    for one, several in zip(weights, shared_weights, strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-5, atol=2e-6)
    for term, values in history.items():
        np.testing.assert_allclose(shared_history[term], values, rtol=1e-4, atol=1e-5, err_msg=term)


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Dense):
    """A layer of which the zoo knows nothing."""


MLP = {"name": "mlp", "hidden_units": [8]}


@pytest.mark.parametrize(
    "config",
    [
        {"encoder": {**MLP, "batch_norm": True}},
        {"encoder": {"name": "pooled_conv", "filters": [4], "hidden_units": [8], "dropout": [0.5, 0.5]}},
        {"encoder": Own(8)},
        {"encoder": keras.layers.Dense(8, activity_regularizer="l2")},
        {"penalties": ["mmd"]},
    ],
    ids=["statistics", "dropout", "own layer", "own cost", "penalty"],
)
def test_cores_share_no_batch_whose_rows_may_know_each_other(config):
    model = small("vae", **{"decoder": MLP, **config})
    model.compile("sgd")
    assert not may_share(model)


def test_cores_share_no_update_that_xla_compiles():
    model = small("vae")
    for jit_compile in (True, False):
        model.compile("sgd", jit_compile=jit_compile)
        assert may_share(model) != jit_compile


class Coupled(VAE):
    """A model of one's own that says that its rows know each other."""

    rows_apart = False


def test_a_model_says_whether_its_rows_know_each_other():
    model = Coupled(data_shape=(4, 4, 1), latent_dim=2)
    model.build()
    model.compile("sgd")
    assert not may_share(model)


@pytest.mark.parametrize(
    ("config", "recipe", "apart"),
    [
        ({}, {}, True),
        ({"encoder": {"name": "conv"}}, {"jit_compile": False}, True),
        ({"encoder": {**MLP, "batch_norm": True}}, {}, False),
        ({"penalties": ["mmd"]}, {}, False),
        ({}, {"batch_size": 16}, False),
        ({}, {"jit_compile": True}, False),
    ],
)
def test_a_process_of_ones_own_keeps_operators_apart_where_the_model_can_share_rows(config, recipe, apart, monkeypatch):
    asked = []
    monkeypatch.setattr("tensorflow.config.threading.set_intra_op_parallelism_threads", asked.append)
    monkeypatch.setattr(sharing, "num_cores", lambda: 2)
    keep_operators_apart(VAE, config, recipe)
    keep_operators_apart(Coupled, config, recipe)
    assert asked == [1] * apart
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    keep_operators_apart(VAE, config, recipe)
    assert asked == [1] * apart  # somebody has said how many


@keras.saving.register_keras_serializable("tests")
class Stock(PosteriorHead):
    """A posterior of one's own that gives a distribution of TFP."""

    def distribution(self, loc, raw_scale):
        return tfp.distributions.MultivariateNormalDiag(loc, tf.ones_like(raw_scale))


@pytest.mark.parametrize("bound", ["elbo", "stl"])
def test_a_posterior_of_tfp_draws_for_each_replica_noise_of_its_own_and_ours_that_of_the_whole(bound):
    def draws(posterior):
        model = small("vae", bound=bound, posterior=posterior)
        batch = {"x": tf.zeros([4, 4, 4, 1])}
        needs = model.bound.func.needs
        whole = model(batch, num_samples=2, seed=3, needs=needs).trace.latents["z"]
        parts = []
        for first in (0, 2):
            with rows_of(Share(tf.constant(first), tf.constant(2), tf.constant(4))):
                parts.append(model({"x": batch["x"][:2]}, num_samples=2, seed=3, needs=needs).trace.latents["z"])
        return np.asarray(whole), np.concatenate(parts, 2)

    whole, parts = draws("planar")
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    latent_dim = whole.shape[-1]
    _, parts = draws(Stock(latent_dim, 2 * latent_dim))
    assert np.abs(parts[:, :, :2] - parts[:, :, 2:]).min() > 0
