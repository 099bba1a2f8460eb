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
    """{case: what is wrong} with two updates on three devices; {} where nothing is.

    They are those of one device with the whole batch, of which each device has other numbers of rows.
    """
    import keras
    import numpy as np
    import tensorflow as tf
    from support import random_batch

    import zoo
    from zoo.creation import model_class

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1", "CPU:2"])

    def made(name, example):
        model = zoo.create(name, **{"num_samples": 2, **model_class(name)[0].examples()[example]})
        model.compile(keras.optimizers.SGD(0.01))
        for adversary in (penalty for penalty in model.penalties if penalty.players(model)):
            adversary.optimizer = keras.optimizers.SGD(0.01)  # Adam's first steps know of a gradient its sign alone
            adversary.optimizer.build(adversary.trainable_variables)
        return model

    def check(name, example):
        alone = made(name, example)
        with strategy.scope():
            model = made(name, example)
        data = tf.data.Dataset.from_tensor_slices(random_batch(alone, 16)).batch(9)
        one, all_of = (m.fit(data, verbose=0).history for m in (alone, model))
        assert all_of["skipped"] == [0.0], all_of
        for value, variable in zip(alone.variables, model.variables, strict=True):
            np.testing.assert_allclose(variable, value, rtol=1e-5, atol=2e-6, err_msg=variable.path)
            copies = [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
            assert all(np.array_equal(copy, copies[0]) for copy in copies), variable.path
        for term, value in one.items():
            np.testing.assert_allclose(all_of[term], value, rtol=1e-4, atol=1e-5, err_msg=term)

    wrong = {}
    for name, example in cases:
        try:
            check(name, example)
        except Exception as error:  # of any kind: it is the answer
            wrong[f"{name}-{example}"] = f"{type(error).__name__}: {error}"[-2000:]
    return wrong


def course(case, count, folder):
    """Train on so many devices: images, or sequences of which a batch has a single one."""
    import numpy as np
    import tensorflow as tf

    from zoo.training import train

    cpu = tf.config.list_physical_devices("CPU")[0]
    if int(count) > 1:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(count))
    if case == "images":
        config = {"data_shape": [8, 8, 1], "latent_dim": 3, "binarize": "dynamic", "penalties": ["mmd", "factor_tc"]}
        wanted = {"model": "vae", "config": {**config, "encoder": {"name": "mlp", "hidden_units": [8]}}}
        wanted["data"] = {"name": "digits", "limit": 124, "validation": "validation"}
    else:
        data = pathlib.Path(folder).with_suffix(".npz")
        lengths = np.array([3] * 8 + [9], "int32")
        np.savez(data, x=np.random.RandomState(0).randint(0, 2, (9, 9, 4)).astype("uint8"), length=lengths)
        config = {"data_shape": [None, 4], "latent_dim": 2, "hidden_units": [4], "state_dim": 4}
        wanted = {"model": "vrnn", "config": config, "data": {"name": str(data), "split": "all"}}
    train(folder, {**wanted, "recipe": {"epochs": 3, "batch_size": 4}}, distribute="auto", verbose=False)
    return "done"


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    tasks = {"reload": reload, "bare": bare, "course": course, "mirror": lambda cases: mirror(json.loads(cases))}
    print(json.dumps(tasks[task](*arguments)))
