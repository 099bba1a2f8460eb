"""Colour images: a convolutional VAE of 8-bit levels on 32x32x3."""

import numpy as np
import pytest

import zoo
from zoo import data
from zoo.pictures import canvas


def colour_images(count):
    """uint8 [count, 32, 32, 3]: the part of CIFAR-10 where it is prepared, else discs of random colours and places."""
    if "cifar10_first4k" in data.list_datasets():
        return data.load_arrays("cifar10_first4k", limit=count)["x"]
    random = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1)
    distance = np.linalg.norm(places - random.uniform(8, 24, (count, 1, 1, 2)), axis=-1, keepdims=True)
    inside, outside = random.integers(0, 256, (2, count, 1, 1, 3))
    return np.where(distance < 8, inside, outside).astype("uint8")


@pytest.fixture(scope="module")
def images():
    return colour_images(256)


@pytest.fixture(scope="module")
def trained(images):
    """(model, loss of each epoch)."""
    encoder = {"name": "conv", "filters": [16, 16, 16], "hidden_units": [64]}
    settings = {"data_shape": (32, 32, 3), "latent_dim": 8, "likelihood": "discretized_logistic"}
    model = zoo.create("vae", encoder=encoder, **settings)
    model.adapt(zoo.load_dataset(images))
    model.compile("adam")
    model.optimizer.learning_rate = 3e-3
    return model, model.fit(images, batch_size=32, epochs=15, verbose=0).history["loss"]


@pytest.mark.slow
def test_the_loss_falls_below_that_of_uniform_pixels(trained):
    _, losses = trained
    assert losses[-1] < losses[0]
    assert losses[-1] < 32 * 32 * 3 * np.log(256)


def test_draws_are_8_bit_colours(trained):
    model, _ = trained
    draws = model.sample(4, seed=0).numpy()
    assert draws.shape == (4, 32, 32, 3)
    np.testing.assert_allclose(draws * 255, np.round(draws * 255), atol=1e-4)
    assert draws.min() >= 0
    assert draws.max() <= 1


def test_reconstructions_are_nearer_than_the_mean_image(trained, images):
    model, _ = trained
    x = images / 255.0
    error = np.mean((np.asarray(model.reconstruct(images)) - x) ** 2)
    assert error < np.mean((x.mean(0) - x) ** 2)


def test_bits_per_dimension_are_reported(trained, images):
    model, _ = trained
    metrics = zoo.evaluate(model, images[:32], num_samples=10)
    assert 0 < metrics["bits_per_dim"]["value"] < 8


def test_a_picture_shows_the_colours(images):
    picture = canvas.grid(images[:4] / 255.0, columns=2)
    assert picture.shape[-1] == 3
    gap = canvas.GAP
    np.testing.assert_array_equal(picture[gap : gap + 32, gap : gap + 32], images[0])


def test_train_models_colours_as_levels(images, tmp_path):
    from zoo.training.defaults import suggest

    np.savez(tmp_path / "colours.npz", x=images)
    config, _ = suggest("vae", {"name": str(tmp_path / "colours.npz")})
    assert config == {"data_shape": [32, 32, 3], "likelihood": "discretized_logistic", "encoder": "conv"}


@pytest.mark.parametrize("name", ["vae", "deep_vae"])
def test_a_mixture_of_one_channel_takes_missing_values(name):
    from support import small

    model = small(name, data_shape=(8, 8, 1), likelihood="discretized_logistic_mixture", masked=True, seed=0)
    x = np.random.RandomState(0).randint(0, 256, (3, 8, 8, 1)).astype("float32") / 255
    mask = np.ones_like(x)
    whole = model({"x": x, "mask": mask}, seed=1).log_likelihood["x"]
    assert np.isfinite(whole).all()
    halves = []
    for part in (slice(4), slice(4, None)):
        mask = np.zeros_like(x)
        mask[:, part] = 1
        inputs = {"x": x, "mask": np.ones_like(x)}
        p = model(inputs, seed=1, needs=())
        halves.append(model.score(p.likelihood, {"x": x, "mask": mask})["x"])
    np.testing.assert_allclose(sum(halves), whole, rtol=1e-4)
