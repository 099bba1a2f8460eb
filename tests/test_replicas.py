"""Several devices: what is counted over a batch is counted over the whole of it, and its update is that of one."""

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
from zoo.posteriors.base import PosteriorHead

def updated(strategy, name, config):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = small(name, **config)
        model.compile(keras.optimizers.SGD(0.001))
    for head in {id(l): l for l in model._flatten_layers() if isinstance(l, PosteriorHead)}.values():
        units = head.latent_dim  # so narrow that the noise of the draws does not show
        head.dense.bias.assign(np.repeat([0.1, -30.0], units))
        head.dense.kernel.assign(head.dense.kernel * np.repeat([1.0, 0.0], units))
    batch = random_batch(model, 15)
    if "y" in batch:  # the labelled rows first: on the first device alone
        batch["y"] = tf.constant([2, 0, 1, *[-1] * 5, 1, 2, *[-1] * 5])
    data = tf.data.Dataset.from_tensor_slices(batch).batch(8)  # and of the second batch it has one row more
    logs = model.fit(data, verbose=0).history
    assert logs["skipped"] == [0.0], logs
    return {k: v[0] for k, v in logs.items()}, {w.path: w.numpy() for w in model.trainable_variables}

BALANCED = {"bound": "kl_balancing", "beta": 0.5, "covariance": "diagonal"}
FREE = {"bound": {"name": "free_bits", "nats": 0.5, "num_groups": 3}}
M2 = {"bound": {"name": "free_bits", "nats": 2.0}}
CASES = [("vae", {}), ("vae", FREE), ("dlgm", BALANCED), ("m1", {}), ("m2", M2), ("m1_m2", {"joint": True})]
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name, config in CASES:
    (one_logs, one), (two_logs, both) = (updated(strategy, name, config) for strategy in (None, two))
    for (path, a), b in zip(one.items(), both.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6, err_msg=f"{name} {config} {path}")
    for term, value in one_logs.items() if name != "m1_m2" else []:  # whose KL of z1 is estimated from the draws
        np.testing.assert_allclose(two_logs[term], value, rtol=1e-3, atol=2e-3, err_msg=f"{name} {config} {term}")
"""


@pytest.mark.slow
def test_two_devices_take_the_step_of_one_whatever_rows_each_has():
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, "-c", UPDATES]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
