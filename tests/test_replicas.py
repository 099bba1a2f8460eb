"""Several devices: what is counted or drawn over a batch is so over the whole of it, and its update is that of one."""

import os
import pathlib
import subprocess
import sys

import pytest

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


@pytest.mark.slow
def test_two_devices_take_the_step_of_one_whatever_rows_each_has():
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, "-c", UPDATES]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
