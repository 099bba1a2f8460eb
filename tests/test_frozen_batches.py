"""The order of every kind of source, frozen: a run that goes on must meet the rows that it would have met."""

import hashlib
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import zoo
from zoo.data import load_dataset, load_semi_supervised, write_midi, write_shards, write_wav

X = np.random.RandomState(0).randint(0, 256, (60, 4, 4, 1)).astype("uint8")
Y = (np.arange(60) % 3).astype("int32")
ROLLS = [(np.random.RandomState(n).rand(3 + n % 7, 88) < 0.1).astype("uint8") for n in range(20)]
WAVES = [np.random.RandomState(n).uniform(-1, 1, 450 + 90 * n).astype("float32") for n in range(12)]
LIST = [x[: 4 + number % 5].astype("float32").reshape(-1, 4) for number, x in enumerate(X[..., 0])]


def pictures(folder):
    for row in range(60):
        path = folder / "abc"[Y[row]] / f"{row:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(X[row, ..., 0]).save(path)
    return folder


def parquet(folder):
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"a": X[:, 0, 0, 0], "b": X[:, 1, 1, 0], "label": Y}
    parquet.write_table(pa.table(columns), folder / "a.parquet")
    return folder / "a.parquet"


def saved(save, name, *args, **arrays):
    def make(folder):
        save(folder / name, *args, **arrays)
        return folder / name

    return make


def keras(folder):
    np.savez(folder / "a.npz", x_train=X[:50, ..., 0], y_train=Y[:50, None], x_test=X[50:, ..., 0], y_test=Y[50:])
    return folder / "a.npz"


def csv(folder):
    rows = [f"{a},{b},{label}" for a, b, label in zip(X[:, 0, 0, 0], X[:, 1, 1, 0], Y, strict=True)]
    (folder / "a.csv").write_text("\n".join(["a,b,label", *rows]))
    return folder / "a.csv"


def shards(folder):
    write_shards(load_dataset({"x": X, "y": Y}, batch_size=20, labels=True, shuffle=False), folder / "s", 1)
    return next((folder / "s").glob("*.tfrecord"))


def array_record(folder):
    writer = pytest.importorskip("array_record.python.array_record_module").ArrayRecordWriter
    from zoo.data.sources.examples import example_of

    out = writer(str(folder / "a.array_record"), "group_size:1")
    for x, y in zip(X, Y, strict=True):
        out.write(example_of(x, y))
    out.close()
    return folder / "a.array_record"


def music(folder):
    for number, roll in enumerate(ROLLS):
        roll[0, number] = 1
        write_midi(folder / f"{number:02}.mid", roll)
    return folder


def sound(folder):
    for number, wave in enumerate(WAVES):
        (folder / "ab"[number % 2]).mkdir(exist_ok=True)
        write_wav(folder / "ab"[number % 2] / f"{number:02}.wav", wave, 8000)
    return folder


def dataset(folder):
    return tf.data.Dataset.from_tensor_slices((X, Y))


ALL, LABELS = {"split": "all", "shuffle": True}, {"labels": True}
SOURCES = {  # kind -> (what makes it in a folder, further arguments, SHA-256 of its first three batches)
    "named": (lambda _: "digits", LABELS, "258c440a55395504"),
    "arrays": (lambda _: {"x": X, "y": Y}, LABELS, "3329fc9de0787f86"),
    "folder": (pictures, ALL | LABELS, "b2a3ca478502ab6c"),
    "streamed pictures": (lambda folder: f"{pictures(folder)}/*/*.png", ALL | LABELS, "41a24f2d83434245"),
    "npy": (saved(np.save, "a.npy", X), ALL, "8808856ab87964b7"),
    "npz": (saved(np.savez, "a.npz", x=X, y=Y), ALL | LABELS, "3329fc9de0787f86"),
    "Keras npz": (keras, LABELS, "b2a93e402be4f469"),
    "csv": (csv, ALL | LABELS, "feeed8da97fdffb6"),
    "parquet": (parquet, ALL | LABELS, "feeed8da97fdffb6"),
    "tfrecord": (shards, ALL | LABELS, "c262178c96735e4a"),
    "array_record": (array_record, ALL | LABELS, "c262178c96735e4a"),
    "midi": (music, ALL, "20ef0d62ecf30479"),
    "wav": (sound, ALL | LABELS, "c6a9fce87a9bfc26"),
    "list": (
        lambda _: [x[: 4 + n % 5].astype("float32").reshape(-1, 4) for n, x in enumerate(X[:, ..., 0])],
        {},
        "708e92b364afddf2",
    ),
}


def sha256(batches):
    """Of the names, kinds, shapes and values of three batches."""
    found = hashlib.sha256()
    for batch in itertools.islice(batches, 3):
        for name, value in sorted(batch.items()):
            found.update(f"{name} {value.dtype.name} {value.shape}".encode() + value.numpy().tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("kind", SOURCES)
def test_the_batches_of_a_position_are_what_they_were(kind, tmp_path):
    make, settings, frozen = SOURCES[kind]
    batches = load_dataset(make(tmp_path), batch_size=7, seed=3, first_epoch=1, first_step=2, **settings)
    assert sha256(batches) == frozen


def test_a_dataset_of_tensorflow_keeps_its_order():
    batches = load_dataset(dataset(None), batch_size=7, labels=True)
    assert sha256(batches) == "da35ff7ab3898c7d"


def test_few_labels_keep_their_order():
    settings = {"num_labels": 30, "seed": 3, "order_seed": 3, "first_epoch": 1, "first_step": 2, "batch_size": 70}
    assert sha256(load_semi_supervised("digits", **settings)) == "f01a09f5befec444"
    assert zoo.load_semi_supervised is load_semi_supervised
