"""Saved models: what is written is what is read, or a clear refusal."""

import contextlib
import errno
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile

import h5py
import numpy as np
import pytest
from support import of_today, random_batch, seed, small, tiered

import zoo
from zoo import evaluation, pretrained
from zoo.data import describe_dataset
from zoo.errors import CannotWrite, InvalidInput, OutputExists
from zoo.models.weights import weights_bytes
from zoo.pretrained import store
from zoo.registry import check_classes

PRETRAINED = zoo.list_pretrained()
HERE = pathlib.Path(__file__).parent


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


@pytest.mark.parametrize("name", tiered(zoo.list_models(), ["vae", "m1_m2", "lvae", "vrnn"].__contains__))
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


def test_weights_written_before_penalties_had_a_weight_are_taken():
    model = zoo.load("m2_mnist_2d")
    np.testing.assert_allclose(float(model.penalties[0].weight), model.alpha)


def test_a_model_is_replaced_only_when_asked(saved, original):
    with pytest.raises(OutputExists, match="already holds a model"):
        zoo.save(original, saved)
    other = small("vae", latent_dim=5)
    zoo.save(other, saved, overwrite=True)
    assert zoo.load(saved).latent_dim == 5


def test_a_save_that_is_killed_at_any_write_leaves_the_old_or_the_new_model(saved, original, monkeypatch):
    """A save writes two files and removes one; each of these may be the last thing it does."""
    other, found = small("vae", latent_dim=5), []

    def counted(do, calls):
        def until(path, *arguments, **settings):
            if path.name in (*store.WEIGHTS, "card.json") and next(calls) == 0:
                raise KeyboardInterrupt
            return do(path, *arguments, **settings)

        return until

    for number in range(4):
        zoo.save(original, saved, overwrite=True)
        calls = iter(range(number, -10, -1))
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(store, "write_bytes", counted(store.write_bytes, calls))
            patch.setattr(pathlib.Path, "unlink", counted(pathlib.Path.unlink, calls))
            zoo.save(other, saved, overwrite=True)
        found.append(zoo.load(saved).latent_dim)
    assert found == [3, 3, 5, 5]


def test_forty_saves_at_once_leave_one_of_them_whole(saved):
    models = [small("vae", latent_dim=d) for d in (2, 3, 4, 5)]
    errors = []

    def save(number):
        try:
            zoo.save(models[number % 4], saved, overwrite=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=[n]) for n in range(40)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not errors
    assert zoo.load(saved).latent_dim in (2, 3, 4, 5)
    assert len(list(saved.iterdir())) == 2


def test_a_model_that_is_not_finite_is_not_saved(tmp_path):
    model = small("vae")
    model.decoder.output_layer.bias.assign(model.decoder.output_layer.bias * np.nan + np.nan)
    with pytest.raises(InvalidInput, match="weight .*bias holds NaN"):
        zoo.save(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


TENSOR = "inference_layers/diagonal_gaussian/dense/vars/1"


def with_tensor(content, change):
    """A weights file of which one tensor is another."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        values = file[TENSOR][()]
        del file[TENSOR]
        change(file, values)
    return buffer.getvalue()


DAMAGE = {
    "NaN": (lambda f, v: f.create_dataset(TENSOR, data=v * np.nan), f"{TENSOR} of .* holds NaN"),
    "dtype": (lambda f, v: f.create_dataset(TENSOR, data=v.astype("int32")), f"{TENSOR} is float32 .* has int32"),
    "shape": (lambda f, v: f.create_dataset(TENSOR, data=v[1:]), f"{TENSOR} is float32 .6., the file has float32 .5."),
    "missing": (lambda f, v: None, f"{TENSOR} is float32 .6., the file has nothing"),
    "another name": (lambda f, v: f.create_dataset(f"{TENSOR}0", data=v), "cannot be read as weights: .*dense"),
    "text": (lambda f, v: f.create_dataset(TENSOR, data="words"), f"{TENSOR} holds no numbers"),
    "a claim": (lambda f, v: f.create_dataset(TENSOR, (10**6, 10**6)), "claims more numbers than it holds"),
    "compressed": (
        lambda f, v: f.create_dataset(TENSOR, (10**5, 10**5), compression="gzip"),
        "not stored in one piece",
    ),
    "a link": (lambda f, v: f.__setitem__(TENSOR, h5py.ExternalLink("/etc/hostname", "x")), f"{TENSOR} is a link"),
}


@pytest.mark.parametrize("kind", [*DAMAGE, "cut off", "empty"])
@pytest.mark.parametrize("suffix", tiered([".weights.h5", ".keras"], {".keras"}.__contains__))
def test_damaged_weights_are_one_line_and_nothing_is_loaded(kind, suffix, original, tmp_path):
    content = weights_bytes(original)
    change, message = DAMAGE.get(kind, (None, "cannot be read as weights"))
    content = with_tensor(content, change) if change else content[: len(content) // 2 if kind == "cut off" else 0]
    path = tmp_path / f"m{suffix}"
    if suffix == ".keras":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model.weights.h5", content)
    else:
        path.write_bytes(content)
    model = small("vae", seed=7)
    before = model.get_weights()
    with pytest.raises(InvalidInput, match=message) as caught:
        model.load_weights(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    for weight, value in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)


def test_keras_checkpoints_are_written_whole_and_read_again(original, tmp_path):
    path = tmp_path / "m.weights.h5"
    original.save_weights(path)
    model = small("vae", seed=7)
    model.load_weights(path)
    for weight, value in zip(original.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)


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
        ({"config": None}, "config is NoneType"),
        ({"weights": None}, "weights is NoneType"),
        ({"weights": {"file": "model.weights.h5"}}, "file and sha256"),
        ({"weights": {"file": "model.weights.h5", "sha256": 3}}, "weights.sha256 is int"),
        ({"model": ["vae"]}, "model is list"),
    ],
    ids=str,
)
def test_a_damaged_card_is_one_line(entries, message, saved):
    change_card(saved, **entries)
    refused(saved, message)


def nested(depth):
    return [nested(depth - 1)] if depth else 1


def serialised(module, name, **config):
    return {"module": module, "class_name": name, "registered_name": None, "config": config}


LARGE = [
    ({"latent_dim": 10**9}, "latent_dim of the config .* is more than"),
    ({"latent_dim": 10**4}, "does not fit the model"),
    ({"encoder": {"name": "mlp", "hidden_units": [60_000, 60_000]}}, "a layer that gives .* numbers"),
    ({"encoder": {"name": "mlp", "hidden_units": [1] * 30_000}}, "more than 20000 entries"),
    ({"encoder": {"name": "conv", "num_blocks": 10**6}}, "num_blocks of the config .* is more than"),
    ({"data_shape": [60_000, 60_000, 1]}, "data_shape .* more than"),
    ({"num_samples": 10**6}, "num_samples of the config .* is more than"),
    ({"posterior": nested(40)}, "nested deeper than"),
    ({"posterior": "x" * 10**6}, "more than 20000 characters"),
    ({"encoder": {"name": "mlp", "activation": serialised("subprocess", "Popen", args="ls")}}, "'Popen' is not regis"),
    ({"encoder": {"name": "mlp", "activation": serialised("keras.layers", "Lambda")}}, "Lambda layer carries code"),
    ({"encoder": {"name": "mlp", "activation": serialised("keras.utils", "get_file")}}, "'get_file' is not registered"),
    ({"penalties": [{"name": "mmd", "weight": serialised("os", "system")}]}, "'system' is not registered"),
    ({"encoder": serialised("keras.layers", "StringLookup", vocabulary="/etc/passwd")}, "opens files"),
    ({"beta": "one"}, "makes no model|cannot be made"),
]


@pytest.mark.parametrize(("config", "message"), LARGE, ids=[m for _, m in LARGE])
def test_a_card_of_a_stranger_is_measured_before_anything_is_made(config, message, saved):
    card = change_card(saved)
    change_card(saved, config={**card["config"], **config})
    start = time.monotonic()
    refused(saved, message)
    assert time.monotonic() - start < 2  # a second, and the load of the machine


@pytest.mark.parametrize("name", ["a\0b.weights.h5", "x" * 5_000, "\ud800", "card.json\n"])
def test_a_weights_file_of_an_odd_name_is_refused(name, saved):
    card = change_card(saved)
    change_card(saved, weights={**card["weights"], "file": name})
    refused(saved, "outside its folder")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000, "\ud800"])
def test_an_odd_name_of_a_model_is_unknown(name):
    refused(name, "unknown pretrained model")


def test_functions_and_layers_of_keras_may_be_in_a_card_and_others_not():
    for config in (serialised("keras.layers", "LeakyReLU"), serialised("keras.src.ops.nn", "Silu")):
        check_classes([{"activation": config}])
    for bad in (
        {**serialised("keras.saving", "function"), "config": "load_model"},
        {**serialised("keras", "__typespec__"), "spec_name": "x"},
        serialised("keras.src.saving", "Anything"),
        serialised("kerasx.layers", "Dense"),
    ):
        with pytest.raises(InvalidInput, match="is not registered"):
            check_classes([{"activation": bad}])


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

    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        zoo.save(other, saved, card={"seed": object()}, overwrite=True)
    monkeypatch.setattr(pathlib.Path, "write_bytes", failing)
    for folder in (saved, saved.parent / "new"):
        with pytest.raises(CannotWrite, match=f"cannot write {folder}/model.*h5: No space left on device"):
            zoo.save(other, folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert zoo.load(saved).latent_dim == 3
    assert not list((saved.parent / "new").iterdir())


@pytest.mark.slow
def test_a_full_disk_is_one_line_whatever_is_written_and_the_process_ends_well(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    command = [sys.executable, str(HERE / "full_disk.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
    for way, said in json.loads(done.stdout.splitlines()[-1]).items():
        assert said.startswith(f"cannot write {tmp_path}") and said.endswith(": File too large"), way
    zoo.load(tmp_path / "m")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "m"]


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
    assert sum(size for path, size in sizes.items() if path.suffix == ".h5") < 150e6
    large = [str(path) for path, size in sizes.items() if size > 100e6]
    assert not large, "GitHub refuses these files"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vae_mnist", "conv_flow_prior_vae_fashion_mnist", "deep_vae_omniglot"])
def test_the_protocol_says_how_far_a_mean_moves_when_the_pixels_are_drawn_again(name):
    """The variance of an image's NLL over binarisations, by pairs of them, over the size of the test set."""
    model, data, count = zoo.load(name), pretrained.read_card(name)["data"]["name"], 100
    grey = zoo.data.load_arrays(data, "test", limit=count)["x"].astype("float32") / 255
    random = np.random.default_rng(0)
    drawn = [(random.random(grey.shape) < grey).astype("float32") for _ in range(8)]
    found = np.stack([model.log_prob(x, num_samples=20, seed=1) for x in drawn])
    info = describe_dataset(data)
    moved = np.sqrt(found.var(0, ddof=1).mean() / info["splits"]["test"])
    (said,) = re.findall(r"standard deviation of about ([\d.]+) nats", info["protocol"])
    assert moved == pytest.approx(float(said), rel=0.25)
