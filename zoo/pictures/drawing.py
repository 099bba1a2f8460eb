"""Draws a kind of picture of what is in a folder."""

import csv
import functools
import pathlib

import numpy as np

from zoo import pretrained
from zoo.data import LABELS, describe_dataset, list_datasets, load_fields, open_source, takes_labels
from zoo.data.load import arrays_of
from zoo.data.midi import KEYS
from zoo.data.tfds.catalogue import DATASETS
from zoo.errors import InvalidInput, check_positive
from zoo.files import LARGEST_JSON
from zoo.pictures.canvas import save_figure, save_image
from zoo.pretrained.store import check_preset, stage_name
from zoo.quiet import waiting
from zoo.registry import PICTURES

LOGS = {"log": "log.csv", "kl_log": "kl_per_unit.csv"}  # of a run, what a picture can need or take


def draw(name, kind, path, source=None, **settings):
    """Draw a picture of the pretrained model or run `name` into a PNG at `path`.

    Args:
        kind: a name in `zoo.registry.PICTURES`.
        source: images to draw instead of the held-out ones: what `load_arrays` takes, whole.
        **settings: of that kind, such as count, steps, seed.

    Raises:
        InvalidInput: unknown kind, setting or model, or a kind whose needs the model does not meet.
    """
    picture, settings, _ = PICTURES.parse({**settings, "name": kind}, context=["subject"])
    if pathlib.Path(path).suffix != ".png":
        raise InvalidInput(f"pictures are PNG files: name one that ends in .png, got {str(path)!r}")
    subject = Subject(pretrained.locate(name), source)
    subject.require(kind, picture)
    with waiting(f"drawing {path}"):
        drawn = picture(subject, **settings)
    save = save_image if isinstance(drawn, np.ndarray) else save_figure
    save(drawn, path)


class Subject:
    """A pretrained model with its held-out data, or those of `source`; or a run with its logs."""

    def __init__(self, home, source=None):
        self.home, self.source = home, source

    @functools.cached_property
    def card(self):
        return pretrained.read_card(self.home)

    @functools.cached_property
    def model(self):
        return pretrained.load(self.home)

    def require(self, kind, picture):
        """Raise `InvalidInput`, in one line that says what to take instead, unless the needs of a picture are met."""
        for file in (LOGS[need] for need in picture.needs if need in LOGS):
            if not (self.home / file).is_file():
                raise InvalidInput(f"{self.home.name} has no {file}: it was not written by `zoo train`")
        needs = [need for need in picture.needs if need not in LOGS]
        if needs:
            try:
                self.model.require(f"a picture of kind {kind}", needs)
            except InvalidInput as error:
                raise InvalidInput(": ".join(filter(None, [str(error), picture.instead]))) from None

    def rows(self, log, stage=""):
        """The rows of a log of the run, or of one of its stages, as lists of strings; [] where there is none.

        Raises:
            InvalidInput: a file that is no log, is very large, or is a link out of its folder.
        """
        path = self.home / stage / LOGS[log]
        if not path.is_file():
            return []
        if path.resolve().parent != path.parent.resolve():
            raise InvalidInput(f"{path} is a link out of its folder")
        if path.stat().st_size > LARGEST_JSON:
            raise InvalidInput(f"{path} is larger than the {LARGEST_JSON // 2**20} MB that are read")
        try:
            with open(path, newline="") as file:
                return list(csv.reader(file))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} is no log of a training: {error}") from None

    def epochs(self):
        """A dict an epoch of the logs, as strings: those of the run's stages that are there, then its own.

        Raises:
            InvalidInput: a file that is no log, or one without an epoch.
        """
        check_preset(self.card)
        stages = [stage_name(entry) for entry in self.card.get("stages", ())]
        found = []
        for stage in [*(name for name in stages if (self.home / name / LOGS["log"]).is_file()), ""]:
            header, *rows = self.rows("log", stage) or [[]]
            if not rows or any(len(row) != len(header) for row in rows):
                raise InvalidInput(f"{self.home / stage / LOGS['log']} is no log of a training")
            found += [{"stage": stage, **dict(zip(header, row, strict=True))} for row in rows]
        return [{**row, "epoch": str(epoch)} for epoch, row in enumerate(found)]

    def test(self, count, labels=False):
        """The first `count` held-out examples as the model's inputs, None for all; with `labels` a pair with these."""
        arrays = self.arrays(count, labels)
        fields = self.model.fields({name: arrays[name] for name in self.model.data_spec if name in arrays})
        inputs = {name: np.asarray(value) for name, value in fields.items()}
        return (inputs, arrays[LABELS]) if labels else inputs

    def arrays(self, count, labels=False):
        """The arrays that `test` makes inputs of."""
        if self.source is not None:
            return load_fields(self.opened, self.model.data_spec, limit=count)
        data = self.card["data"]
        wanted = (labels or takes_labels(self.model.data_spec)) and data.get("label", True)
        source = open_source(data.get("name"), labels=wanted, like=data)
        if count is None or source.kind != "pictures" or not source.classes:
            return arrays_of(source.split("test", count))
        check_positive(count=count)
        part = source.split("test")
        return arrays_of(part.take(spread(part.count, count)))

    def class_name(self, value):
        """What a class is called: by the card, by the data set of its name, or by its number."""
        data = self.card.get("data", {})
        own = DATASETS[data["name"]].classes if data.get("name") in DATASETS else None
        names = data.get("classes") or own or ()
        return "unknown" if value < 0 else names[value] if value < len(names) else str(value)

    @functools.cached_property
    def opened(self):
        """The source of one's own, as that of the training was: its labels are left out unless they are needed."""
        data, spec = dict(self.card.get("data", {})), self.model.data_spec
        needed = any(name == LABELS and not field.optional for name, field in spec.items())
        data.pop("name", None)  # these are other data
        if "steps" in self.model.offers:
            data |= {"frame": next(iter(spec.values())).shape[-1], "rate": self.known_rate}
        return open_source(self.source, labels=needed and data.get("label", True), like=data)

    @property
    def is_music(self):
        """Whether the steps of the model are the 88 notes of a piano roll."""
        return "steps" in self.model.offers and tuple(self.model.data_spec["x"].shape[1:]) == (KEYS,)

    @property
    def rate(self):
        """Samples a second of the model's data."""
        if self.known_rate is None:
            raise InvalidInput(f"the card of {self.home.name} does not say how many samples a second its data has")
        return self.known_rate

    @property
    def known_rate(self):
        """As `rate`, None where the card does not say it."""
        data = self.card.get("data", {})
        named = data.get("name") in list_datasets()
        return data.get("rate") or (describe_dataset(data["name"])["rate"] if named else None)

    def unlabelled(self, count):
        """As `test`, without the labels that a model can infer."""
        hidden = self.model.fields_of("label")
        return {name: value for name, value in self.test(count).items() if name not in hidden}

    def divide(self, inputs):
        """(data fields, the others) of a model's inputs, as verbs take them."""
        data = self.model.fields_of("data")
        return {k: inputs[k] for k in data}, {k: v for k, v in inputs.items() if k not in data}

    def originals(self, inputs):
        """The first data field of a model's inputs."""
        return inputs[self.model.fields_of("data")[0]]

    def reconstructed(self, inputs):
        """The first data field's reconstruction of a model's inputs."""
        data, others = self.divide(inputs)
        return self.image(self.model.reconstruct(data, **others))

    def image(self, values):
        """The array of the first data field, of what a verb gives: a tensor, or a dict of several fields."""
        first, *others = self.model.fields_of("data")
        return np.asarray(values[first] if others else values)

    def label(self, endpoint):
        """(name, number of classes) of the label that steers an endpoint; (None, 0) where none does."""
        _, inputs = self.model.endpoints.get(endpoint, (None, []))
        for name in self.model.fields_of("condition", "label"):
            if name in inputs:
                return name, self.model.data_spec[name].maximum + 1
        return None, 0


def spread(rows, count):
    """int [min(rows, count)]: rows of all classes of a folder, which stand one class behind the other."""
    return np.linspace(0, rows - 1, min(rows, count)).round().astype(int)
