"""Saved models: what is written is what is read, or a clear refusal."""

import errno
import json
import pathlib
import shutil

import numpy as np
import pytest
from support import of_today, random_batch, seed, small, tiered

import zoo
from zoo import evaluation, pretrained
from zoo.data import describe_dataset
from zoo.errors import CannotWrite, InvalidInput, OutputExists

PRETRAINED = zoo.list_pretrained()


@pytest.fixture(scope="module")
def original():
    return small("vae")


@pytest.fixture
def saved(original, tmp_path):
    """A folder with a model; tests may spoil it."""
    zoo.save(original, tmp_path / "vae_tiny", card={"seed": 3})
    return tmp_path / "vae_tiny"


def change_card(folder, **entries):
    path = folder / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, **entries}))
    return card


def refused(folder, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        zoo.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", zoo.list_models())
def test_loading_gives_the_model_that_was_saved(name, tmp_path):
    model = small(name, binarize="dynamic", beta=0.5)
    card = zoo.save(model, tmp_path / "m", card={"seed": 3})
    assert (card["model"], card["name"], card["seed"]) == (name, "m", 3)
    copy = zoo.load(tmp_path / "m")
    assert json.loads(json.dumps(copy.get_config())) == json.loads(json.dumps(model.get_config()))
    for expected, actual in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, actual)
    x = random_batch(model)
    np.testing.assert_array_equal(copy(x, seed=seed(1)).log_weight, model(x, seed=seed(1)).log_weight)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["card.json", "model.weights.h5"]


def test_a_model_is_replaced_only_when_asked(saved, original):
    with pytest.raises(OutputExists, match="already holds a model"):
        zoo.save(original, saved)
    other = small("vae", latent_dim=5)
    zoo.save(other, saved, overwrite=True)
    assert zoo.load(saved).latent_dim == 5


def test_weights_with_another_checksum_are_not_opened(saved):
    weights = saved / "model.weights.h5"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused(saved, "SHA-256 differs")


@pytest.mark.parametrize("place", ["../other.weights.h5", "sub/other.weights.h5", "absolute", "..", "."])
def test_a_card_that_points_outside_its_folder_is_refused(place, saved):
    outside = saved.parent / "other.weights.h5"
    shutil.copy(saved / "model.weights.h5", outside)
    (saved / "sub").mkdir()
    shutil.copy(outside, saved / "sub")
    card = change_card(saved)
    change_card(saved, weights={**card["weights"], "file": str(outside) if place == "absolute" else place})
    refused(saved, "outside its folder|no weights file")


def test_a_link_that_leads_outside_the_folder_is_refused(saved):
    outside = saved.parent / "other.weights.h5"
    shutil.move(saved / "model.weights.h5", outside)
    (saved / "model.weights.h5").symlink_to(outside)
    refused(saved, "outside its folder")


def test_missing_weights_are_refused(saved):
    (saved / "model.weights.h5").unlink()
    refused(saved, "no weights file")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"format": 2}, "format 1"),
        ({"model": "vea"}, "unknown model 'vea'; did you mean"),
        ({"config": {"latent_dims": 3}}, "did you mean latent_dim"),
        ({"config": None}, "lacks one of"),
        ({"weights": None}, "lacks one of"),
        ({"weights": {"file": "model.weights.h5"}}, "file and sha256"),
        ({"weights": {"file": "model.weights.h5", "sha256": 3}}, "file and sha256"),
        ({"model": ["vae"]}, "lacks one of"),
    ],
    ids=str,
)
def test_a_damaged_card_is_one_line(entries, message, saved):
    change_card(saved, **entries)
    refused(saved, message)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_a_card_that_is_no_card_is_one_line(text, saved):
    (saved / "card.json").write_text(text)
    refused(saved, "not valid JSON|not a card")


def test_unknown_names_offer_the_nearest(saved, monkeypatch):
    monkeypatch.setattr(pretrained.store, "folder", lambda: saved.parent)
    assert zoo.list_pretrained("vae*") == ["vae_tiny"]
    assert zoo.list_pretrained("lvae*") == []
    assert zoo.load("vae_tiny").latent_dim == 3
    refused("vae_tinny", "unknown pretrained model 'vae_tinny'; did you mean vae_tiny")
    refused(saved.parent, "holds no card.json")


def test_a_card_without_weights_is_a_recipe(saved, monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained.store, "folder", lambda: saved.parent)
    card = json.loads((saved / "card.json").read_text())
    data = {"name": "digits", "version": "1", "protocol": "as it is"}
    wanted = {**{key: card[key] for key in ("format", "model", "config")}, "data": data, "recipe": {"epochs": 3}}
    (saved.parent / "vae_planned").mkdir()
    (saved.parent / "vae_planned" / "card.json").write_text(json.dumps(wanted))
    assert zoo.list_pretrained() == ["vae_tiny"]
    assert pretrained.list_recipes() == ["vae_planned", "vae_tiny"]
    refused("vae_planned", "vae_planned has no weights yet: train it by `zoo train --preset vae_planned`")
    preset = pretrained.preset("vae_planned")
    assert preset == {"model": "vae", "config": card["config"], "data": {"name": "digits"}, "recipe": {"epochs": 3}}


def test_a_preset_is_a_card_without_what_was_measured_or_follows_from_the_rest(tmp_path):
    for name in PRETRAINED:
        card, preset = pretrained.read_card(name), pretrained.preset(name)
        assert preset.keys() <= {*pretrained.store.PRESET} and preset["model"] == card["model"]
        assert {**preset["config"], "seed": card["seed"]} == card["config"]
    (tmp_path / "own.json").write_text(json.dumps({"model": "vae"}))
    assert pretrained.preset(tmp_path / "own.json") == {"model": "vae"}


def test_nothing_is_half_written_when_saving_fails(saved, original, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    other = small("vae", latent_dim=5)

    def failing(path, content):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.raises(TypeError):
        zoo.save(other, saved, card={"seed": object()}, overwrite=True)
    monkeypatch.setattr(pathlib.Path, "write_bytes", failing)
    for folder in (saved, saved.parent / "new"):
        with pytest.raises(CannotWrite, match=f"cannot write {folder}/model.*h5: No space left on device"):
            zoo.save(other, folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert zoo.load(saved).latent_dim == 3
    assert not list((saved.parent / "new").iterdir())


# ---------------------------------------------------------------- the models that come with the zoo


@pytest.mark.parametrize("name", tiered(PRETRAINED, of_today(PRETRAINED).__contains__))
def test_a_pretrained_model_still_has_the_numbers_of_its_card(name):
    """The probe is a small evaluation, with its seed, stored when the model was evaluated."""
    model, card = zoo.load(name), pretrained.read_card(name)
    assert card["name"] == name
    assert "metrics" in card
    try:
        data = evaluation.test_data(model, card["data"])
    except InvalidInput as error:
        pytest.skip(f"{card['data']['name']} is not prepared here: {error}")
    assert describe_dataset(card["data"]["name"])["version"] == card["data"]["version"]
    now, then = evaluation.probe(model, data, card["probe"]), card["probe"]
    assert {k: now[k] for k in now if k != "value"} == {k: then[k] for k in then if k != "value"}
    assert now["value"] == pytest.approx(then["value"], abs=1e-2)


def test_pretrained_models_are_small_enough_for_a_repository():
    sizes = {path: path.stat().st_size for path in pretrained.folder().rglob("*") if path.is_file()}
    assert sum(size for path, size in sizes.items() if path.suffix == ".h5") < 120e6
    large = [str(path) for path, size in sizes.items() if size > 100e6]
    assert not large, "GitHub refuses these files"
