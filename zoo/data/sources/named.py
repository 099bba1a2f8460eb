"""The data sets known by name, as a source: splits that were read are kept, and are read-only."""

import functools

import numpy as np

from zoo.data.division import permuted
from zoo.data.faces import draw_faces
from zoo.data.source import Arrays, Source
from zoo.data.sources.sequences import FRAME, joined
from zoo.data.tfds.catalogue import DATASETS, SPLITS, resolve_data_dir
from zoo.data.tfds.prepare import read_sequences, read_split
from zoo.errors import InvalidInput, choose
from zoo.quiet import waiting


class Named(Source):
    """A data set of the catalogue; a split of it is `Arrays` or `Sequences`."""

    def __init__(self, name, data_dir=None, frame=None, rate=None, look=None):
        info = DATASETS[name]
        if rate not in (None, info.rate):
            raise InvalidInput(f"{name} has {info.rate} samples a second, {rate} are asked for")
        count = info.parts["train+validation"][1] + info.parts["test"][1]
        known = {"rate": info.rate, "num_classes": info.num_classes, "classes": info.classes and list(info.classes)}
        super().__init__(repr(name), info.title, count, None, **known)
        self.name, self.frame, self.look, self.has_labels = name, frame or FRAME, look, bool(info.num_classes)
        self.sizes = {split: rows for split, (_, rows) in info.parts.items()}
        self.sequential = info.shape[0] is None
        self.data_dir = str(resolve_data_dir(data_dir))

    def part(self, name, limit):
        expression, _ = choose(f"split of {self.name}:", name, DATASETS[self.name].parts)
        found = read(self.name, name, expression, self.data_dir, self.frame)
        found = self.loaded(found.take(slice(limit)))
        if self.look:
            found.fields = {**found.fields, "x": self.look.apply_to_all(found.fields["x"], self.said)}
        return found


@functools.lru_cache(maxsize=12)
def read(name, split, expression, data_dir, frame):
    """Read-only rows of a split."""
    said, kind = repr(name), DATASETS[name].title
    if DATASETS[name].shape[0] is None:
        arrays = read_sequences(name, expression, data_dir)
        found = joined(arrays.pop("x"), frame, arrays, None, said, kind, None)
        kept = (found.frames, found.lengths, *found.beside.values())
    else:
        own = {"digits": digits, "drawn_faces": faces}
        arrays = own[name](split) if name in own else read_split(name, expression, data_dir)
        found = Arrays(arrays, said, kind, None)
        kept = found.fields.values()
    for array in kept:
        array.setflags(write=False)
    return found


def digits(split):
    """scikit-learn's digits: x uint8 [N, 8, 8, 1], y int32 [N]."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = np.round(found.images * (255 / 16)).astype("uint8")[..., None]
    rows = permuted(len(x), (200, 200))[split]
    return {"x": x[rows], "y": found.target[rows].astype("int32")}


def faces(split):
    """Faces drawn anew; `train` and `validation` have generators of their own, and so their union has both."""
    parts = DATASETS["drawn_faces"].parts
    with waiting("drawing faces"):
        drawn = [draw_faces(parts[part][1], SPLITS.index(part)) for part in split.split("+")]
    return {name: np.concatenate([part[name] for part in drawn]) for name in ("x", "y")}
