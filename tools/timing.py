"""python -m tools.timing [NAME ...]: say in cards what their trainings take, by a few epochs of each done again.

It is for models that were trained before cards said so; without a name for all whose cards do not. Each is trained in a
process and a scratch folder of its own, three epochs a stage; the whole is extrapolated, which the card says.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile

from zoo import pretrained
from zoo.errors import InvalidInput
from zoo.pretrained import cards
from zoo.training.run import TIMES, train
from zoo.training.stages import stages_of
from zoo.training.timing import epochs, timing

EPOCHS = 3


def time(name):
    """Train a few epochs of a pretrained model again, and write what they took, and so the whole, into its card."""
    card, wanted = pretrained.read_card(name), pretrained.preset(name)
    asked = [stage["recipe"]["epochs"] for stage in wanted.get("stages", [])]
    asked.append(card["epochs_trained"] if card["recipe"].get("patience") else card["recipe"]["epochs"])
    short = {**few(wanted), "stages": [few(stage) for stage in wanted.get("stages", [])]}
    with tempfile.TemporaryDirectory() as folder:
        train(pathlib.Path(folder) / "run", short)
        paths = [stage.folder / TIMES for stage in stages_of(pathlib.Path(folder) / "run", short)]
        took = timing(paths)
        took["seconds"] = round(sum(whole(path, count) for path, count in zip(paths, asked, strict=True)), 3)
    card["timing"] = {**took, "epochs_timed": EPOCHS}
    cards.write(pretrained.locate(name), card)


def few(stage):
    """A preset or stage with few epochs, in which nothing stops it and nothing else is measured."""
    return {**stage, "recipe": {**stage["recipe"], "epochs": EPOCHS, "patience": None, "restarts": None}}


def whole(path, count):
    """Seconds of so many epochs, by the first of a log, in which the update is compiled, and the median of the rest."""
    first, *rest = (seconds for seconds, _ in epochs(path))
    return first + (count - 1) * statistics.median(rest)


def main(names):
    """Time the models of these names, without one all whose cards say nothing of it."""
    if len(names) == 1:
        time(*names)
        return
    untimed = [name for name in pretrained.list_pretrained() if "timing" not in pretrained.read_card(name)]
    for name in names or untimed:
        print(name, flush=True)
        subprocess.run([sys.executable, "-m", "tools.timing", name], check=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InvalidInput as error:
        print(f"tools.timing: {error}", file=sys.stderr)
        sys.exit(2)
