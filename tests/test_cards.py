"""Cards: what is written in Markdown is what was measured."""

import json
import pathlib

import pytest

from zoo import pretrained
from zoo.files import write_json
from zoo.presets import list_presets, read_preset
from zoo.pretrained import cards

ROOT = pathlib.Path(__file__).parent.parent
NAMES = pretrained.list_pretrained()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_complete_and_its_readme_says_the_same(name):
    home, card = pretrained.locate(name), pretrained.read_card(name)
    assert (home / "README.md").read_text() == cards.readme(home, card)
    for key in ("data", "recipe", "command", "seed", "date", "versions", "metrics", "probe", "tflite", "evaluation"):
        assert card[key] or card[key] == 0, key
    for metric in ("nll", "elbo", "reconstruction", "kl"):
        assert card["metrics"][metric]["standard_error"] > 0
    assert (home / "1" / "saved_model.pb").is_file()


def config_of(preset):
    """The config of the model that a preset trains, through what it starts from."""
    start = preset.get("start")
    if start is None:
        return {"seed": 0, **preset["config"]}
    return {**config_of(start if isinstance(start, dict) else read_preset(start)), **preset.get("config", {})}


@pytest.mark.parametrize("name", NAMES)
def test_a_pretrained_model_is_what_its_preset_trains(name):
    card, preset = pretrained.read_card(name), read_preset(name)
    assert card["model"] == preset["model"]
    assert card["config"] == config_of(preset)
    assert card.get("start") == preset.get("start")
    assert card["data"].items() >= preset["data"].items()
    assert card["recipe"].items() >= preset["recipe"].items()
    for key in cards.SAID_BY_PRESET:
        assert card.get(key, None) == preset.get(key, card.get(key))


def test_every_preset_has_a_pretrained_model():
    assert list_presets() == NAMES


def test_the_tables_of_the_readme_are_those_of_the_cards_and_benchmarks():
    assert (ROOT / "README.md").read_text() == cards.with_tables(ROOT / "README.md")


def test_a_missed_target_is_called_missed():
    card = {"target": {"nll": 85.0}, "metrics": {"nll": {"value": 85.01}}}
    assert "missed (85.01)" in cards.target_lines(card)[0]
    card["metrics"]["nll"]["value"] = 85.0
    assert "met (85.00)" in cards.target_lines(card)[0]


def test_means_over_runs_stand_beside_an_evaluation(tmp_path, monkeypatch):
    card = {**pretrained.read_card("vae_mnist"), "name": "a_copy"}
    monkeypatch.setattr(pretrained.store, "folder", lambda: tmp_path)
    write_json(tmp_path / "a_copy" / "card.json", card)
    mean = {"value": 85.5, "standard_error": 0.1, "num_examples": 10_000, "num_samples": 50, "num_runs": 3}
    for value in (85.5, 85.4):
        cards.record("a_copy", {"nll_3_runs": {**mean, "value": value}}, None, "a command", "test, of 3 seeds")
    now = json.loads((tmp_path / "a_copy" / "card.json").read_text())
    assert now["metrics"].pop("nll_3_runs")["value"] == 85.4 and now["metrics"] == card["metrics"]
    assert now["probe"] == card["probe"] and now["evaluation"].pop("runs")["command"] == "a command"
    assert now["evaluation"] == card["evaluation"]
    assert "| nll_3_runs | 85.400 | 0.100 | 10000 | 3 runs, 50 |" in (tmp_path / "a_copy" / "README.md").read_text()
