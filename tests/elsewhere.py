"""What tests do in processes of their own: `python elsewhere.py TASK ARGUMENT ...`, a task being a function below."""

import importlib
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def run(*arguments):
    """The last line that this file prints when it is run with the arguments, as JSON."""
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def reload(folder):
    """Write beside every model of the folder what it says of the batch beside it, as Keras and the zoo load it."""
    import keras
    import numpy as np
    from support import numbers, random_batch, seed

    import zoo

    for file in sorted(pathlib.Path(folder).glob("*.keras")):
        for kind, model in (
            ("keras", keras.models.load_model(file)),
            ("zoo", zoo.load(file.with_suffix(""))),
        ):
            np.savez(
                file.with_suffix(f".{kind}.npz"), **numbers(model(random_batch(model), num_samples=2, seed=seed(1)))
            )
    return "done"


def bare(file, order):
    """The name of the class of a .keras file's model, as Keras loads it after the imports that `order` names alone."""
    for name in order.split():
        importlib.import_module(name)
    assert "zoo.models" not in sys.modules
    return type(sys.modules["keras"].models.load_model(file)).__name__


def mirror(cases):
    """{case: what is wrong} with the first update and two epochs of fit on two devices; {} where nothing is.

    The update is that by the mean of both halves' gradients, each with the draws of its own replica.
    """
    import keras
    import numpy as np
    import tensorflow as tf
    from support import random_batch

    import zoo
    from zoo.creation import model_class

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy, rate = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), 0.01

    def made(name, example):
        model = zoo.create(name, **model_class(name)[0].examples()[example])
        model.compile(keras.optimizers.SGD(rate))
        return model

    def check(name, example):
        alone = made(name, example)
        with strategy.scope():
            model = made(name, example)
        model.set_weights(alone.get_weights())
        batch = random_batch(alone, 8)
        seeds = strategy.experimental_local_results(strategy.run(model.step_seed))
        gradients = []
        for step_seed, rows in zip(seeds, (slice(0, 4), slice(4, 8)), strict=True):
            _, draw_seed = tf.unstack(tf.random.split(step_seed, 2, alg="philox"))
            inputs = alone.preprocess({k: v[rows] for k, v in batch.items()}, None, training=False)
            moves = alone.gradients(inputs, draw_seed)[2]
            gradients.append([0.0 if g is None else tf.convert_to_tensor(g) for g in moves[0][1]])
        expected = [(v - rate * (a + b) / 2).numpy() for v, a, b in zip(moves[0][2], *gradients, strict=True)]
        logs = model.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history
        assert logs["skipped"] == [0.0], logs
        for value, variable in zip(expected, model.players()[0].variables, strict=True):  # adversaries have their Adam
            np.testing.assert_allclose(variable, value, rtol=1e-5, atol=2e-6, err_msg=variable.path)
        logs = model.fit(tf.data.Dataset.from_tensors(batch).repeat(2), verbose=0).history
        assert np.isfinite(logs["loss"]).all(), logs
        for variable in model.variables:
            copies = [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
            assert all(np.array_equal(copy, copies[0]) for copy in copies), variable.path

    wrong = {}
    for name, example in cases:
        try:
            check(name, example)
        except Exception as error:  # of any kind: it is the answer
            wrong[f"{name}-{example}"] = f"{type(error).__name__}: {error}"[-2000:]
    return wrong


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    tasks = {"reload": reload, "bare": bare, "mirror": lambda cases: mirror(json.loads(cases))}
    print(json.dumps(tasks[task](*arguments)))
