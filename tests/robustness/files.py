"""Damaged files: made, handed to a worker, and what became of them counted."""

import hashlib
import io
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import zipfile

from robustness import mutate, recordings, strangers

HANG, SLOW, MOST_GIGABYTES = 5.0, 1.0, 2.0  # seconds of the processor, the same, gigabytes
HANGS = {"folders": 30.0}  # of whole commands, which train, draw and score
WAIT = 120.0  # seconds until a process that does not answer is one that hangs
OUTCOMES = ("taken", "refused", "half", "outside", "traceback", "crash", "hang")
ROOT = pathlib.Path(__file__).parent.parent.parent
SMALL = {"data_shape": [4, 4, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}, "seed": 1}


def environment():
    """That of a child process."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


class Worker:
    """A child process that reads one file after the other; a new one takes the place of one that is gone."""

    def __init__(self, folder):
        self.folder, self.mark, self.child = folder / "canary", folder / "mark", None
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{mutate.CANARY}.py").write_text(
            f"open({str(self.mark)!r}, 'w').close()\nclass Thing:\n    from_config = classmethod(lambda c, **k: c)\n"
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        command = [sys.executable, "-m", "robustness.worker", str(self.folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.child = subprocess.Popen(command, env=environment(), text=True, bufsize=1, **pipes)
        assert self.answer(5 * WAIT) == "ready"

    def answer(self, seconds):
        """The next line of the child, "hang" after so many seconds, "crash" where there is none."""
        if not select.select([self.child.stdout], [], [], seconds)[0]:
            return "hang"
        line = self.child.stdout.readline()
        return json.loads(line) if line else "crash"

    def read(self, kind, path):
        """What became of a file."""
        if self.child is None:
            self.start()
        self.child.stdin.write(json.dumps({"kind": kind, "path": str(path)}) + "\n")
        answer = self.answer(WAIT)
        if isinstance(answer, dict):
            return {**answer, "outcome": "hang"} if answer["seconds"] > HANGS.get(kind, HANG) else answer
        self.stop()
        return {"outcome": answer, "message": "", "seconds": WAIT, "executions": [], "gigabytes": 0.0}

    def stop(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait()
        self.child = None


def saved(model, config):
    """(card, bytes of the weights) of a small model."""
    import zoo
    from zoo.models.weights import weights_bytes

    made = zoo.create(model, **config)
    content = weights_bytes(made)
    card = {"format": 1, "name": "m", "model": model, "config": made.get_config(), "weights": entry(content)}
    more = {"data": {"name": "digits", "split": "train"}, "recipe": {"epochs": 3}, "metrics": {}, "seed": 1}
    return json.loads(json.dumps({**card, **more})), content


def entry(content):
    """What a card says of its weights."""
    return {"file": "model.weights.h5", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def models():
    """(model, config) of what is put into cards."""
    import keras

    own = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(8, activation="silu")])
    activation = {"class_name": "LeakyReLU", "module": "keras.layers", "config": {}, "registered_name": None}
    return [
        ("vae", SMALL),
        ("vae", {**SMALL, "encoder": own, "decoder": {"name": "mlp", "hidden_units": [8]}}),
        ("vae", {**SMALL, "penalties": [{"name": "mmd", "weight": 2.0}], "prior": {"name": "flow", "num_layers": 2}}),
        ("vae", {**SMALL, "encoder": {"name": "mlp", "hidden_units": [8], "activation": activation}}),
        ("spline_vae", SMALL),
        ("vamp_vae", SMALL),
        ("m2", {**SMALL, "num_classes": 3}),
        ("iwae", {**SMALL, "encoder": {"name": "conv", "filters": [4], "hidden_units": [8]}}),
    ]


def images():
    import numpy as np
    from PIL import Image

    pixels, found = np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype("uint8"), []
    for mode, form in (("L", "PNG"), ("RGB", "PNG"), ("P", "PNG"), ("RGB", "JPEG"), ("L", "JPEG")):
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, form)
        found.append(buffer.getvalue())
    return found


def npz():
    import numpy as np

    found, x = [], np.random.RandomState(0).randint(0, 256, (20, 4, 4, 1)).astype("uint8")
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, x=x, y=np.arange(20) % 3)
        found.append(buffer.getvalue())
    return found


def originals(kind):
    """Whole files of a kind, each with what belongs to it, of which the damaged ones are made."""
    if kind == "cards":
        return [saved(*model) for model in models()]
    if kind == "weights":
        return [saved("vae", SMALL)[::-1]]
    if kind in ("folders", "servers", "zips"):
        return [(strangers.original(), None)]
    if kind == "TFRecords":
        return recordings.records()
    if kind in ("WAV", "MIDI"):
        return [(content, None) for content in (recordings.waves() if kind == "WAV" else recordings.rolls())]
    return [(content, None) for content in (images() if kind == "images" else npz())]


NAMES = {"npz": "x.npz", "servers": "answers.json", "zips": "theirs.zip"}
NAMES |= {"TFRecords": "00000-of-00001.tfrecord", "MIDI": "a.mid", "WAV": "a.wav"}


def lay_out(kind, content, beside, folder):
    """Write a damaged file, and what belongs to it, into an empty folder; returns what is to be read."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if kind == "folders":
        return strangers.lay_out(content, folder)
    if kind == "TFRecords" and beside:
        (folder / "index.npz").write_bytes(beside)
    if kind in NAMES:
        (folder / NAMES[kind]).write_bytes(json.dumps(content).encode() if kind == "servers" else content)
        return folder if kind == "TFRecords" else folder / NAMES[kind]
    if kind == "images":
        (folder / "a.png").write_bytes(content)
    else:
        card, weights = (
            (content, beside) if kind == "cards" else (json.dumps({**beside, "weights": entry(content)}), content)
        )
        (folder / "card.json").write_bytes(card if kind == "cards" else card.encode())
        (folder / "model.weights.h5").write_bytes(weights)
        with zipfile.ZipFile(folder / "m.keras", "w") as archive:
            archive.writestr("model.weights.h5", weights)
    return folder


def damaged(kind, count, worker, seed=0, report=None):
    """(counts, the cases that should not have happened) of so many damaged files of a kind."""
    counts = dict.fromkeys((*OUTCOMES, "executions", "refused_after_a_second", "over_2_gigabytes"), 0)
    whole, wrong, most = originals(kind), [], 0.0
    for number, (place, content) in enumerate(mutate.cases(kind, [w for w, _ in whole], count, seed)):
        answer = worker.read(kind, lay_out(kind, content, whole[place][1], worker.folder.parent / "case"))
        bad = {
            answer["outcome"]: 1,
            "executions": len(answer["executions"]) + worker.mark.exists(),
            "refused_after_a_second": answer["outcome"] == "refused" and answer["seconds"] > SLOW,
            "over_2_gigabytes": max(most, MOST_GIGABYTES) < answer["gigabytes"],
        }
        for name, value in bad.items():
            counts[name] += value
        most = max(most, answer["gigabytes"])
        worker.mark.unlink(missing_ok=True)
        if {name for name, value in bad.items() if value} - {"taken", "refused", "refused_after_a_second"}:
            wrong.append({"kind": kind, "number": number, **answer})
        if report is not None:
            report(kind, number + 1, count)
    return {"files": count, **counts, "gigabytes_at_most": round(most, 2)}, wrong
