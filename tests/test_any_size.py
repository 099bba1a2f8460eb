"""Pictures of any size and colour, and named columns: what becomes of them, and what is said."""

import io

import numpy as np
import pytest
from PIL import Image

from zoo import quiet
from zoo.data import load_arrays, load_dataset
from zoo.data.sizes import look_of
from zoo.errors import InvalidInput

RANDOM = np.random.RandomState(0)
COLOUR = RANDOM.randint(0, 256, (9, 12, 3)).astype("uint8")


@pytest.fixture(autouse=True)
def nothing_was_said():
    quiet.say_once.cache_clear()


@pytest.fixture
def photos(tmp_path):
    """Ten photographs of two classes, of five sizes, grey and in colour."""
    for i in range(10):
        folder = tmp_path / "photos" / ("cats" if i < 5 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        shape = (20 + i % 5, 30) if i % 2 else (20 + i % 5, 30, 3)
        Image.fromarray(RANDOM.randint(0, 256, shape).astype("uint8")).save(folder / f"{i}.png")
    return tmp_path / "photos"


# ---------------------------------------------------------------- sizes and colours


def test_a_folder_of_many_sizes_becomes_one_array_with_its_labels_and_says_so(photos, capsys):
    arrays = load_arrays(photos, "all", size=(8, 12), color="rgb", labels=True)
    assert arrays["x"].shape == (10, 8, 12, 3) and arrays["x"].dtype == np.uint8
    assert arrays["y"].tolist() == [0] * 5 + [1] * 5
    load_arrays(photos, "train", size=(8, 12), color="rgb")
    (line,) = capsys.readouterr().err.splitlines()
    assert "photos" in line and "made rgb and resized to 8x12 (height x width); of what has another shape" in line
    with pytest.raises(InvalidInput, match=r"or be given them \(size, color\)"):
        load_arrays(photos, "all")


def test_pictures_that_are_so_already_are_as_they_were_and_nothing_is_said(capsys):
    plain, asked = load_arrays("digits", "test"), load_arrays("digits", "test", size=8, color="gray")
    np.testing.assert_array_equal(plain["x"], asked["x"])
    assert capsys.readouterr().err == ""


def test_a_smaller_picture_is_antialiased():
    """A fine checkerboard of black and white has no pattern left, and its mean stays."""
    board = ((np.add.outer(np.arange(64), np.arange(64)) % 2) * 255).astype("uint8")[..., None]
    small = look_of(size=16).apply(board)
    assert small.shape == (16, 16, 1) and abs(small.astype(int) - 127).max() <= 2


def test_what_has_another_shape_is_cropped_to_its_middle_or_padded():
    wide = np.zeros((10, 30, 1), "uint8")
    wide[:, 10:20] = 200
    np.testing.assert_array_equal(look_of(size=10, fit="crop").apply(wide), np.full((10, 10, 1), 200))
    padded = look_of(size=30, fit="pad").apply(wide)[..., 0]
    np.testing.assert_array_equal(padded[10:20], wide[..., 0])
    assert not padded[:10].any() and not padded[20:].any()


def test_grey_is_the_luma_that_pillow_has_and_floats_are_scaled_like_bytes():
    grey = look_of(color="gray").apply(COLOUR)[..., 0]
    assert abs(grey.astype(int) - np.asarray(Image.fromarray(COLOUR).convert("L")).astype(int)).max() <= 1
    assert (look_of(color="rgb").apply(COLOUR[..., :1]) == COLOUR[..., :1]).all()
    look = look_of(size=(5, 7))
    np.testing.assert_allclose(look.apply(COLOUR / np.float32(255)), look.apply(COLOUR) / 255, atol=1 / 255)


def test_a_photograph_taken_sideways_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right of the file
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.png", "all")["x"][0], np.rot90(COLOUR, -1))


def test_named_data_and_arrays_are_resized_too(tmp_path):
    np.save(tmp_path / "x.npy", np.stack([COLOUR] * 20))
    assert load_arrays(tmp_path / "x.npy", "test", size=4, color="gray")["x"].shape == (2, 4, 4, 1)
    assert load_arrays("digits", "test", size=(16, 12), limit=3)["x"].shape == (3, 16, 12, 1)
    batch = next(iter(load_dataset({"x": COLOUR[None]}, size=6, batch_size=1)))
    assert batch["x"].shape == (1, 6, 6, 3)


WRONG = {
    "no size": ({"size": 0}, "positive"),
    "half a size": ({"size": (8,)}, "height, width"),
    "too large": ({"size": (10**5, 10**5)}, "at most 4194304 pixels"),
    "words": ({"size": "8x8"}, "height, width"),
    "colour": ({"color": "grey"}, "did you mean gray"),
    "fit": ({"size": 8, "fit": "corp"}, "did you mean crop"),
    "fit alone": ({"fit": "pad"}, "give that too"),
    "column": ({"column": "image"}, "named columns"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_size_is_one_line(wrong):
    settings, said = WRONG[wrong]
    with pytest.raises(InvalidInput, match=said):
        load_arrays("digits", **settings)


def test_what_is_no_picture_has_no_size():
    with pytest.raises(InvalidInput, match=r"\[H, W, 1 or 3\]"):
        load_arrays(np.zeros((4, 5)), size=8)
    for source in ([np.zeros((3, 2)), np.zeros((4, 2))], "jsb_chorales"):
        with pytest.raises(InvalidInput, match="not for sequences"):
            load_dataset(source, size=8)


@pytest.mark.slow
def test_the_command_line_trains_on_photographs_and_asks_the_model_about_others(zoo, photos, tmp_path):
    run, settings = tmp_path / "run", ["--set", "latent_dim=2", "--set", "encoder.hidden_units=[8]"]
    command = ["train", "vae", "--dataset", photos, "--size", "8x6", "--color", "rgb", "--fit", "pad", "--epochs", 1]
    code, out, err = zoo(*command, "--recipe", "batch_size=4", "--output", run, *settings)
    assert code == 0 and "resized to 8x6" in " ".join(err), err
    assert "vae of x [8, 6, 3], likelihood discretized_logistic" in out
    one = next(photos.rglob("*.png"))
    assert zoo("encode", run, "--input", one, "--output", tmp_path / "a.npz")[0] == 0
    assert zoo("evaluate", run, "--num-samples", 2, "--split", "all")[0] == 0
    code, _, lines = zoo("train", "vae", "--dataset", photos, "--size", "8,6")
    assert (code, len(lines)) == (2, 1) and "HEIGHTxWIDTH" in lines[0]
    code, _, lines = zoo("train", "--resume", run, "--color", "gray")
    assert (code, len(lines)) == (2, 1) and "--color" in lines[0]


# ---------------------------------------------------------------- Keras' files and data sets


def test_an_npz_file_of_keras_has_its_own_splits(tmp_path, capsys):
    train, test = RANDOM.randint(0, 256, (50, 4, 5), "uint8"), RANDOM.randint(0, 256, (7, 4, 5), "uint8")
    labels = np.arange(50)[:, None] % 3
    np.savez(tmp_path / "mnist.npz", x_train=train, y_train=labels, x_test=test, y_test=np.arange(7))
    parts = {
        split: load_arrays(tmp_path / "mnist.npz", split, labels=True)
        for split in ("train", "validation", "test", "train+validation", "all")
    }
    assert {k: len(v["x"]) for k, v in parts.items()} == {
        "train": 45,
        "validation": 5,
        "test": 7,
        "train+validation": 50,
        "all": 57,
    }
    np.testing.assert_array_equal(parts["test"]["x"], test[..., None])
    both = np.concatenate([parts["train"]["x"], parts["validation"]["x"]])
    assert sorted(map(bytes, both)) == sorted(map(bytes, train))
    rows = {bytes(image): label for image, (label,) in zip(train, labels, strict=True)}
    for image, label in zip(parts["train"]["x"], parts["train"]["y"], strict=True):
        assert rows[bytes(image)] == label
    assert capsys.readouterr().err.count("a tenth of its x_train") == 1
    np.savez(tmp_path / "whole.npz", x_train=train, x_val=test)
    np.testing.assert_array_equal(load_arrays(tmp_path / "whole.npz", "validation")["x"], test[..., None])
    with pytest.raises(InvalidInput, match="no test"):
        load_arrays(tmp_path / "whole.npz", "test")


def test_floats_of_keras_folders_are_pixels_and_that_is_said(photos, capsys):
    import keras
    from support import small

    given = {"image_size": (8, 8), "batch_size": 4, "verbose": False, "shuffle": False}
    dataset = keras.utils.image_dataset_from_directory(photos, **given)
    batches = list(load_dataset(dataset, labels=True))
    (line,) = capsys.readouterr().err.splitlines()
    assert "floats 0..255" in line and "255" in line
    x, y = next(iter(dataset))
    np.testing.assert_array_equal(batches[0]["x"], np.round(x.numpy()) / np.float32(255))
    assert batches[0]["y"].numpy().tolist() == y.numpy().tolist()
    model = small("vae", data_shape=(8, 8, 3), likelihood="discretized_logistic")
    model.compile("adam")
    assert np.isfinite(model.fit(load_dataset(dataset), verbose=0).history["loss"]).all()
    for batch in (x / 255, x - 300.0):
        import tensorflow as tf

        same = next(iter(load_dataset(tf.data.Dataset.from_tensors({"x": batch}))))
        np.testing.assert_array_equal(same["x"], batch)
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- named columns


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def parquet(path, **columns):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path)
    return path


def test_a_parquet_table_is_its_numbers_with_labels_apart(tmp_path):
    columns = {"width": np.arange(30.0), "label": np.arange(30) % 3, "height": np.arange(30)}
    path = parquet(tmp_path / "a.parquet", **columns)
    arrays = load_arrays(path, "all", labels=True)
    np.testing.assert_array_equal(arrays["x"], np.stack([columns["width"], columns["height"]], 1))
    assert arrays["x"].dtype == np.float32 and arrays["y"].tolist() == columns["label"].tolist()
    assert [len(load_arrays(path, s)["x"]) for s in ("train", "validation", "test")] == [24, 3, 3]


def test_a_parquet_column_of_encoded_pictures_is_pictures(tmp_path):
    cells = [{"bytes": png(COLOUR[i:]), "path": None} for i in range(3)]
    path = parquet(tmp_path / "a.parquet", photo=cells, label=[0, 1, 0], name=["a", "b", "c"])
    assert load_arrays(path, "all", column="photo", size=5, labels=True)["x"].shape == (3, 5, 5, 3)
    np.testing.assert_array_equal(load_arrays(path, "all", column="photo", limit=1)["x"], COLOUR[None])
    for settings, said in (
        ({}, "no column of numbers, but columns 'photo', 'name'"),
        ({"column": "foto"}, "did you mean photo"),
        ({"column": "name"}, "name of row 0 is no picture"),
        ({"column": "photo"}, "give pictures one size"),
    ):
        with pytest.raises(InvalidInput, match=said):
            load_arrays(path, "all", **settings)


def test_a_parquet_file_that_is_none_or_claims_too_much_is_one_line(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    parquet(tmp_path / "bomb.parquet", x=np.zeros(2**27, "uint8"))
    for name, said in (("a.parquet", "cannot read"), ("bomb.parquet", "would unpack to 1.1 GB")):
        with pytest.raises(InvalidInput, match=said) as error:
            load_arrays(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_data_frame_is_a_table_or_a_column_of_pictures():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, None], "y": [1, 0]})
    arrays = load_arrays(frame, labels=True)
    np.testing.assert_array_equal(arrays["x"], np.array([[1, 0.5], [2, np.nan]], "float32"))
    assert arrays["y"].tolist() == [1, 0]
    pictures = pandas.DataFrame({"image": [COLOUR, COLOUR[::-1]], "name": ["a", "b"]})
    np.testing.assert_array_equal(load_arrays(pictures)["x"], np.stack([COLOUR, COLOUR[::-1]]))
    with pytest.raises(InvalidInput, match="no column of numbers, but column 'name'"):
        load_arrays(pictures[["name"]])
    with pytest.raises(InvalidInput, match="no split 'test'"):
        load_arrays(frame, "test")


def test_data_sets_of_hugging_face_are_tables_or_pictures_with_their_splits():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    cells = {"image": [Image.fromarray(COLOUR), Image.fromarray(COLOUR[::-1])], "label": [1, 0]}
    whole = datasets.Dataset.from_dict(cells, features=features)
    arrays = load_arrays(whole, labels=True)
    np.testing.assert_array_equal(arrays["x"], np.stack([COLOUR, COLOUR[::-1]]))
    assert arrays["y"].tolist() == [1, 0]
    table = datasets.Dataset.from_dict({"a": [1.0, 2.0], "b": [3, 4]})
    splits = datasets.DatasetDict({"train": table, "test": table.select([1])})
    np.testing.assert_array_equal(load_arrays(splits, "test")["x"], [[2, 4]])
    batch = next(iter(load_dataset(splits, "train", batch_size=2, shuffle=False)))
    np.testing.assert_array_equal(batch["x"], [[1, 3], [2, 4]])
    with pytest.raises(InvalidInput, match="unknown split 'validation'"):
        load_arrays(splits, "validation")
    with pytest.raises(InvalidInput, match="streaming=False"):
        load_arrays(table.to_iterable_dataset())


@pytest.mark.slow
def test_the_command_line_trains_on_a_table_and_says_its_likelihood(zoo, tmp_path):
    path = parquet(tmp_path / "a.parquet", width=RANDOM.randn(100), height=RANDOM.randn(100))
    pictures = parquet(tmp_path / "b.parquet", photo=[{"bytes": png(COLOUR[i:])} for i in range(5)] * 6)
    settings = ["--set", "latent_dim=1", "--set", "encoder.hidden_units=[8]", "--recipe", "batch_size=20"]
    code, out, err = zoo("train", "vae", "--dataset", path, "--epochs", 1, "--output", tmp_path / "run", *settings)
    assert code == 0 and "vae of x [2], likelihood normal" in out, err
    command = ["train", "vae", "--dataset", pictures, "--column", "photo", "--size", 5, "--epochs", 1]
    assert zoo(*command, "--recipe", "batch_size=8", "--output", tmp_path / "run", "--overwrite", *settings)[0] == 0
    code, out, err = zoo("encode", tmp_path / "run", "--input", pictures, "--output", tmp_path / "z.npz")
    assert code == 0 and "z [30, 1]" in out, err
