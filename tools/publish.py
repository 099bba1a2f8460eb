"""python -m tools.publish RUN NAME: make the run of a folder the pretrained model NAME."""

import contextlib
import pathlib
import shutil
import sys
import tempfile

from zoo import pretrained
from zoo.cli.played import write_draws
from zoo.errors import InvalidInput
from zoo.export import export_saved_model, export_tflite, require_equal, verify_tflite
from zoo.pictures import Subject, draw
from zoo.pretrained import cards
from zoo.pretrained.page import REFUSED
from zoo.registry import PICTURES
from zoo.training.run import KL_LOG, LOG


def publish(run, name):
    """Make the run in folder `run` the pretrained model `name`: weights, card, logs, SavedModel and README."""
    home = pretrained.folder() / name
    model, card = pretrained.load(run), pretrained.read_card(run)
    shutil.rmtree(home, ignore_errors=True)
    kept = {key: card[key] for key in card if key not in ("format", "name", "weights", "versions", "date")}
    pretrained.save(model, home, card={**kept, "command": f"zoo train --preset {name}"})
    for log in (LOG, KL_LOG):
        shutil.copy(f"{run}/{log}", home / log)
    export_saved_model(model, home, version=1)
    card = pretrained.read_card(home)
    card["tflite"] = measure_tflite(model)
    for kind in PICTURES:
        if kind in ("waveform", "spectrogram") and (home / "piano_roll.png").exists():
            continue  # of music its notes say more
        with contextlib.suppress(InvalidInput):  # a kind this model has not
            draw(home, kind, home / f"{kind}.png")
    if "steps" in model.offers:
        subject = Subject(home)
        write_draws(subject, home / f"samples.{'mid' if subject.is_music else 'wav'}", 4, 0, False, None)
    cards.write(home, card)


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


if __name__ == "__main__":
    publish(*sys.argv[1:])
