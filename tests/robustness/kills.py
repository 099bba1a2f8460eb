"""Processes that are killed while they write, and what is in their folders then.

A child is forked for each kill from a process that has imported everything; it kills itself at its n-th call to the
system that touches a file, or is killed at any moment.
"""

import csv
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import time

TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.listdir", "os.scandir")
KINDS = {"save": 60, "checkpoint and logs": 60, "card": 30, "TFLite": 25, "SavedModel": 25}
ROUNDS = 3  # how often a child writes, if it lives
SMALL = {"data_shape": (4, 4, 1), "encoder": {"name": "mlp", "hidden_units": [8]}, "seed": 1}


def save(folder, ready):
    """Models of two sizes, one over the other."""
    import zoo

    models = [zoo.create("vae", latent_dim=d, **SMALL) for d in (2, 3)]
    zoo.save(models[0], folder)
    ready()
    for number in range(ROUNDS):
        zoo.save(models[(number + 1) % 2], folder, overwrite=True)


def check_save(folder, whole):
    from zoo.models.weights import tensors
    from zoo.pretrained.store import read_card, read_weights

    card = read_card(folder)
    content = read_weights(card, folder)
    shape, _ = tensors(content, "the file")["inference_layers/diagonal_gaussian/dense/vars/1"]
    assert shape == (2 * card["config"]["latent_dim"],)


def checkpoint(folder, ready):
    """A run of many epochs of one update."""
    import numpy as np

    from zoo.training import train

    np.savez(folder / "x.npz", x=np.random.RandomState(0).randint(0, 256, (10, 4, 4, 1)).astype("uint8"))
    config = {**SMALL, "latent_dim": 2}
    recipe = {"epochs": 60, "batch_size": 8, "patience": 60}
    data = {"name": str(folder / "x.npz"), "split": "train", "validation": "validation"}
    from zoo.training import logs

    before = logs.EpochLogger.on_epoch_end

    def first(self, epoch, logs=None):
        if epoch == 2:
            ready()
        before(self, epoch, logs)

    logs.EpochLogger.on_epoch_end = first
    train(folder / "run", {"model": "vae", "config": config, "data": data, "recipe": recipe}, verbose=0)


def check_checkpoint(folder, whole):
    """Every epoch that the checkpoint knows has its row in both logs."""
    from zoo.training.checkpoint import FILE, OLDER, read_arrays

    run = folder / "run"
    path = run / FILE if (run / FILE).exists() else run / OLDER
    epochs = int(read_arrays(path)["epoch"])
    with open(run / "log.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert [row[0] for row in rows][:epochs] == [str(e) for e in range(epochs)], "rows lost"
    assert {len(row) for row in rows} == {len(header)} and len(rows) <= epochs + 2
    with open(run / "kl_per_unit.csv", newline="") as file:
        units = list(csv.reader(file))
    assert [row[0] for row in units][:epochs] == [str(e) for e in range(epochs)], "rows lost"


def card(folder, ready):
    """Metrics, recorded again and again."""
    import zoo
    from zoo.pretrained import cards

    zoo.save(zoo.create("vae", latent_dim=2, **SMALL), folder, card={"name": "m", "command": "a command"})
    metric = {"nll": {"value": 1.0, "standard_error": 0.1, "num_examples": 3}}
    cards.record(folder, metric, None, "a command", "test")
    ready()
    for number in range(ROUNDS):
        metric["nll"]["value"] = 2.0 + number
        cards.record(folder, metric, None, "a command", "test")


def check_card(folder, whole):
    from zoo.pretrained.store import read_card

    assert read_card(folder)["metrics"]["nll"]["value"] in (1.0, 2.0, 3.0, 4.0)
    assert (folder / "README.md").read_text().endswith("\n")


def tflite(folder, ready):
    """The same model in two sizes of its numbers, one over the other."""
    import zoo

    model = zoo.create("vae", latent_dim=2, **SMALL)
    zoo.export_tflite(model, folder / "m.tflite", endpoints=["decode"])
    ready()
    for number in range(ROUNDS):
        dtype = ["float16", "float32"][number % 2]
        zoo.export_tflite(model, folder / "m.tflite", endpoints=["decode"], dtype=dtype, overwrite=True)


def check_tflite(folder, whole):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "m.tflite"))
    runner = interpreter.get_signature_runner("decode")
    import numpy as np

    assert np.isfinite(runner(z=np.zeros((1, 2), "float32"))["reconstruction"]).all()


def saved_model(folder, ready):
    """Version after version."""
    import zoo

    model = zoo.create("vae", latent_dim=2, **SMALL)
    ready()
    for _ in range(ROUNDS):
        zoo.export_saved_model(model, folder)


def check_saved_model(folder, whole):
    """Each version that is there has every file of a whole one."""
    for version in folder.iterdir():
        if version.name.isdigit():
            found = {str(p.relative_to(version)) for p in version.rglob("*") if p.is_file()}
            assert {"saved_model.pb", "variables/variables.index"} <= found
            assert any("warmup" in name for name in found) and all((version / n).stat().st_size for n in found)


WRITERS = {
    "save": (save, check_save),
    "checkpoint and logs": (checkpoint, check_checkpoint),
    "card": (card, check_card),
    "TFLite": (tflite, check_tflite),
    "SavedModel": (saved_model, check_saved_model),
}


def kill_at_touch(folder, number):
    """Kill this process at its so-manieth call that touches a file in `folder`."""
    left = [number]

    def watch(event, arguments):
        if event in TOUCHES and any(str(folder) in str(a) for a in arguments[:2] if isinstance(a, (str, pathlib.Path))):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def killed(kind, folder, dice, moments):
    """Fork a process that writes, and kill it. True if it was killed while it wrote, False if it had ended before."""
    touch = dice.randrange(1, moments["touches"]) if dice.random() < 0.6 else None
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

            def ready():
                os.write(write, b"r")
                if touch:
                    kill_at_touch(folder, touch)

            WRITERS[kind][0](folder, ready)
            os._exit(0)
        except BaseException:
            os._exit(3)
    os.close(write)
    began = os.read(read, 1)
    os.close(read)
    if touch is None and began:
        time.sleep(dice.random() * moments["seconds"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) != 3, f"the {kind} itself failed"
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def checked(kind, folder):
    """ "" if what the killed process left is whole, else what is wrong; in a process of its own, which may fail."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            WRITERS[kind][1](folder, None)
            message = "whole"
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
        os.write(write, message[:2_000].encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    return "" if message == "whole" else message or "the check died"


MOMENTS = {  # up to which call, and for how long, there is something to kill
    "save": {"touches": 60, "seconds": 0.15},
    "checkpoint and logs": {"touches": 200, "seconds": 1.0},
    "card": {"touches": 60, "seconds": 0.05},
    "TFLite": {"touches": 30, "seconds": 4.0},
    "SavedModel": {"touches": 40, "seconds": 5.0},
}


def kills(counts, folder, seed=0, report=None):
    """The counts of so many kills of each kind, and what was found half-written."""
    result, wrong = {}, []
    for kind, count in counts.items():
        found = {"kills": 0, "half_written": 0, "rows_lost": 0, "litter_after_the_next": 0}
        for number in range(count):
            dice, place = random.Random(f"{kind} {seed} {number}"), folder / "killed"
            for _ in range(20):
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir(parents=True)
                if killed(kind, place, dice, MOMENTS[kind]):
                    break
            else:
                raise RuntimeError(f"{kind} is always faster than its killer")
            message = checked(kind, place)
            found["kills"] += 1
            found["rows_lost" if "rows lost" in message else "half_written"] += bool(message)
            found["litter_after_the_next"] += litter(place)
            if message:
                wrong.append({"kind": kind, "number": number, "message": message})
            if report is not None:
                report(kind, number + 1, count)
        result[kind] = found
    return result, wrong


def litter(folder):
    """Whether a file is left of the killed process when another was written in each of its folders."""
    from zoo import files

    files.SETTLED = 0
    below = (p for p in folder.rglob("*") if p.is_dir() and "/." not in str(p.relative_to(folder.parent)))
    folders = [folder, *below]
    for place in folders:
        files.write_json(place / "next.json", {})
        (place / "next.json").unlink()
    return any(p.name.startswith(".partial") for p in folder.rglob("*"))


def main():
    """Counts as JSON on the input, the result on the output: a process that runs nothing else, for forks' sake."""
    import numpy as np  # noqa: F401

    import zoo.export
    import zoo.models
    import zoo.pretrained
    import zoo.training  # noqa: F401

    zoo.create, zoo.save, zoo.export_saved_model, zoo.export_tflite  # noqa: B018  (loads them)
    counts, folder, seed = json.loads(sys.stdin.readline())
    print(json.dumps(kills(counts, pathlib.Path(folder), seed)))


if __name__ == "__main__":
    main()
