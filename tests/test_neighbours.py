"""Native to its neighbours: Keras' door to the Hub, KerasHub's presets, weights of keras.applications, timm's table."""

import csv
import io
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest
import yaml
from support import small

import zoo as package
from zoo.errors import InvalidInput
from zoo.files import write_json
from zoo.models.base import LatentVariableModel
from zoo.models.vae import VAE
from zoo.pretrained import fetch, hub, locate, read_card


@pytest.fixture(scope="module")
def pushed(run_folder, tmp_path_factory):
    """A folder as `zoo push` sends it, without exports and pictures."""
    home = tmp_path_factory.mktemp("hub") / "digits"
    home.mkdir()
    card, weights = read_card(run_folder), fetch(run_folder)
    shutil.copy(weights, home)
    write_json(home / "card.json", card)
    entry = hub.write_keras_files(package.load(home), home, weights.name)
    write_json(home / "card.json", {**card, "weights": entry})
    return home


def test_keras_loads_what_was_pushed_from_the_hub_s_address(pushed, run_folder, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo_id, **_: asked.append(repo_id) or str(pushed))
    (pushed / "README.md").touch()
    (pushed / "samples.png").touch()
    model = keras.saving.load_model("hf://me/digits")
    assert asked == ["me/digits"] and isinstance(model, VAE)
    x = package.load_dataset("digits", "test", batch_size=5).take(1).get_single_element()["x"]
    for other in (package.load(pushed), package.load(run_folder)):
        np.testing.assert_allclose(model.encode(x), other.encode(x), rtol=1e-6)


def test_the_page_has_what_the_hub_indexes(pushed):
    (pushed / "samples.png").touch()
    head = yaml.safe_load(hub.hub_page(pushed, read_card(pushed), "hf://me/digits").split("---\n")[1])
    assert head["datasets"] == ["digits"] and head["pipeline_tag"] == hub.IMAGES
    assert head["widget"] == [{"text": "draws", "output": {"url": "samples.png"}}]


def test_presets_are_kerashub_s(run_folder, tmp_path):
    model = VAE.from_preset(str(run_folder))
    model.save_to_preset(str(tmp_path / "mine"))
    again = LatentVariableModel.from_preset(str(tmp_path / "mine"))
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])
    fresh = VAE.from_preset(str(run_folder), load_weights=False)
    assert [w.shape for w in fresh.weights] == [w.shape for w in model.weights]
    assert type(VAE.from_preset("vae_mnist_2d")) is VAE
    with pytest.raises(InvalidInput, match="lvae_mnist is a LVAE, and no VAE: zoo.load takes any"):
        VAE.from_preset("lvae_mnist")


def test_weights_are_keras_applications_s(run_folder, tmp_path):
    loaded = package.load(run_folder)
    for weights in (str(run_folder), run_folder):
        np.testing.assert_array_equal(package.create("vae", weights=weights).get_weights()[0], loaded.get_weights()[0])
    assert package.create("iwae", weights=run_folder, num_samples=5).num_samples == 5
    model = small("vae")
    config = model.get_config()
    for name in ("a.weights.h5", "a.keras"):
        model.save_weights(tmp_path / name) if name.endswith("h5") else model.save(tmp_path / name)
        again = package.create("vae", weights=tmp_path / name, **config)
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(InvalidInput, match="did you mean vae_mnist"):
        package.create("vae", weights="vae_mnits")
    with pytest.raises(InvalidInput, match="no file 'none.keras'"):
        package.create("vae", weights="none.keras")


def test_a_summary_has_shapes_and_no_numbers_of_the_optimiser(capsys):
    model = small("vae")
    model.compile("adam")
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "?" not in text.split("prior")[0] and "(None, 3)" in text and "(None, 4, 4, 1)" in text
    assert "Optimizer" not in text and model.compiled


def test_the_table_of_results_says_what_the_cards_say(zoo):
    from tools.refresh import RESULTS

    code, out, _ = zoo("list", "--csv")
    assert code == 0 and RESULTS.read_text() == out, "python -m tools.refresh writes it"
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(out))}
    assert list(rows) == package.list_pretrained()
    row, card = rows["vae_mnist"], read_card("vae_mnist")
    assert (row["nll"], row["nll_error"], row["active_units"], row["units"]) == ("85.2799", "0.22", "24", "40")
    assert float(row["megabytes"]) == pytest.approx(card["weights"]["bytes"] / 1e6, abs=0.01)
    model = package.load(locate("vae_mnist"))
    assert int(row["parameters"]) == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert zoo("list", "--csv", "vrnn")[1].count("\n") == 1 + sum("vrnn" in name for name in rows)


def test_tensorflow_probability_is_imported_in_one_place():
    root = pathlib.Path(package.__file__).parent
    importing = [
        p.name for p in root.rglob("*.py") if re.search(r"^\s*(import|from) tensorflow_prob", p.read_text(), re.M)
    ]
    assert importing == ["probability.py"]
