"""Sharing a model on the Hub, a fake `HfApi` at the boundary: what is sent, and every refusal as one line."""

import json
import shutil
import sys

import pytest
import yaml

import zoo as package
from zoo.files import write_json
from zoo.pretrained import hub, read_card

METRICS = {
    "nll": {"value": 20.5, "standard_error": 0.5, "num_examples": 100, "num_samples": 50},
    "active_units": {"value": 2, "of": 3, "num_examples": 100},
    "kl": {"value": float("nan"), "num_examples": 100},
}


class FakeHub:
    """What an `HfApi` is asked, and the folders that it was sent."""

    def __init__(self, kept):
        self.kept, self.sent, self.there, self.error = kept, {}, set(), None

    def __call__(self, **settings):
        return self

    def repo_exists(self, name):
        return name in self.there

    def create_repo(self, name, exist_ok):
        assert exist_ok or name not in self.there
        if self.error:
            raise self.error

    def upload_folder(self, repo_id, folder_path, commit_message, delete_patterns=None):
        self.sent[repo_id] = delete_patterns
        shutil.copytree(folder_path, self.kept / repo_id, dirs_exist_ok=True)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    import huggingface_hub

    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    return fake


def head_of(text):
    """(the head of a page, the page itself)."""
    _, head, page = text.split("---\n", 2)
    return yaml.safe_load(head), page


def test_the_head_of_a_page_says_every_finite_number_of_the_card():
    card = {"name": "m", "model": "vae", "config": {"data_shape": [8, 8, 1]}, "data": {"name": "a/b"}}
    data = yaml.safe_load(hub.head({**card, "metrics": METRICS, "evaluation": {"split": "validation"}}))
    assert data["library_name"] == "keras" and "vae" in data["tags"]
    [entry] = data["model-index"]
    [result] = entry["results"]
    assert entry["name"] == "m" and result["dataset"] == {"name": "b", "type": "b", "split": "validation"}
    found = {metric["name"]: (metric["value"], metric["args"]) for metric in result["metrics"]}
    assert found == {
        "nll": (20.5, {"standard_error": 0.5, "num_examples": 100, "num_samples": 50}),
        "active_units of 3": (2, {"num_examples": 100}),
    }
    assert "model-index" not in yaml.safe_load(hub.head(card))


@pytest.mark.slow
def test_a_run_is_pushed_whole_and_loads_from_there(zoo, fake, run_folder, tmp_path):
    run = shutil.copytree(run_folder, tmp_path / "run")
    write_json(run / "card.json", {**read_card(run), "metrics": {"nll": METRICS["nll"]}})
    code, out, lines = zoo("push", run, "hf://me/digits")
    assert code == 0 and 'zoo.load("hf://me/digits")' in out, lines
    home = fake.kept / "me" / "digits"
    files = {str(path.relative_to(home)) for path in home.rglob("*")}
    expected = {"card.json", "README.md", "model.weights.h5", "digits.tflite", "1/saved_model.pb", "log.csv"}
    assert expected | {"samples.png", "training.png", "reconstructions.png"} <= files
    head, page = head_of((home / "README.md").read_text())
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == 20.5
    assert 'zoo.load("hf://me/digits")' in page and "![samples](samples.png)" in page
    assert package.load(home).card["name"] == "digits"
    fake.there.add("me/digits")
    code, _, lines = zoo("push", run, "hf://me/digits")
    assert (code, lines) == (2, ["zoo: hf://me/digits already holds a model: use --overwrite or another name"])
    assert zoo("push", run, "hf://me/digits", "--overwrite")[0] == 0 and fake.sent == {"me/digits": "*"}


def test_what_keeps_a_push_back_is_one_line(zoo, fake, run_folder, monkeypatch):
    import huggingface_hub

    def said(address):
        code, _, [line] = zoo("push", run_folder, address)
        assert code == 2
        return line

    assert said("https://me/x") == "zoo: an address of the Hub is hf://user/name, got 'https://me/x'"
    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub, "get_token", lambda: None)
        assert said("hf://me/x") == "zoo: writing to hf://me/x needs a token: set HF_TOKEN, or run `hf auth login`"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "huggingface_hub", None)
        assert said("hf://me/x") == "zoo: zoo push needs huggingface_hub: pip install 'vae-zoo[hub]'"
    fake.repo_exists = lambda name: 1 / 0
    assert said("hf://me/x") == "zoo: hf://me/x cannot be written: division by zero"


def test_what_the_hub_answers_is_one_line(fake, run_folder):
    fake.error = ConnectionError("Client error '403 Forbidden'\nfor url 'https://huggingface.co'")
    with pytest.raises(package.errors.InvalidInput, match="cannot be written: client error '403 Forbidden' for url"):
        hub.upload(fake, run_folder, "hf://me/x")


def test_a_token_goes_to_the_hub_alone(fake):
    from zoo.pretrained.places import Web

    assert Web("https://huggingface.co/me/x", hub=True).token() == {"Authorization": "Bearer hf_secret"}
    assert Web("https://example.org/me/x").token() == {}
    assert json.dumps(vars(Web("https://example.org", hub=True))).count("secret") == 0
