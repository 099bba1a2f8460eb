"""Trainings in folders of their own, which go on where they were interrupted."""

from zoo import pretrained
from zoo.files import read_json
from zoo.training.checkpoint import FILE as CHECKPOINT
from zoo.training.run import RUN, train


def trained(home, wanted, verbose=0):
    """The model of the preset `wanted`, trained in the folder `home`, or loaded where it is finished."""
    if (home / "card.json").exists():
        return pretrained.load(home)
    if (home / CHECKPOINT).exists():
        asked = read_json(home / RUN)
        if any(asked.get(part) != wanted[part] for part in wanted):
            raise SystemExit(f"{home} holds a run with other settings: choose another --folder")
        return train(home, resume=True, verbose=verbose)[0]
    return train(home, wanted, overwrite=home.exists() and any(home.iterdir()), verbose=verbose)[0]
