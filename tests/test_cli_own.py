"""The command line on a user's own images, as pictures and as arrays, and what it says of itself."""

import json

import numpy as np
import pytest
from PIL import Image

from zoo.data import load_arrays

NUMBER = 5


@pytest.fixture
def images(tmp_path):
    """A folder of five digits."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(load_arrays("digits", "test", limit=NUMBER)["x"]):
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def files(images, tmp_path):
    """The same digits as a folder, an .npy file and an .npz file."""
    x = load_arrays(images, "all")["x"]
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(NUMBER))
    return images, tmp_path / "x.npy", tmp_path / "x.npz"


def read(path):
    with np.load(path) as arrays:
        return dict(arrays)


def test_codes_are_those_of_the_model(zoo, run_folder, files, tmp_path):
    from zoo import load

    model = load(run_folder)
    z = model.encode(load_arrays(files[0], "all")["x"])
    for file in files:
        code, out, _ = zoo("encode", run_folder, "--input", file, "--output", tmp_path / "codes.npz")
        assert code == 0 and "z [5, 2]" in out
        arrays = read(tmp_path / "codes.npz")
        np.testing.assert_allclose(arrays["z"], z, rtol=1e-5, atol=1e-6)
        assert arrays["z_scale"].shape == (NUMBER, 2)
    assert zoo("encode", run_folder, "--count", 3, "--output", tmp_path / "codes.npy")[0] == 0
    assert np.load(tmp_path / "codes.npy").shape == (3, 2)


def test_scores_have_the_names_of_the_files(zoo, run_folder, files, tmp_path):
    images, _, arrays = files
    rows = json.loads(zoo("score", run_folder, "--input", images, "--num-samples", 50, "--json")[1])
    assert list(rows) == [f"{i}.png" for i in range(NUMBER)]
    assert all(row["elbo"] <= row["log_marginal"] < 0 for row in rows.values())
    code, out, _ = zoo("score", run_folder, "--input", arrays, "--num-samples", 50)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list("01234")
    assert f"log p(x) {rows['0.png']['log_marginal']:.2f}" in out
    assert zoo("score", run_folder, "--input", images, "--num-samples", 50, "--output", tmp_path / "s.npz")[0] == 0
    np.testing.assert_allclose(read(tmp_path / "s.npz")["elbo"], [row["elbo"] for row in rows.values()], rtol=1e-6)
    assert list(json.loads(zoo("score", run_folder, "--input", images / "3.png", "--json")[1])) == ["3.png"]


def test_reconstructions_of_ones_own_are_pictures_or_arrays(zoo, run_folder, files, tmp_path):
    from zoo import load

    for file in files:
        assert zoo("reconstruct", run_folder, "--input", file, "--output", tmp_path / "a.png")[0] == 0
        with Image.open(tmp_path / "a.png") as image:
            assert image.width > 2 * image.height, "five columns of two"
        assert zoo("reconstruct", run_folder, "--input", file, "--output", tmp_path / "a.npz")[0] == 0
        arrays = read(tmp_path / "a.npz")
        assert arrays["x"].shape == arrays["reconstruction"].shape == (NUMBER, 8, 8, 1)
        expected = load(run_folder).reconstruct(arrays["x"])
        np.testing.assert_allclose(arrays["reconstruction"], expected, rtol=1e-5, atol=1e-6)


def test_draws_are_pictures_or_arrays(zoo, run_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for format in ("npy", "npz", "png"):
        assert zoo("sample", run_folder, "--count", 7, "--format", format)[0] == 0
    drawn = np.load("samples.npy")
    assert drawn.shape == (7, 8, 8, 1) and 0 <= drawn.min() < drawn.max() <= 1
    np.testing.assert_array_equal(read("samples.npz")["x"], drawn)
    with Image.open("samples.png") as image:
        assert image.format == "PNG"


@pytest.mark.parametrize("command", ["reconstruct", "encode", "score"])
def test_images_that_do_not_fit_are_one_line(zoo, run_folder, images, tmp_path, command):
    def refused(said):
        code, _, lines = zoo(command, run_folder, "--input", images, "--output", tmp_path / "a.npz")
        assert (code, len(lines)) == (2, 1), lines
        assert said in lines[0]

    Image.fromarray(np.zeros((8, 9), "uint8")).save(images / "5.png")
    refused("one size")
    for file in images.iterdir():
        Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(file)
    refused("x has shape (8, 8, 3), the model takes (8, 8, 1)")
    for file in images.iterdir():
        file.write_bytes(b"no image")
    refused("0.png")
    for file in images.iterdir():
        file.unlink()
    refused("no PNG, JPEG")
    assert not (tmp_path / "a.npz").exists()


def test_a_model_that_needs_labels_says_where_they_are_from(zoo, images, files, tmp_path):
    from support import small

    from zoo import save

    home = tmp_path / "labelled"
    save(small("conditional_vae", data_shape=(8, 8, 1), num_classes=10), home)
    code, _, lines = zoo("encode", home, "--input", images, "--output", tmp_path / "a.npz")
    assert (code, len(lines)) == (2, 1) and "as y" in lines[0]
    for command in ("encode", "score", "reconstruct"):
        assert zoo(command, home, "--input", files[2], "--output", tmp_path / "a.npz")[0] == 0
    assert zoo("sample", home, "--count", 4, "--output", tmp_path / "a.npz")[0] == 0
    assert read(tmp_path / "a.npz")["y"].tolist() == [0, 1, 2, 3]


# ---------------------------------------------------------------- what it says of itself


def test_the_version_is_the_package_s(zoo):
    import zoo as package

    assert zoo("--version") == (0, f"{package.__version__}\n", [])


def test_an_empty_list_says_so(zoo):
    for kind in ([], ["--pretrained"], ["--recipes"], ["--parts"]):
        code, out, _ = zoo("list", *kind, "nothing*")
        assert code == 0 and out.startswith("nothing is called like 'nothing*'")
    assert json.loads(zoo("list", "nothing*", "--json")[1]) == []


def test_a_run_goes_on_for_longer_as_if_it_had_always_been_so_long(zoo, run_folder, tmp_path):
    import shutil

    from conftest import SMALL

    short = shutil.copytree(run_folder, tmp_path / "short")
    code, out, _ = zoo("train", "--resume", short, "--epochs", 4)
    assert code == 0 and "3/4  ELBO" in out and "2/4" not in out
    assert zoo("train", "vae", "--dataset", "digits", "--epochs", 4, "--output", tmp_path / "long", *SMALL)[0] == 0
    logs = [(folder / "log.csv").read_text() for folder in (short, tmp_path / "long")]
    assert logs[0] == logs[1]
    card = json.loads((short / "card.json").read_text())
    assert (card["epochs_trained"], card["recipe"]["epochs"]) == (4, 4)
    assert zoo("train", "--resume", short)[0] == 0, "the longer run is what goes on from now on"


def test_errors_of_the_system_are_words(zoo, run_folder, tmp_path):
    (tmp_path / "file").touch()
    for arguments in (
        ["sample", run_folder, "--output", tmp_path / "file" / "a.npz"],
        ["export", run_folder, "--output", tmp_path / "file"],
        ["train", "vae", "--output", tmp_path / "file" / "run"],
    ):
        code, _, lines = zoo(*arguments)
        assert (code, len(lines)) == (2, 1), lines
        assert "Errno" not in lines[0] and str(tmp_path / "file") in lines[0], lines
