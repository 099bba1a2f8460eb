"""Cards: what is written in Markdown is what was measured."""

import json
import pathlib
import re

import pytest
from typer.testing import CliRunner

from tools import publish, refresh, tables
from zoo import pretrained
from zoo.cli import app
from zoo.files import write_json
from zoo.pictures import Subject
from zoo.pretrained import cards, page
from zoo.pretrained.headline import headline
from zoo.registry import PICTURES

ROOT = pathlib.Path(__file__).parent.parent
NAMES = pretrained.list_pretrained()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_complete_and_its_page_says_the_same(name):
    home, card = pretrained.locate(name), pretrained.read_card(name)
    assert (home / "README.md").read_text() == page.page(home, card)
    said = (
        "data",
        "recipe",
        "chosen_on",
        "command",
        "seed",
        "date",
        "versions",
        "metrics",
        "probe",
        "tflite",
        "evaluation",
        "timing",
    )
    for key in said:
        assert card[key] or card[key] == 0, key
    for metric in ("nll", "elbo", "reconstruction", "kl"):
        measured = card["metrics"][metric]
        assert measured["standard_error"] > 0 or (card["model"], metric, measured["value"]) == ("rnn_baseline", "kl", 0)
    assert card["command"] == f"zoo train --preset {name}"
    assert (home / "1" / "saved_model.pb").is_file()


def test_a_model_has_one_headline_number_wherever_models_are_listed():
    listed = CliRunner().invoke(app, ["list", "--pretrained"]).output
    assert "deep_vae_cifar10_first4k" not in tables.listed()
    compact = "\n".join(tables.compact_table())
    for name in tables.listed():
        number = tables.estimate(headline(pretrained.read_card(name)).entry)
        assert re.search(
            rf"\[{name}\]\({name}\) \|[^|]*\|[^|]*\| {re.escape(number)}", "\n".join(tables.pretrained_table())
        )
        assert f"[{name}]" not in compact or f"[{name}]({name}) | {number} |" in compact
        assert re.search(rf"^ *{name} .*; {re.escape(number)}(;|$)", listed, re.M), name


def test_numbers_of_two_kinds_stand_in_no_table_together():
    kinds = {name: headline(pretrained.read_card(name)).kind for name in NAMES}
    apart = [
        "vae_mnist",
        "vae_fashion_mnist",
        "vae_frey_faces_2d",
        "conditional_vae_mnist",
        "dmm_jsb",
        "vrnn_spoken_digit",
    ]
    assert len({kinds[name] for name in apart}) == len(apart)
    assert "p(x | y)" in kinds["conditional_vae_mnist"] and "p(x | y)" not in kinds["m2_mnist_100"]
    for line in tables.compact_table():
        assert len({kinds[name] for name in re.findall(r"\[(\w+)\]", line)}) <= 1


def test_published_sums_over_sums_stand_beside_ours():
    card = pretrained.read_card("dmm_jsb")
    row = next(line for line in page.reference_table(card) if "two IAF layers (sum over sum)" in line)
    assert row.endswith(f"| -6.8 | {card['metrics']['elbo_per_step']['pooled']:.2f} |")


@pytest.mark.parametrize("name", pretrained.list_recipes())
def test_a_card_trains_the_model_it_describes(name, tmp_path):
    """A card is its preset: what it trains is built from it alone, with the weights' own arguments."""
    from zoo.training.stages import stages_of

    card, preset = pretrained.read_card(name), pretrained.preset(name)
    *_, last = stages_of(tmp_path, preset)
    assert (last.model, last.config) == (card["model"], card["config"])
    assert vars(last.recipe).items() >= card["recipe"].items()
    assert preset["data"].items() <= card["data"].items() and "protocol" not in preset["data"]


def test_every_picture_beside_a_card_is_on_its_page_samples_first(tmp_path):
    card = pretrained.read_card("vae_mnist")
    for name in ("latents", "samples", "kl"):
        (tmp_path / f"{name}.png").touch()
    lines = [line for line in page.page(tmp_path, card).splitlines() if line.startswith("![")]
    assert lines == ["![samples](samples.png)", "![kl](kl.png)", "![latents](latents.png)"]


def test_what_stood_between_the_markers_is_replaced(tmp_path):
    readme = tmp_path / "README.md"
    marker = "written by python -m tools.refresh"
    sections = [f"<!-- {name}: {marker} -->\nold\n<!-- end of {name} -->\n" for name in ("bounds", "warm_up")]
    readme.write_text("before\n".join(sections))
    text = refresh.with_lists(readme)
    assert "old" not in text and "before" in text and "`elbo`" in text and "ladder" in text
    readme.write_text(text)
    assert refresh.with_lists(readme) == text


@pytest.mark.slow
def test_a_published_run_is_a_card_with_all_that_its_preset_said(tmp_path, monkeypatch):
    from zoo.training import train

    monkeypatch.setattr(pretrained, "folder", lambda: tmp_path)
    monkeypatch.setattr(publish, "measure_tflite", lambda model: {})
    config = {"data_shape": [8, 8, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}}
    data = {"name": "digits", "split": "train", "limit": 128}
    said = {"reference": [{"metric": "nll", "value": 1.0, "source": "A"}], "target": {"nll": 2.0}, "notes": ["Small."]}
    said["chosen_on"] = "validation"
    seen = {**data, "validation": "validation"}
    stage = {"name": "first", "model": "vae", "config": config, "data": seen, "recipe": {"epochs": 1}}
    preset = {"model": "iwae", "stages": [stage], "from": "first", "data": data, "recipe": {"epochs": 1}, **said}
    train(tmp_path / "run", preset, verbose=0)
    publish.publish(tmp_path / "run", "a_model")
    card, text = (
        json.loads((tmp_path / "a_model" / "card.json").read_text()),
        (tmp_path / "a_model" / "README.md").read_text(),
    )
    for key in ("reference", "target", "notes", "stages", "from"):
        assert card[key] == preset[key]
    assert card["command"] == "zoo train --preset a_model" and card["epochs_trained"] == 2
    assert "- Small." in text and "![samples](samples.png)" in text and "![kl](kl.png)" in text
    assert (tmp_path / "a_model" / "1" / "saved_model.pb").is_file()
    published = Subject(tmp_path / "a_model").epochs()
    assert [(row["epoch"], row["stage"]) for row in published] == [("0", "first"), ("1", "")]
    assert [bool(row["elbo"]) for row in published] == [True, True]
    assert [bool(row["val_elbo"]) for row in published] == [True, False]
    (elbo, *_) = PICTURES["training"](Subject(tmp_path / "a_model")).axes
    assert len(elbo.lines[0].get_xdata()) == 2 and list(elbo.lines[-1].get_xdata()) == [1.5, 1.5]


def test_a_missed_target_is_called_missed():
    card = {"target": {"nll": 85.0}, "metrics": {"nll": {"value": 85.01}}}
    assert "missed (85.01)" in page.target_lines(card)[0]
    card["metrics"]["nll"]["value"] = 85.0
    assert "met (85.00)" in page.target_lines(card)[0]


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
