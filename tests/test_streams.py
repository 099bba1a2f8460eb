"""Rows that are read from files while they are wanted: each once a pass, in an order that goes on where it stopped."""

import gzip
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from support import tiered

import zoo
from zoo.data import batches, load_arrays, load_dataset, write_shards
from zoo.data.sources import pictures
from zoo.data.sources.examples import example_of
from zoo.errors import InvalidInput, OutputExists
from zoo.training import train

ROWS, FILES, BATCH = 700, 3, 32
X = np.random.default_rng(0).integers(0, 256, (ROWS, 4, 4, 1), "uint8")
KINDS = ("tfrecord", "array_record", "pictures")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Kind -> the same pictures as files of that kind; the label of a row is its number, of pictures its folder's."""
    folder = tmp_path_factory.mktemp("streams")
    for number in range(FILES):
        records = [example_of(X[row], row) for row in range(number, ROWS, FILES)]
        with tf.io.TFRecordWriter(str(folder / f"{number}.tfrecord")) as writer:
            for record in records:
                writer.write(record)
        writer = ArrayRecordWriter(str(folder / f"{number}.array_record"), "group_size:1")
        for record in records:
            writer.write(record)
        writer.close()
    for row in range(ROWS):
        (folder / "pictures" / f"{row:04}").mkdir(parents=True)
        Image.fromarray(X[row, ..., 0]).save(folder / "pictures" / f"{row:04}" / "a.png")
    patterns = {kind: str(folder / f"*.{kind}") for kind in KINDS[:2]}
    return {**patterns, "pictures": str(folder / "pictures" / "*" / "*.png")}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(batches, "BLOCK_ROWS", 100)


def order(source, batches=None, **settings):
    """The labels of the batches, which must belong to their pictures."""
    found = []
    for batch in itertools.islice(load_dataset(source, batch_size=BATCH, labels=True, **settings), batches):
        np.testing.assert_array_equal(batch["x"], X[batch["y"]])
        found.append(batch["y"].numpy().tolist())
    return found


def rows(lists):
    return sorted(itertools.chain(*lists))


@pytest.mark.parametrize("kind", tiered(KINDS, {"tfrecord"}.__contains__))
def test_a_pass_has_every_row_once_in_a_new_order_and_goes_on_at_any_batch(sources, kind):
    steps = int(load_dataset(sources[kind], batch_size=BATCH, drop_remainder=True).cardinality())
    settings = {"drop_remainder": True, "first_epoch": 1, "seed": 3}
    whole = order(sources[kind], 3 * steps, **settings)
    passes = [whole[start : start + steps] for start in (0, steps, 2 * steps)]
    train_rows = set(load_arrays(sources[kind], labels=True)["y"].tolist())
    for one in passes:
        seen = rows(one)
        assert len(set(seen)) == len(seen) == steps * BATCH and set(seen) <= train_rows
    assert passes[0] != passes[1] != passes[2]
    for step in (1, 2, 3, steps - 1, steps, steps + 4):
        assert order(sources[kind], 4, **settings, first_step=step) == whole[step : step + 4]
    assert order(sources[kind], 2, **{**settings, "seed": 4}) != whole[:2]


@pytest.mark.parametrize("kind", tiered(KINDS, {"tfrecord"}.__contains__))
def test_the_splits_divide_the_rows(sources, kind):
    parts = [order(sources[kind], split=split) for split in ("train", "validation", "test")]
    assert rows(itertools.chain(*parts)) == rows(order(sources[kind], split="all")) == list(range(ROWS))
    assert [len(rows(part)) for part in parts[1:]] == pytest.approx([ROWS / 10, ROWS / 10], abs=20)
    np.testing.assert_array_equal(rows(parts[2]), np.sort(load_arrays(sources[kind], "test", labels=True)["y"]))


def test_what_is_not_shuffled_comes_as_it_is_stored(sources):
    stored = [row for file in range(FILES) for row in range(file, ROWS, FILES)]
    for kind in KINDS[:2]:
        assert sum(order(sources[kind], split="all"), []) == stored
        assert load_arrays(sources[kind], "all", labels=True, limit=300)["y"].tolist() == stored[:300]


def test_rows_of_all_files_meet_in_a_block(sources):
    blocks_rows = order(sources["tfrecord"], split="all", shuffle=True)[:3]
    assert set(np.array(sum(blocks_rows, [])) % FILES) == set(range(FILES))
    places = np.array(blocks_rows[0]) // FILES
    assert np.ptp(places) > ROWS / FILES / 2


def test_a_folder_of_many_pictures_is_streamed_and_gives_what_it_gave_in_memory(sources, monkeypatch):
    folder = sources["pictures"].removesuffix("/*/*.png")
    look = {"size": (3, 5), "color": "rgb"}
    for split, settings in (("test", {}), ("all", look)):
        loaded = load_arrays(folder, split, labels=True, **settings)
        with monkeypatch.context() as patch:
            patch.setattr(pictures, "IN_MEMORY", 1000)
            parts = list(load_dataset(folder, split, 50, labels=True, shuffle=False, **settings))
        for name in ("x", "y"):
            np.testing.assert_array_equal(np.concatenate([batch[name] for batch in parts]), loaded[name])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_shards_hold_every_row_and_their_index_changes_nothing(tmp_path, dtype):
    x, y = (X / 255).astype(dtype) if dtype == "float32" else X, np.arange(ROWS) % 256
    assert (
        write_shards(load_dataset({"x": x, "y": y}, batch_size=64, labels=True, shuffle=False), tmp_path / "s", 4)
        == ROWS
    )
    loaded = load_arrays(tmp_path / "s", "all", labels=True)
    row = np.concatenate([np.arange(file, ROWS, 4) for file in range(4)])
    np.testing.assert_array_equal(loaded["x"], x[row])
    np.testing.assert_array_equal(loaded["y"], y[row])
    one_epoch = [b["x"] for b in load_dataset(tmp_path / "s", first_epoch=0, batch_size=100).take(5)]
    (tmp_path / "s" / "index.npz").unlink()
    again = [b["x"] for b in load_dataset(tmp_path / "s", first_epoch=0, batch_size=100).take(5)]
    np.testing.assert_array_equal(one_epoch, again)
    with pytest.raises(OutputExists):
        write_shards(load_dataset({"x": x}), tmp_path / "s")


DAMAGED = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:50]), "cannot be read as an index"),
    "another": (lambda path: np.savez(path, x=X), "cannot be read as an index"),
    "too few places": (lambda path: rewritten(path, places=[0]), "is no index of shards: remove it"),
    "negative": (lambda path: rewritten(path, places=[0, -1]), "is no index of shards: remove it"),
    "too few files": (lambda path: rewritten(path, names=["00000-of-00002.tfrecord"]), "is no index of shards"),
}


def rewritten(path, **entries):
    with np.load(path) as index:
        np.savez(path, **{**index, **entries})


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_index_is_one_line(kind, tmp_path):
    write_shards(load_dataset({"x": X[:20]}, batch_size=10, shuffle=False), tmp_path / "s", 2)
    damage, message = DAMAGED[kind]
    damage(tmp_path / "s" / "index.npz")
    with pytest.raises(InvalidInput, match=message) as caught:
        load_dataset(tmp_path / "s")
    assert "\n" not in str(caught.value)


def test_pictures_in_records_are_decoded_and_resized(tmp_path, sources):
    feature = tf.train.Feature
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord-00000-of-00001")) as writer:
        for row in range(20):
            picture = tf.io.encode_png(X[row]).numpy()
            fields = {
                "image": feature(bytes_list=tf.train.BytesList(value=[picture])),
                "label": feature(int64_list=tf.train.Int64List(value=[row])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=fields)).SerializeToString())
    np.testing.assert_array_equal(load_arrays(tmp_path, "all")["x"], X[:20])
    np.testing.assert_array_equal(load_arrays(tmp_path, "all", size=(2, 3))["x"], load_arrays(X[:20], size=(2, 3))["x"])


# ---------------------------------------------------------------- training

SMALL = {"data_shape": [4, 4, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}}


@pytest.fixture
def preset(sources):
    recipe = {"epochs": 5, "batch_size": 50, "steps_per_epoch": 4, "ema": None}
    data = {"name": sources["tfrecord"], "validation": "validation"}
    return {"model": "vae", "config": SMALL, "data": data, "recipe": recipe}


@pytest.mark.slow
def test_a_run_that_is_interrupted_within_a_pass_goes_on_with_the_rows_it_had_not_seen(preset, tmp_path):
    whole, history = train(tmp_path / "whole", preset, verbose=False)
    assert int(whole.steps) == 20 and len(history.epoch) == 5
    train(tmp_path / "part", {**preset, "recipe": {**preset["recipe"], "epochs": 2}}, verbose=False)
    resumed, _ = train(tmp_path / "part", resume=True, epochs=5, verbose=False)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "service" not in zoo.load(tmp_path / "whole").card["data"]


def test_epochs_of_some_updates_are_parts_of_the_passes_of_data_in_memory_too(preset, tmp_path):
    preset = {**preset, "data": {"name": "digits"}, "config": {**SMALL, "data_shape": [8, 8, 1]}}
    pieces = {**preset, "recipe": {**preset["recipe"], "steps_per_epoch": 9, "epochs": 6}}  # 27 updates a pass
    passes = {**preset, "recipe": {**preset["recipe"], "steps_per_epoch": None, "epochs": 2}}
    train(tmp_path / "pieces", {**pieces, "recipe": {**pieces["recipe"], "epochs": 4}}, verbose=False)
    first, _ = train(tmp_path / "pieces", resume=True, epochs=6, verbose=False)
    second, _ = train(tmp_path / "passes", passes, verbose=False)
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_command_writes_shards_and_trains_on_them(zoo, tmp_path):
    assert zoo("shards", "digits", "--split", "train", "--count", 3, "--output", tmp_path / "s")[0] == 0
    code, out, _ = zoo("train", "vae", "--dataset", tmp_path / "s" / "*.tfrecord", "--epochs", 1, "--output",
                       tmp_path / "run", "--set", "latent_dim=2", "--set", "encoder.hidden_units=[8]")  # fmt: skip
    assert code == 0 and "x [8, 8, 1]" in out


# ---------------------------------------------------------------- a tf.data service


@pytest.fixture
def service():
    """The address of a tf.data service of this process, and a function that starts another worker."""
    server = tf.data.experimental.service
    dispatcher = server.DispatchServer()
    workers = []

    def start():
        config = server.WorkerConfig(dispatcher_address=dispatcher.target.removeprefix("grpc://"))
        workers.append(server.WorkerServer(config))

    start()
    yield dispatcher.target, start


def test_a_service_of_one_worker_gives_the_order_of_this_process(sources, service):
    settings = {"first_epoch": 0, "drop_remainder": True}
    assert order(sources["tfrecord"], 20, service=service[0], **settings) == order(sources["tfrecord"], 20, **settings)


def test_two_workers_of_a_service_give_every_row_once(sources, service):
    service[1]()
    assert rows(order(sources["tfrecord"], split="all", service=service[0])) == list(range(ROWS))


# ---------------------------------------------------------------- what is refused


def refused(said, *arguments, **settings):
    with pytest.raises(InvalidInput, match=said) as error, batches.told():
        list(load_dataset(*arguments, **settings))
    assert "\n" not in str(error.value)


def test_patterns_and_files_that_hold_no_rows_are_one_line(tmp_path, sources):
    refused("no file matches", tmp_path / "*.tfrecord")
    (tmp_path / "a.txt").write_text("no records")
    refused("but 1 .txt file", tmp_path / "*.txt")
    content = pathlib.Path(sources["tfrecord"].replace("*", "0")).read_bytes()
    for name, bytes_, said in (
        ("cut", content[:-5], "no whole TFRecord file"),
        ("packed", gzip.compress(content), "compressed"),
        ("empty", b"", "holds no records"),
        ("text", b"no records at all, but a text", "no whole TFRecord file"),
    ):
        (tmp_path / f"{name}.tfrecord").write_bytes(bytes_)
        refused(said, tmp_path / f"{name}.tfrecord", "all")
    (tmp_path / "b.array_record").write_bytes(b"no records")
    refused("holds no records", tmp_path / "b.array_record")
    (tmp_path / "packed.tfrecord").unlink()
    refused("TFRecord and ArrayRecord", tmp_path / "*record")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (example_of(np.zeros((5, 4, 1), "uint8"), 1), "(expected shape|to all be the same size)"),
        (example_of(X[0]), "y .* is required"),
        (b"no example", "parse example"),
    ],
    ids=["shape", "no label", "no example"],
)
def test_a_record_that_is_not_as_the_first_is_one_line(tmp_path, last, said):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for record in [example_of(X[0], 1)] * 20 + [last]:
            writer.write(record)
    refused(said, tmp_path, "all", 5, labels=True)
    model = zoo.create("vae", **SMALL)
    model.compile("adam")
    with pytest.raises(InvalidInput, match="a record is broken|a later batch has shape"):
        model.fit(load_dataset(tmp_path, "all", 5, shuffle=False, labels=True).map(lambda b: {"x": b["x"]}), verbose=0)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"z": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))}, "no feature image or x, but z"),
        ({"x": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"ab"]))}, "feature 'shape'"),
        ({"x": tf.train.Feature()}, "no picture and no numbers"),
    ],
)
def test_records_without_an_x_are_one_line(tmp_path, features, said):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    refused(said, tmp_path, "all")


def test_a_picture_that_is_none_is_named_when_it_comes(tmp_path, sources):
    for row in range(20):
        Image.fromarray(X[row, ..., 0]).save(tmp_path / f"{row:02}.png")
    (tmp_path / "07.png").write_bytes(b"no picture")
    refused("07.png' is no PNG", tmp_path / "*.png", "all", 5)
    Image.fromarray(X[0, :3, :, 0]).save(tmp_path / "07.png")
    refused("07.png' is .3, 4, 1.", tmp_path / "*.png", "all", 5)


def test_services_and_positions_that_cannot_be_are_one_line(sources):
    refused("no tf.data service answers", sources["tfrecord"], service="grpc://127.0.0.1:1")
    refused("grpc://HOST:PORT", sources["tfrecord"], service="127.0.0.1:1")
    refused("takes TFRecord files", sources["array_record"], service="grpc://127.0.0.1:1")
    refused("is loaded", "digits", service="grpc://127.0.0.1:1")
    refused("give that too", "digits", first_step=1)
    refused("has no labels", sources["pictures"].replace("/*/", "/0001/"), "all", labels=True)


# ---------------------------------------------------------------- memory

COUNT, SIDE = 2_000_000, 28
PASS = f"""
import shutil, sys
import numpy as np, tensorflow as tf
from zoo.data import load_dataset
from zoo.data.sources import pictures
from zoo.data.sources.examples import example_of
from zoo.training.timing import peak_memory
folder = sys.argv[1]
random = np.random.default_rng(0).integers(0, 256, (1000, {SIDE}, {SIDE}, 1), "uint8")
records = [example_of(x, row % 10) for row, x in enumerate(random)]
with tf.io.TFRecordWriter(folder + "/0.tfrecord") as writer:
    for row in range({COUNT // 20}):
        writer.write(records[row % 1000])
for number in range(1, 20):
    shutil.copy(folder + "/0.tfrecord", folder + f"/{{number}}.tfrecord")
rows = sum(len(batch["x"]) for batch in load_dataset(folder, "all", 1000, shuffle=True))
print(rows, peak_memory() / 1e9)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere memory begins with the starter's")
def test_a_pass_over_two_million_rows_stays_below_one_and_a_half_gigabytes(tmp_path):
    command = [sys.executable, "-c", PASS, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(said[0]) == COUNT and float(said[1]) < 1.5
