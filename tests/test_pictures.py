"""Pictures: of every kind that a model can give, refused in one line where it cannot."""

import numpy as np
import pytest
from scipy.stats import norm
from support import small

import zoo
from zoo import pictures
from zoo.errors import InvalidInput
from zoo.pictures.manifold import plane
from zoo.registry import PICTURES

SIZES = {"data_shape": (8, 8, 1)}
KINDS = {
    "vae": {"samples", "reconstructions", "interpolations", "manifold", "traversals", "latents"},
    "autoencoder": {"reconstructions", "interpolations", "traversals", "latents"},
    "conditional_vae": {"samples", "reconstructions", "interpolations", "styles", "analogies", "traversals", "latents"},
    "lvae": {"samples", "reconstructions", "interpolations", "levels", "latents"},
}


def saved(name, folder, **config):
    """The folder of an untrained model of digits."""
    size = {} if name == "lvae" else {"latent_dim": 2}
    classes = {"num_classes": 10} if name == "conditional_vae" else {}
    zoo.save(small(name, **SIZES, **size, **classes, **config), folder, card={"data": {"name": "digits"}})
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_a_model_has_the_pictures_whose_needs_it_meets(name, tmp_path):
    home = saved(name, tmp_path / "m")
    for kind in PICTURES:
        path = tmp_path / f"{kind}.png"
        if kind in KINDS[name]:
            pictures.draw(home, kind, path)
            assert path.stat().st_size > 500
        else:
            with pytest.raises(InvalidInput) as caught:
                pictures.draw(home, kind, path)
            assert "\n" not in str(caught.value)
            assert not path.exists()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("manifld", {}, "did you mean manifold"),
        ("manifold", {"cuont": 3}, "did you mean count"),
        ("manifold", {"count": 0}, "count must be positive"),
        ("manifold", {}, "a GaussianMixture has no quantiles"),
        ("styles", {}, "needs a decoder that takes labels.*m2_mnist_2d"),
        ("levels", {}, "needs several stochastic levels"),
        ("kl", {}, "no kl_per_unit.csv: it was not written by `zoo train`"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(kind, settings, message, tmp_path):
    home = saved("mixture_prior_vae", tmp_path / "m")
    with pytest.raises(InvalidInput, match=message) as caught:
        pictures.draw(home, kind, tmp_path / "a.png", **settings)
    assert "\n" not in str(caught.value)


def test_a_plane_is_even_in_the_probability_of_the_prior():
    places = norm.cdf(plane(small("vae", latent_dim=2), 4)).reshape(4, 4, 2)
    np.testing.assert_allclose(places[0, :, 0], [0.125, 0.375, 0.625, 0.875], atol=1e-6)
    np.testing.assert_allclose(places[:, 0, 1], [0.875, 0.625, 0.375, 0.125], atol=1e-6)
    moved = plane(small("flow_prior_vae", latent_dim=2), 4)
    assert np.abs(norm.cdf(moved).reshape(4, 4, 2) - places).max() > 1e-3
