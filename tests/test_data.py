"""Data sets: what is loaded, in which order, and what is said when the data does not fit."""

import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from zoo.data import (
    FieldSpec,
    check_batch,
    check_dataset,
    describe_dataset,
    list_datasets,
    load_arrays,
    load_dataset,
    load_semi_supervised,
)
from zoo.errors import InvalidInput

COUNT, BATCH = 100, 32
IMAGES = {"x": np.arange(COUNT, dtype="uint8").reshape(COUNT, 1, 1, 1), "y": np.arange(COUNT)}
SPEC = {"x": FieldSpec((4, 4, 1), "float32", 0.0, 1.0), "y": FieldSpec((), "int32", -1, 9, "label")}
X, Y = np.full((5, 4, 4, 1), 0.5, "float32"), np.array([-1, 0, 3, 9, 9])


def order(dataset, batches=None):
    """The labels of a data set in the order in which they come, one list per batch."""
    return [batch["y"].numpy().tolist() for batch in itertools.islice(dataset, batches)]


def rows(lists):
    return sorted(itertools.chain.from_iterable(lists))


# ---------------------------------------------------------------- order


def test_every_pass_holds_every_example_once_in_a_new_order():
    dataset = load_dataset(IMAGES, batch_size=BATCH, labels=True)
    first, second = order(dataset), order(dataset)
    assert rows(first) == rows(second) == list(range(COUNT))
    assert first != second
    assert dataset.cardinality() == len(first) == 4


def test_rows_keep_their_labels():
    for batch in load_dataset(IMAGES, batch_size=BATCH, labels=True):
        np.testing.assert_array_equal(np.ravel(batch["x"]), batch["y"])


def test_the_seed_decides_the_order():
    def epochs(seed):
        dataset = load_dataset(IMAGES, batch_size=BATCH, labels=True, seed=seed)
        return [order(dataset) for _ in range(3)]

    assert epochs(1) == epochs(1) != epochs(2)


def test_a_resumed_run_sees_the_batches_of_an_uninterrupted_one():
    whole = order(load_dataset(IMAGES, batch_size=BATCH, labels=True, first_epoch=0), 12)
    resumed = order(load_dataset(IMAGES, batch_size=BATCH, labels=True, first_epoch=2), 4)
    assert resumed == whole[8:]
    passes = [whole[i : i + 4] for i in (0, 4, 8)]
    assert all(rows(p) == list(range(COUNT)) for p in passes)
    assert passes[0] != passes[1] != passes[2]


def test_only_training_data_is_shuffled_unless_asked():
    test = order(load_dataset("digits", "test", labels=True))
    assert test == order(load_dataset("digits", "test", labels=True))
    assert list(itertools.chain(*test)) == load_arrays("digits", "test", labels=True)["y"].tolist()
    unshuffled = load_dataset(IMAGES, batch_size=BATCH, labels=True, shuffle=False, first_epoch=5)
    assert list(itertools.chain(*order(unshuffled, 4))) == list(range(COUNT))


def test_drop_remainder_leaves_out_the_smaller_batch_and_fixes_the_shape():
    dataset = load_dataset(IMAGES, batch_size=BATCH, drop_remainder=True)
    assert dataset.cardinality() == 3
    assert dataset.element_spec["x"].shape == (BATCH, 1, 1, 1)


# ---------------------------------------------------------------- sources


def test_the_parts_of_digits_are_disjoint_and_make_up_the_whole():
    parts = {s: load_arrays("digits", s)["x"] for s in describe_dataset("digits")["splits"]}
    assert {s: len(x) for s, x in parts.items()} == describe_dataset("digits")["splits"]
    np.testing.assert_array_equal(np.concatenate([parts["train"], parts["validation"]]), parts["train+validation"])
    from sklearn.datasets import load_digits

    stored = np.round(load_digits().images * (255 / 16)).astype("uint8")
    everything = np.concatenate([parts["train+validation"], parts["test"]])
    assert sorted(map(bytes, everything)) == sorted(map(bytes, stored))


def test_a_folder_of_class_folders_is_read_in_sorted_order(tmp_path):
    from PIL import Image

    for label, name in enumerate(["cats", "dogs"]):
        (tmp_path / name).mkdir()
        for i in range(10):
            Image.fromarray(np.full((3, 5), 20 * i + label, "uint8")).save(tmp_path / name / f"{i}.png")
    arrays = load_arrays(tmp_path, "all", labels=True)
    assert arrays["x"].shape == (20, 3, 5, 1)
    assert arrays["x"][:, 0, 0, 0].tolist() == [20 * i + label for label in (0, 1) for i in range(10)]
    assert arrays["y"].tolist() == [0] * 10 + [1] * 10
    assert [len(load_arrays(tmp_path, s)["x"]) for s in ("train", "validation", "test")] == [14, 3, 3]
    Image.fromarray(np.zeros((3, 4), "uint8")).save(tmp_path / "dogs" / "a.png")
    with pytest.raises(InvalidInput, match="one size"):
        load_dataset(tmp_path)


def test_a_folder_may_bring_its_own_splits(tmp_path):
    from PIL import Image

    for value, split in enumerate(["train", "test"]):
        (tmp_path / split).mkdir()
        Image.fromarray(np.full((2, 2, 3), value, "uint8")).save(tmp_path / split / "a.png")
    assert load_arrays(tmp_path, "test")["x"].tolist() == np.ones((1, 2, 2, 3)).tolist()
    with pytest.raises(InvalidInput, match="no validation"):
        load_arrays(tmp_path, "validation")


def test_files_and_arrays_keep_uint8_and_make_other_numbers_float32(tmp_path):
    np.savez(tmp_path / "a.npz", **IMAGES)
    np.save(tmp_path / "b.npy", np.zeros((10, 2, 2, 1), "float64"))
    a, b = load_arrays(tmp_path / "a.npz", "all", labels=True), load_arrays(str(tmp_path / "b.npy"), "all")
    assert (a["x"].dtype, a["y"].dtype, b["x"].dtype) == ("uint8", "int32", "float32")
    np.testing.assert_array_equal(a["x"], IMAGES["x"])
    parts = [load_arrays(tmp_path / "a.npz", s, labels=True)["y"].tolist() for s in ("train", "validation", "test")]
    assert rows(parts) == list(range(COUNT))


def test_a_tf_dataset_of_images_is_batched_and_one_of_batches_is_not():
    import tensorflow as tf

    images = tf.data.Dataset.from_tensor_slices((X, Y))
    for dataset in (images, images.batch(5)):
        (batch,) = load_dataset(dataset, labels=True)
        np.testing.assert_array_equal(batch["x"], X)
        np.testing.assert_array_equal(batch["y"], Y)
    assert set(load_dataset(images).element_spec) == {"x"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "mnits"}, "did you mean mnist"),
        ({"split": "tran"}, "did you mean train"),
        ({"source": "nowhere/faces.npz"}, "no file or folder 'nowhere/faces.npz'"),
        ({"source": X, "labels": True}, "no labels"),
        ({"source": X, "split": "test"}, "no split 'test'"),
        ({"source": {"image": X}}, "need a field 'x'"),
        ({"source": {"x": X, "y": Y[1:]}}, "y has 4 rows, but x has 5"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"source": X, "drop_remainder": True}, "5 examples do not fill one batch of 128"),
        ({"first_epoch": -1}, "first_epoch must be a whole number"),
    ],
)
def test_wrong_arguments_are_answered_in_one_line(arguments, message):
    with pytest.raises(InvalidInput, match=message) as error:
        load_dataset(**arguments)
    assert "\n" not in str(error.value)


def test_the_catalogue_needs_no_tensorflow():
    code = (
        "import sys, zoo.data as d; [d.describe_dataset(n) for n in d.list_datasets()]; d.load_arrays('digits');"
        "sys.exit('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
    assert all(json.dumps(describe_dataset(n)) for n in list_datasets())


def test_a_failed_download_names_the_ways_out(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    for name in ("mnist", "frey_faces"):
        with pytest.raises(InvalidInput, match="no route to host.*images of your own.*TFDS_DATA_DIR") as error:
            load_dataset(name, data_dir=tmp_path)
        assert "digits" not in str(error.value), "a model of these images cannot take 8x8 ones"
    prepared = tmp_path / "fashion_mnist" / describe_dataset("fashion_mnist")["version"]
    prepared.mkdir(parents=True)
    (prepared / "dataset_info.json").touch()
    with pytest.raises(InvalidInput, match="use 'fashion_mnist', which is there"):
        load_dataset("mnist", data_dir=tmp_path)


# ---------------------------------------------------------------- checks


@pytest.mark.parametrize(
    "batch",
    [
        {"x": X, "y": Y},
        (X, Y),
        {"x": (X * 255).astype("uint8"), "y": np.eye(10)[Y]},
        ({"x": X}, Y),
        ((X, Y),),
        {"x": X.astype("float64"), "y": Y.astype("uint8") % 10},
    ],
)
def test_batches_that_fit_pass(batch):
    check_batch(batch, SPEC)
    check_dataset([batch], SPEC)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((X * 510, Y), "x has values up to 255.0 (row 0 of 5), but the model takes 0..1: divide by 255 or pass uint8"),
        ((X - 1, Y), "x has values down to -0.5 (row 0 of 5), but the model takes 0..1"),
        ((np.zeros((5, 6, 6, 3)), Y), "create the model with data_shape=(6, 6, 3)"),
        ((X[..., 0], Y), "add a channel axis"),
        ((X[0], Y), "add a batch axis"),
        ((X * np.nan, Y), "x has values that are NaN or infinite"),
        ((X.astype("complex64"), Y), "x holds complex64, the model takes float32"),
        ((X.astype(str), Y), "x holds text or objects"),
        ((X.astype("int64"), Y), "x holds int64, the model takes float32 or uint8 images 0..255"),
        (((X > 0).astype("uint8"), Y), "uint8 means 0..255: multiply it by 255"),
        (X, "the model needs labels y: load_dataset(..., labels=True)"),
        ({"image": X}, "the model needs a field 'x', but the batch has 'image'"),
        ((X, Y + 1), "y has labels up to 10 (row 3 of 5), the model takes -1..9"),
        ((X, Y - 1), "y has labels down to -2 (row 0 of 5), the model takes -1..9"),
        ((X, Y.astype("float32")), "y holds float32, the model takes whole numbers"),
        ((X, Y[:, None, None]), "y has shape (5, 1, 1), the model takes (batch)"),
        ((X, Y[1:]), "fields of one batch must have one length"),
    ],
)
def test_batches_that_do_not_fit_are_told_why(batch, message):
    with pytest.raises(InvalidInput, match=re.escape(message)) as error:
        check_batch(batch, SPEC)
    assert "\n" not in str(error.value)


MASKED = {**SPEC, "seen": FieldSpec((4, 4, 1), "float32", 0, 1, "mask", optional=True)}
SEEN = (np.arange(X.size).reshape(X.shape) % 3 > 0).astype("float32")


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64", "bool"])
def test_what_a_mask_says_is_missing_may_hold_anything(dtype):
    holes = np.where(SEEN, X, np.nan)
    for batch in ({"x": holes, "y": Y, "seen": SEEN.astype(dtype)}, (X, Y)):
        check_batch(batch, MASKED)
    for batch, message in (
        ((holes, Y), "NaN or infinite"),
        ({"x": holes, "y": Y, "seen": 1 - SEEN}, "NaN or infinite"),
        ({"x": holes, "y": Y, "seen": 2 * SEEN}, "seen is 1 where a value was observed and 0 where it is missing"),
        ({"x": holes, "y": Y, "seen": SEEN[..., 0]}, "seen has shape (5, 4, 4), the model takes (batch, 4, 4, 1)"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(message)):
            check_batch(batch, MASKED)


def test_fields_are_known_by_their_role_whatever_their_name():
    spec = {"pixels": SPEC["x"], "kind": FieldSpec((), "int32", 0, 9, "condition"), "digit": FieldSpec((), "int32")}
    check_batch((X, Y % 10, Y), spec)
    for batch, message in (
        (X[0], "add a batch axis, pixels[None]"),
        ((X, Y, Y), "kind has labels down to -1"),
        (X, "the model needs labels kind"),
        ({"pixels": X, "kind": Y % 10}, "the model needs labels digit"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(message)):
            check_batch(batch, spec)


def test_further_fields_come_along_in_their_rows():
    arrays = {**IMAGES, "mask": np.arange(COUNT) % 2 == 0, "weight": np.arange(COUNT) / 2}
    for batch in load_dataset(arrays, batch_size=BATCH, labels=True):
        assert (batch["mask"].dtype, batch["weight"].dtype) == ("int32", "float32")
        np.testing.assert_array_equal(batch["mask"], 1 - batch["y"] % 2)
        np.testing.assert_array_equal(batch["weight"], batch["y"] / 2)


def test_data_sets_are_checked_by_their_first_batches():
    with pytest.raises(InvalidInput, match=re.escape("'y', but the model takes x: load_dataset(..., labels=False)")):
        check_dataset(load_dataset("digits", labels=True), {"x": FieldSpec((8, 8, 1), "float32", 0.0, 1.0)})
    check_dataset(X, {"x": SPEC["x"]})
    with pytest.raises(InvalidInput, match="labels y"):
        check_dataset(load_dataset(X), SPEC)
    with pytest.raises(InvalidInput, match="empty"):
        check_dataset([], SPEC)
    good, bad = (X, Y), (X + 1, Y)
    check_dataset([good, good, bad], SPEC, batches=2)
    with pytest.raises(InvalidInput, match="up to 1.5"):
        check_dataset([good, good, bad], SPEC, batches=None)


def test_the_end_of_a_fit_waits_for_no_tuner():
    """An iterator's end can wait for tf.data's tuner as long again as the training took; ours have none."""
    for dataset in (load_dataset("digits"), load_semi_supervised("digits", 50)):
        assert dataset.options().autotune.enabled is False
        assert dataset.take(2).options().autotune.enabled is False
