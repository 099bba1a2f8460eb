"""Defaults that fit the data: what `zoo train` chooses, and that six hundred drawn shapes come out as shapes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

import zoo as package
from zoo.data import load_arrays, write_wav
from zoo.training.defaults import passes_for, suggest

SIDE, FINER = 32, 4
FILLS = {"circles": np.pi / 4, "squares": 1.0, "triangles": 0.5}  # of the box around a shape


def draw_shapes(folder, count, seed=0):
    """`count` white shapes of each kind on black, 32x32, of any place and size, a folder a kind."""
    random, whole = np.random.RandomState(seed), FINER * SIDE
    for kind in FILLS:
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            image = Image.new("L", (whole, whole))
            half = random.uniform(0.22, 0.36) * whole
            x, y = random.uniform(half + FINER, whole - half - FINER, 2)
            pen, box = ImageDraw.Draw(image), [x - half, y - half, x + half, y + half]
            if kind == "circles":
                pen.ellipse(box, fill=255)
            elif kind == "squares":
                pen.rectangle(box, fill=255)
            else:
                pen.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=255)
            image.resize((SIDE, SIDE), Image.LANCZOS).save(folder / kind / f"{number:03}.png")


def kinds(images):
    """int [M]: the shape whose share of the box around it is nearest, of those of images [N, H, W, 1] that show one."""
    found = []
    inside = np.asarray(images)[..., 0] > 0.5
    for on in inside[inside.any((1, 2))]:
        rows, columns = np.flatnonzero(on.any(1)), np.flatnonzero(on.any(0))
        box = np.ptp(rows) + 1, np.ptp(columns) + 1
        found.append(on.sum() / np.prod(box))
    return np.abs(np.array(found)[:, None] - list(FILLS.values())).argmin(1)


@pytest.mark.slow
def test_six_hundred_pictures_in_three_folders_come_out_as_three_shapes(zoo, tmp_path):
    draw_shapes(tmp_path / "shapes", 200)
    code, out, _ = zoo("train", "vae", "--dataset", tmp_path / "shapes", "--output", tmp_path / "run")
    assert code == 0
    assert "conv networks" in out and "batches of 16" in out
    held_out = load_arrays(tmp_path / "shapes", "test", labels=True)
    np.testing.assert_array_equal(kinds(held_out["x"] / 255), held_out["y"])
    model = package.load(tmp_path / "run")
    assert np.mean(kinds(model.reconstruct(held_out["x"])) == held_out["y"]) > 0.85
    drawn = np.bincount(kinds(model.sample(200, seed=0, mean=True)), minlength=3)
    assert drawn.min() >= 10, drawn


def test_a_picture_of_reconstructions_shows_every_class(tmp_path):
    from zoo.pictures.drawing import spread

    assert spread(60, 10).tolist() == [0, 7, 13, 20, 26, 33, 39, 46, 52, 59]
    assert spread(3, 10).tolist() == [0, 1, 2]


def test_pictures_get_convolutions_and_tables_small_networks(tmp_path):
    draw_shapes(tmp_path / "shapes", 10)
    config, recipe = suggest("vae", {"name": str(tmp_path / "shapes")})
    assert config == {"data_shape": [32, 32, 1], "binarize": "dynamic", "encoder": "conv"}
    assert recipe["batch_size"] == 16
    assert "encoder" not in suggest("deep_vae", {"name": str(tmp_path / "shapes")})[0]
    np.savetxt(tmp_path / "table.csv", np.random.RandomState(0).randn(300, 6), delimiter=",")
    config, _ = suggest("vae", {"name": str(tmp_path / "table.csv")})
    assert config == {
        "data_shape": [6],
        "likelihood": {"name": "normal", "scale": "learned"},
        "encoder": {"name": "mlp", "hidden_units": [64, 64]},
        "latent_dim": 3,
    }


def test_sounds_get_the_mixture_that_the_docs_promise(tmp_path):
    for number in range(12):
        write_wav(tmp_path / f"{number}.wav", np.random.RandomState(number).uniform(-0.5, 0.5, 2000), 8000)
    config, _ = suggest("vrnn", {"name": str(tmp_path)})
    assert config == {"data_shape": [None, 200], "likelihood": "normal_mixture"}


def test_named_data_keep_the_defaults_of_the_models():
    assert suggest("vae", {"name": "digits"}) == ({"data_shape": [8, 8, 1], "binarize": "dynamic"}, {})


@pytest.mark.parametrize(
    ("rows", "asked", "found"),
    [
        (10_000, {}, {}),
        (2_000, {}, {"batch_size": 32}),
        (480, {}, {"batch_size": 16, "epochs": 100}),
        (5, {}, {"batch_size": 5, "epochs": 200}),
        (480, {"epochs": 3}, {"batch_size": 16}),
        (480, {"batch_size": 100}, {}),
    ],
)
def test_few_rows_get_small_batches_and_many_passes(rows, asked, found):
    assert passes_for(rows, asked) == found
