"""Prepared data sets are what the catalogue says, and our builders make the same from the authors' files."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from zoo.data import describe_dataset, load_arrays, prepare_dataset
from zoo.errors import InvalidInput


@pytest.fixture
def data_dir():
    """The folder of prepared data sets; tests that need it are skipped where it is not."""
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not Path(folder, "mnist").is_dir():
        pytest.skip("needs prepared data sets: set TFDS_DATA_DIR")
    return folder


@pytest.mark.parametrize("name", ["binarized_mnist", "caltech_silhouettes_28x28", "frey_faces", "omniglot_28x28"])
def test_prepared_data_is_what_the_catalogue_says(data_dir, name):
    info = describe_dataset(name, data_dir)
    labels = info["num_classes"] is not None
    arrays = load_arrays(name, "test", labels=labels, data_dir=data_dir)
    assert arrays["x"].shape == (info["splits"]["test"], *info["shape"])
    assert arrays["x"].dtype == np.uint8
    if info["values"].startswith("uint8 0 or 255"):
        assert np.unique(arrays["x"]).tolist() == [0, 255]
    if labels:
        assert arrays["y"].min() >= 0 and arrays["y"].max() < info["num_classes"]


def test_builders_have_the_features_and_read_the_files_of_the_prepared_folders(data_dir, tmp_path):
    from zoo.data.tfds import builders, sequence_builders

    for name, builder in {**builders.BUILDERS, **sequence_builders.BUILDERS}.items():
        features = builder(data_dir=tmp_path).info.features
        stored = json.loads(Path(data_dir, name, "1.0.0", "features.json").read_text())
        assert features.to_json()["content"]["features"] == stored["featuresDict"]["features"]
        prepared = builder(data_dir=data_dir)
        prepared.download_and_prepare()  # finds the folder, so nothing is downloaded
        for key, feature in features.items():
            assert getattr(feature, "names", None) == getattr(prepared.info.features[key], "names", None)


@pytest.fixture
def fake_downloads(tmp_path, monkeypatch):
    """Serve the authors' files from `tmp_path`, by file name; checksums are not asked for."""
    tfds = pytest.importorskip("tensorflow_datasets")
    from zoo.data.tfds import addresses

    def download(self, urls):
        return {part: tmp_path / url.rsplit("/", 1)[-1] for part, url in urls.items()}

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    monkeypatch.setattr("zoo.data.tfds.prepare._check_network", lambda builder: None)
    unchecked = {n: {p: (url, None) for p, (url, _) in parts.items()} for n, parts in addresses.SOURCES.items()}
    monkeypatch.setattr(addresses, "SOURCES", unchecked)
    return tmp_path


def read_all(name, data_dir):
    """split -> examples of a freshly prepared data set."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepare_dataset(name, data_dir))
    return {s: list(tfds.as_numpy(builder.as_dataset(split=s))) for s in builder.info.splits}


def test_omniglot_is_averaged_over_areas_and_divided_by_drawing_number(fake_downloads):
    from PIL import Image

    ink = np.random.default_rng(0).random((105, 105)) < 0.3
    for part, alphabet, number in (("background", "Greek", 394), ("evaluation", "Tibetan", 1556)):
        with zipfile.ZipFile(fake_downloads / f"images_{part}.zip", "w") as archive:
            archive.writestr(f"images_{part}/{alphabet}/character01/", "")
            for drawer in range(1, 21):
                with archive.open(f"images_{part}/{alphabet}/character01/{number:04d}_{drawer:02d}.png", "w") as file:
                    Image.fromarray(~ink).convert("1").save(file, "png")
    splits = read_all("omniglot_28x28", fake_downloads / "data")
    assert {s: sorted({int(e["drawer"]) for e in examples}) for s, examples in splits.items()} == {
        "train": list(range(1, 16)),
        "test": list(range(16, 21)),
    }
    found = {tuple(int(e[k]) for k in ("label", "alphabet", "original_set")) for e in splits["train"]}
    assert found == {(393, 21, 0), (1555, 47, 1)}
    fine = np.kron(ink, np.ones((4, 4)))  # [420, 420]: a target pixel is 15 x 15 of these
    expected = np.round(255 * fine.reshape(28, 15, 28, 15).mean((1, 3)))
    np.testing.assert_array_equal(splits["test"][0]["image"][..., 0], expected)


def test_frey_faces_stand_upright(fake_downloads):
    import scipy.io

    faces = np.random.default_rng(0).integers(0, 256, (6, 28, 20)).astype("uint8")
    scipy.io.savemat(fake_downloads / "frey_rawface.mat", {"ff": np.stack([f.ravel() for f in faces], axis=1)})
    for example in read_all("frey_faces", fake_downloads / "data")["train"]:
        np.testing.assert_array_equal(example["image"][..., 0], faces[example["frame"]])


def save_silhouettes(path, objects):
    """The authors' layout: column-major, background 1, labels from 1."""
    import scipy.io

    data = 1 - objects.transpose(0, 2, 1).reshape(len(objects), 784)
    content = {f"{p}_data": data for p in ("train", "val", "test")}
    labels = {f"{p}_labels": np.arange(1, len(objects) + 1)[:, None] for p in ("train", "val", "test")}
    scipy.io.savemat(path / "caltech101_silhouettes_28_split1.mat", content | labels)


def test_silhouettes_are_transposed_and_inverted(fake_downloads):
    objects = np.random.default_rng(0).integers(0, 2, (5, 28, 28)).astype("uint8")
    save_silhouettes(fake_downloads, objects)
    splits = read_all("caltech_silhouettes_28x28", fake_downloads / "data")
    assert set(splits) == {"train", "validation", "test"}
    for example in splits["validation"]:
        np.testing.assert_array_equal(example["image"][..., 0], 255 * objects[example["label"]])


def test_a_file_with_another_checksum_is_refused(fake_downloads, monkeypatch):
    from zoo.data.tfds import addresses

    save_silhouettes(fake_downloads, np.zeros((2, 28, 28), "uint8"))
    url = addresses.SOURCES["caltech_silhouettes_28x28"]["split1"][0]
    monkeypatch.setitem(addresses.SOURCES, "caltech_silhouettes_28x28", {"split1": (url, "0" * 64)})
    with pytest.raises(InvalidInput, match="SHA-256 differs"):
        prepare_dataset("caltech_silhouettes_28x28", fake_downloads / "data")


MUSIC = {
    "jsb_chorales": "JSB_Chorales",
    "nottingham": "Nottingham",
    "piano_midi": "Piano_midi",
    "muse_data": "MuseData",
}


def stored(name, split, data_dir):
    """The prepared examples of a split, in their order."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(Path(data_dir, name, "1.0.0"))
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def assert_same_examples(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for key, value in other.items():
            np.testing.assert_array_equal(one[key], value)


@pytest.mark.parametrize("name", MUSIC)
def test_music_that_is_built_equals_the_prepared_folder_record_by_record(data_dir, fake_downloads, name):
    import scipy.io

    content = {}
    for split, part in {"train": "train", "validation": "valid", "test": "test"}.items():
        examples = sorted(stored(name, split, data_dir), key=lambda example: example["index"])
        cells = np.empty((1, len(examples)), object)
        cells[0] = [example["piano_roll"].astype("float64") for example in examples]
        content[f"{part}data"] = cells
    scipy.io.savemat(fake_downloads / f"{MUSIC[name]}.mat", content)
    for split, examples in read_all(name, fake_downloads / "data").items():
        assert_same_examples(examples, stored(name, split, data_dir))


@pytest.mark.slow
def test_speech_that_is_built_equals_the_prepared_folder_record_by_record(data_dir, fake_downloads):
    import io

    from scipy.io import wavfile

    with zipfile.ZipFile(fake_downloads / "v1.0.10.zip", "w") as archive:
        archive.writestr("free-spoken-digit-dataset-1.0.10/README.md", "")
        for split in ("test", "train"):
            for example in stored("free_spoken_digit", split, data_dir):
                file = io.BytesIO()
                wavfile.write(file, 8000, example["audio"])
                name = f"free-spoken-digit-dataset-1.0.10/recordings/{example['filename'].decode()}"
                archive.writestr(name, file.getvalue())
    for split, examples in read_all("free_spoken_digit", fake_downloads / "data").items():
        assert_same_examples(examples, stored("free_spoken_digit", split, data_dir))


def test_a_file_of_other_sequences_is_refused(fake_downloads):
    import scipy.io

    cells = np.empty((1, 1), object)
    cells[0, 0] = np.full((5, 88), 2)
    scipy.io.savemat(fake_downloads / "JSB_Chorales.mat", {f"{p}data": cells for p in ("train", "valid", "test")})
    with pytest.raises(InvalidInput, match="sequence 0 of jsb_chorales is no roll"):
        prepare_dataset("jsb_chorales", fake_downloads / "data")
