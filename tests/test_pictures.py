"""Pictures: of every kind that a model can give, refused in one line where it cannot."""

import json

import numpy as np
import pytest
from scipy.stats import norm
from support import small

import zoo
from zoo import pictures
from zoo.errors import InvalidInput
from zoo.pictures.drawing import Subject
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
        ("kl", {}, "no log.csv: it was not written by `zoo train`"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(kind, settings, message, tmp_path):
    home = saved("mixture_prior_vae", tmp_path / "m")
    with pytest.raises(InvalidInput, match=message) as caught:
        pictures.draw(home, kind, tmp_path / "a.png", **settings)
    assert "\n" not in str(caught.value)


def test_a_model_without_latents_shows_none(tmp_path):
    zoo.save(small("rnn_baseline"), tmp_path / "m", card={"data": {"name": "digits"}})
    with pytest.raises(InvalidInput, match="a rnn_baseline has no latents to show"):
        pictures.draw(tmp_path / "m", "latents", tmp_path / "a.png")


def test_a_plane_is_even_in_the_probability_of_the_prior():
    places = norm.cdf(plane(small("vae", latent_dim=2), 4)).reshape(4, 4, 2)
    np.testing.assert_allclose(places[0, :, 0], [0.125, 0.375, 0.625, 0.875], atol=1e-6)
    np.testing.assert_allclose(places[:, 0, 1], [0.875, 0.625, 0.375, 0.125], atol=1e-6)
    moved = plane(small("flow_prior_vae", latent_dim=2), 4)
    assert np.abs(norm.cdf(moved).reshape(4, 4, 2) - places).max() > 1e-3


def labels_of(kind, home, **settings):
    """(the labels of the rows, those of the columns) of a picture."""
    axis = PICTURES[kind](Subject(home), **settings).axes[0]
    return [[text.get_text() for text in ticks] for ticks in (axis.get_yticklabels(), axis.get_xticklabels())]


def test_rows_of_levels_and_traversals_say_what_they_show(tmp_path):
    rows, _ = labels_of("levels", saved("lvae", tmp_path / "deep"), count=2)
    assert rows == ["test images", "all levels", "top level", "no level"]
    home = saved("vae", tmp_path / "flat")
    rows, columns = labels_of("traversals", home, count=2, steps=3)
    assert sorted(rows) == ["unit 0", "unit 1"] and columns == ["-3", "0", "3"]
    assert len(labels_of("traversals", home, count=1, steps=3)[0]) == 1


def test_traversals_move_a_unit_by_the_spread_of_its_codes(tmp_path, monkeypatch):
    subject, shown = Subject(saved("vae", tmp_path / "flat")), []
    decode, spread = subject.model.decode, np.array([5.0, 0.1])
    codes = np.float32([7.0, -1.0] + spread * np.random.default_rng(0).normal(size=(200, 2)))
    monkeypatch.setattr(subject.model, "encode", lambda x: codes)
    monkeypatch.setattr(subject.model, "decode", lambda z: shown.append(z) or decode(z))
    PICTURES["traversals"](subject, count=2, steps=3)
    (moved,) = shown
    for rows, unit in ((moved[:3], 0), (moved[3:], 1)):
        mean, deviation = codes[:, unit].mean(), codes[:, unit].std()
        np.testing.assert_allclose(rows[:, unit], mean + np.array([-3, 0, 3]) * deviation, rtol=1e-4)
        np.testing.assert_array_equal(rows[:, 1 - unit], codes[0, 1 - unit])


@pytest.mark.parametrize(
    ("log", "stages", "said"),
    [
        ("", [], "is no log of a training"),
        ("epoch,elbo\n", [], "is no log of a training"),
        ("epoch,elbo\n0\n", [], "is no log of a training"),
        ("epoch,elbo\n0,much\n", [], "has numbers, got 'much'"),
        ("epoch,elbo\n0,-1.5\n", [{"name": "../up"}], "a stage has a name of letters"),
        ("epoch,elbo\n0,-1.5\n", ["first"], "an entry of stages is str"),
    ],
)
def test_a_log_that_is_none_is_refused(log, stages, said, tmp_path):
    home = saved("vae", tmp_path / "flat")
    (home / "log.csv").write_text(log)
    card = json.loads((home / "card.json").read_text())
    (home / "card.json").write_text(json.dumps({**card, "stages": stages}))
    with pytest.raises(InvalidInput, match=said):
        PICTURES["training"](Subject(home))
