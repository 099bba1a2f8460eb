"""The data sets known by name: what they hold, how they are divided and what the papers did with them."""

import os
from pathlib import Path
from typing import NamedTuple

from zoo.data.faces import MOODS, SIDE
from zoo.errors import choose

SPLITS = ("train", "validation", "test", "train+validation")


class DatasetInfo(NamedTuple):
    """One named data set; `parts` maps our splits to (TFDS split expression, number of examples).

    The shape of an example is (H, W, C) of images, (None, 88) of piano rolls and (None,) of waveforms.
    """

    title: str
    shape: tuple
    parts: dict
    num_classes: int | None
    values: str
    protocol: str
    licence: str
    source: str
    version: str | None = None  # of the TFDS folder; None: not from TFDS
    scale: int = 1  # factor that brings the stored pixels to 0..255
    label: str = "label"
    field: str = "image"  # TFDS' name of what is modelled: image, piano_roll or audio
    rate: int | None = None  # samples a second
    classes: tuple | None = None  # their names, where numbers say little
    only_prepared: bool = False  # no builder: usable only where the folder is


def _parts(train, validation, test):
    """Splits from (expression, count) pairs; `train+validation` is their union, in that order."""
    both = train[0] if train[0] == validation[0] else f"{train[0]}+{validation[0]}"
    return dict(zip(SPLITS, (train, validation, test, (both, train[1] + validation[1])), strict=True))


def _first(count, total):
    """TFDS `train` cut after `count` examples, into two (expression, count) pairs."""
    return (f"train[:{count}]", count), (f"train[{count}:{total}]", total - count)


_MNIST_PARTS = _parts(*_first(55_000, 60_000), ("test", 10_000))
_REDRAWN = "drawn again, a mean over the test images moves with a standard deviation of about {} nats"
_DYNAMIC = (
    "The last 5,000 training images are the validation set. Papers binarise: 'dynamic' draws every pixel anew with its "
    "grey value as the probability each time an image is seen (in test once, under a fixed seed: {})"
)

_TAKES = {  # of each of the 60 pairs of a digit and a speaker: takes 10-49, then 5-9
    part: "+".join(f"train[{45 * pair + first}:{45 * pair + last}]" for pair in range(60))
    for part, first, last in (("train", 0, 40), ("validation", 40, 45))
}


def _rolls(title, train, validation, test, protocol, source):
    """A set of piano rolls in the division of Boulanger-Lewandowski et al. (2012)."""
    return DatasetInfo(
        title=title,
        shape=(None, 88),
        parts=_parts(("train", train), ("validation", validation), ("test", test)),
        num_classes=None,
        values="0 or 1; entry k of a frame is MIDI note 21 + k",
        protocol=f"The division of Boulanger-Lewandowski et al. (2012). {protocol} Likelihoods are nats a frame: "
        "papers give the mean over sequences of each one's mean, or that over all frames: say which.",
        licence="none stated",
        source=f"N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, arXiv:1206.6392; {source}",
        version="1.0.0",
        field="piano_roll",
    )


DATASETS = {
    "digits": DatasetInfo(
        title="Digits, 8x8 (UCI, from scikit-learn)",
        shape=(8, 8, 1),
        parts=dict(zip(SPLITS, (("", 1397), ("", 200), ("", 200), ("", 1597)), strict=True)),
        num_classes=10,
        values="uint8 0..255 (17 grey levels 0..16, scaled)",
        protocol="Divided by a fixed permutation. Small and always there: for trying things, not for reported figures.",
        licence="CC BY 4.0",
        source="E. Alpaydin, C. Kaynak (UCI optdigits, test part), shipped with scikit-learn",
    ),
    "drawn_faces": DatasetInfo(
        title="Drawn faces, 64x64, in colour",
        shape=(SIDE, SIDE, 3),
        parts=dict(zip(SPLITS, (("", 8000), ("", 1000), ("", 1000), ("", 9000)), strict=True)),
        num_classes=len(MOODS),
        values="uint8 0..255, RGB",
        protocol="Drawn by this package from random features, the parts by generators of their own; the class is the "
        "mood. They are no photographs: for trying colour models on, not beside published figures.",
        licence="Apache 2.0, as the package",
        source="zoo.data.faces",
        classes=MOODS,
    ),
    "mnist": DatasetInfo(
        title="MNIST",
        shape=(28, 28, 1),
        parts=_MNIST_PARTS,
        num_classes=10,
        values="uint8 0..255, grey",
        protocol=f"{_DYNAMIC.format(_REDRAWN.format(0.06))}; likelihoods under it are not comparable with those on "
        "binarized_mnist (static) or on grey values.",
        licence="CC BY-SA 3.0 is the usual statement",
        source="Y. LeCun, C. Cortes, C. Burges; stock TFDS builder",
        version="3.0.1",
    ),
    "fashion_mnist": DatasetInfo(
        title="Fashion-MNIST",
        shape=(28, 28, 1),
        parts=_MNIST_PARTS,
        num_classes=10,
        classes=("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
        values="uint8 0..255, grey",
        protocol=f"{_DYNAMIC.format(_REDRAWN.format(0.09))}; many papers model the grey values instead.",
        licence="MIT",
        source="H. Xiao, K. Rasul, R. Vollgraf (Zalando), arXiv:1708.07747; stock TFDS builder",
        version="3.0.1",
    ),
    "binarized_mnist": DatasetInfo(
        title="Binarized MNIST, fixed binarisation",
        shape=(28, 28, 1),
        parts=_parts(("train", 50_000), ("validation", 10_000), ("test", 10_000)),
        num_classes=None,
        values="uint8 0 or 255 (stored 0 or 1)",
        protocol="Static: binarised once by Salakhutdinov and Murray (2008), divided by Larochelle. "
        "Figures are not comparable with dynamically binarised MNIST; many papers train on train+validation.",
        licence="none stated",
        source="H. Larochelle, after R. Salakhutdinov and I. Murray; stock TFDS builder",
        version="1.0.0",
        scale=255,
    ),
    "omniglot_28x28": DatasetInfo(
        title="Omniglot, 28x28",
        shape=(28, 28, 1),
        parts=_parts(*_first(23_000, 24_345), ("test", 8_115)),
        num_classes=1623,
        values="uint8 0..255, grey, strokes bright",
        protocol="Reduced from 105x105 by exact area averaging; drawings 1-15 of a character train, 16-20 test; the "
        "last 1,345 of train are the validation set. Most papers use chardata.mat of Burda et al. (2015): the same "
        "drawings, reduced and divided by other code, with 8,070 test images, so published likelihoods are near, not "
        "equal. "
        f"Papers binarise dynamically ({_REDRAWN.format(0.05)}).",
        licence="MIT",
        source="B. Lake, R. Salakhutdinov, J. Tenenbaum, github.com/brendenlake/omniglot",
        version="1.0.0",
    ),
    "frey_faces": DatasetInfo(
        title="Frey faces",
        shape=(28, 20, 1),
        parts=_parts(("train[:1565]", 1565), ("train[1565:1765]", 200), ("train[1765:]", 200)),
        num_classes=None,
        values="uint8 8..238, grey",
        protocol="No official division: 1,565/200/200 of one fixed random order, as papers draw at random. Consecutive "
        "video frames, so the parts are much alike. Grey values: use a Normal or discretised logistic likelihood.",
        licence="none stated",
        source="S. Roweis, B. Frey, cs.nyu.edu/~roweis/data.html",
        version="1.0.0",
    ),
    "caltech_silhouettes_28x28": DatasetInfo(
        title="Caltech 101 Silhouettes, 28x28, split 1",
        shape=(28, 28, 1),
        parts=_parts(("train", 4100), ("validation", 2264), ("test", 2307)),
        num_classes=101,
        values="uint8 0 or 255, object bright",
        protocol="The division of Marlin et al. (2010). Inverted with respect to the authors' file, as in VAE papers.",
        licence="none stated",
        source="B. Marlin, K. Swersky, B. Chen, N. de Freitas, people.cs.umass.edu/~marlin/data.shtml",
        version="1.0.0",
    ),
    "cifar10": DatasetInfo(
        title="CIFAR-10",
        shape=(32, 32, 3),
        parts=_parts(*_first(45_000, 50_000), ("test", 10_000)),
        num_classes=10,
        values="uint8 0..255, RGB",
        protocol="The last 5,000 training images are the validation set; papers train on all 50,000, and report bits "
        "per dimension of the test images, of 8-bit likelihoods.",
        licence="none stated",
        source="A. Krizhevsky, V. Nair, G. Hinton; stock TFDS builder",
        version="3.0.2",
    ),
    "cifar10_first4k": DatasetInfo(
        title="CIFAR-10, first 4,000 training images only",
        shape=(32, 32, 3),
        parts=_parts(*_first(3500, 3750), ("train[3750:]", 250)),
        num_classes=10,
        values="uint8 0..255, RGB",
        protocol="A small part, to try colour models on; never report figures on it as CIFAR-10.",
        licence="none stated",
        source="A. Krizhevsky; only where its prepared folder is",
        version="1.0.0",
        only_prepared=True,
    ),
    "jsb_chorales": _rolls(
        "JSB Chorales, piano rolls",
        *(229, 76, 77),
        protocol="A frame is a quarter note; 25 to 160 frames; four voices, between notes 43 and 96.",
        source="music by J. S. Bach",
    ),
    "nottingham": _rolls(
        "Nottingham, piano rolls",
        *(694, 173, 170),
        protocol="Folk tunes with chords; 40 to 1,793 frames.",
        source="E. Foxley's database of tunes",
    ),
    "piano_midi": _rolls(
        "Piano-midi.de, piano rolls",
        *(87, 12, 25),
        protocol="Classical piano music; 65 to 3,857 frames.",
        source="B. Krueger, piano-midi.de",
    ),
    "muse_data": _rolls(
        "MuseData, piano rolls",
        *(524, 135, 124),
        protocol="Orchestral and piano music; 9 to 4,273 frames.",
        source="CCARH, musedata.org",
    ),
    "free_spoken_digit": DatasetInfo(
        title="Free Spoken Digits, 8 kHz waveforms",
        shape=(None,),
        parts=_parts((_TAKES["train"], 2400), (_TAKES["validation"], 300), ("test", 300)),
        num_classes=10,
        values="int16 -32768..32767, divided by 32768",
        protocol="Six speakers say each digit 50 times. The authors' test set is takes 0-4; no validation set is "
        "published, here it is takes 5-9. Cut into frames of 200 samples (25 ms), as in VRNN papers; a last frame that "
        "is not full is left out.",
        licence="CC BY-SA 4.0",
        source="Z. Jackson and contributors, github.com/Jakobovski/free-spoken-digit-dataset",
        version="1.0.0",
        field="audio",
        rate=8000,
    ),
}


def resolve_data_dir(data_dir=None):
    """The folder of prepared data sets: the argument, else TFDS_DATA_DIR, else TFDS's own default."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared_folder(name, data_dir=None):
    """Where TFDS keeps (or would keep) the named data set: `<data_dir>/<name>/<version>`."""
    return resolve_data_dir(data_dir) / name / DATASETS[name].version


def is_available(name, data_dir=None):
    """Whether the data set can be used without a network."""
    return DATASETS[name].version is None or (prepared_folder(name, data_dir) / "dataset_info.json").is_file()


def list_datasets(data_dir=None):
    """Names that `load_dataset` knows: those that are there, or that can be downloaded."""
    return sorted(n for n, info in DATASETS.items() if not info.only_prepared or is_available(n, data_dir))


def describe_dataset(name, data_dir=None):
    """What is known about a named data set, as a dict that JSON can hold.

    Keys: name, title, shape (of an example; None: any length), splits (name -> number of examples), num_classes (None:
    no labels), values, protocol, licence, source, version, rate (samples a second of waveforms), available (True:
    usable without a network).
    """
    info = choose("data set", name, DATASETS)
    return {
        "name": name,
        "title": info.title,
        "shape": info.shape,
        "splits": {split: count for split, (_, count) in info.parts.items()},
        "num_classes": info.num_classes,
        "values": info.values,
        "protocol": info.protocol,
        "licence": info.licence,
        "source": info.source,
        "version": info.version,
        "rate": info.rate,
        "available": is_available(name, data_dir),
    }
