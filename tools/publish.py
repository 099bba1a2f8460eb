"""python -m tools.publish RUN NAME: make the run of a folder the pretrained model NAME.

python -m tools.publish --mirror FOLDER: fill a folder with what a mirror has, for any web server, or as ZOO_MIRROR.
"""

import csv
import pathlib
import shutil
import sys
import tempfile

from zoo import pretrained
from zoo.cli.pictures import draw_all
from zoo.export import export_saved_model, export_tflite, require_equal, verify_tflite
from zoo.files import atomic, write_bytes
from zoo.pictures import Subject
from zoo.pretrained import cards
from zoo.pretrained.limits import CARD
from zoo.pretrained.page import REFUSED
from zoo.pretrained.remote import LOGS, logs_of
from zoo.pretrained.store import read_weights


def publish(run, name):
    """Make the run in folder `run` the pretrained model `name`: weights, card, logs, SavedModel and README."""
    home = pretrained.folder() / name
    model, card = pretrained.load(run), pretrained.read_card(run)
    shutil.rmtree(home, ignore_errors=True)
    kept = {key: card[key] for key in card if key not in ("format", "name", "weights", "versions", "date")}
    pretrained.save(model, home, card={**kept, "command": f"zoo train --preset {name}"})
    for log in logs_of(pathlib.Path(run)):
        shutil.copy(log, home)
    if card.get("stages"):
        write_epochs(Subject(pathlib.Path(run)).epochs(), home / LOGS[0])
    export_saved_model(model, home, version=1)
    card = pretrained.read_card(home)
    card["tflite"] = measure_tflite(model)
    draw_all(home)
    cards.write(home, card)


def write_epochs(epochs, path):
    """Write a log of all the stages of a run: a column `stage`, and what each of them logged."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        header = dict.fromkeys(["epoch", "stage", *(column for row in epochs for column in row)])
        writer = csv.DictWriter(file, list(header))
        writer.writeheader()
        writer.writerows(epochs)


def measure_tflite(model):
    """{dtype: {"bytes", endpoint: {"cpu", "gpu"}}}: largest differences from Keras.

    "gpu" is None where there is no driver, and "refused" of an endpoint that the GPU path does not take.
    """
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("float32", "float16"):
            path = pathlib.Path(folder) / f"{dtype}.tflite"
            export_tflite(model, path, dtype=dtype)
            cpu = require_equal(verify_tflite(model, path), path)
            accelerated = path.with_suffix(".gpu.tflite")
            endpoints = [name for name in cpu if name not in model.cpu_endpoints]
            export_tflite(model, accelerated, dtype=dtype, endpoints=endpoints)
            gpu = require_equal(verify_tflite(model, accelerated, gpu=True) or {}, f"{path} on the GPU path")
            gpu |= {name: {"max_abs_difference": REFUSED} for name in model.cpu_endpoints}
            measured[dtype] = {"bytes": path.stat().st_size}
            for endpoint, result in cpu.items():
                difference = gpu.get(endpoint, {}).get("max_abs_difference")
                measured[dtype][endpoint] = {"cpu": result["max_abs_difference"], "gpu": difference}
    return measured


def build_mirror(folder):
    """Fill a folder with the card, the weights and the logs of every pretrained model, a folder each.

    Raises:
        InvalidInput: weights that are not those of their card.
    """
    for name in pretrained.list_pretrained():
        home, card = pretrained.locate(name), pretrained.read_card(name)
        write_bytes(pathlib.Path(folder, name, card["weights"]["file"]), read_weights(card, home))
        for path in (*logs_of(home), home / CARD):
            write_bytes(pathlib.Path(folder, name, path.name), path.read_bytes())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mirror"]:
        build_mirror(*sys.argv[2:])
    else:
        publish(*sys.argv[1:])
