"""The terminal as a new user meets it: help by task, lists, tables, options, and refusals that do not wait."""

import json
import subprocess
import sys

import pytest
import typer

from zoo import cli
from zoo.cli.help import TASKS
from zoo.cli.words import digits, table, words

COMMANDS = typer.main.get_command(cli.app).commands
REFUSED = {
    "model": (["train", "bata_vae"], "beta_vae"),
    "argument": (["train", "vae", "--set", "latnet_dim=3"], "latent_dim"),
    "option": (["train", "vae", "--latnt-dim", "3"], "--latent-dim"),
    "setting": (["train", "vae", "--recipe", "lerning_rate=1"], "learning_rate"),
    "data": (["train", "vae", "--dataset", "digts"], "digits"),
    "file": (["reconstruct", "vae_mnist", "--input", __file__], "is none of"),
    "plane": (["plot", "vae_mnist", "--kind", "manifold"], "two units"),
    "levels": (["plot", "vae_mnist", "--kind", "levels"], "several stochastic levels"),
    "music": (["plot", "vae_mnist", "--kind", "piano_roll"], "piano rolls are drawn of models of music"),
    "name": (["sample", "vae_mnits"], "vae_mnist"),
    "run": (["train", "--resume", "nowhere"], "nowhere/run.json"),
}


def test_help_has_every_command_under_its_task_in_whole_lines(zoo):
    code, out, _ = zoo("--help")
    lines = out.splitlines()
    assert code == 0
    assert sorted(name for names in TASKS.values() for name in names) == sorted(COMMANDS)
    assert [line.rstrip(":") for line in lines if line.endswith(":") and line != "Options:"] == list(TASKS)
    assert max(map(len, lines)) <= 80 and not any(line.endswith("...") for line in lines[1:])
    rows = [line for line in lines if line.split(" ")[2:3] and line.split()[0] in COMMANDS]
    assert len(rows) == len(COMMANDS)


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_does_not_wait_for_tensorflow(case):
    arguments, offered = REFUSED[case]
    program = (
        "import sys, time, zoo.cli\n"
        f"try: zoo.cli.main({arguments!r})\n"
        "except SystemExit as end: code = end.code\n"
        "assert 'tensorflow' not in sys.modules\n"
        "print(code, time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    code, seconds = done.stdout.split()
    assert code == "2" and float(seconds) < 1.5
    (line,) = done.stderr.splitlines()
    assert offered in line


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("--latent_dim", "--latent-dim"),
        ("--batchsize", "--batch-size"),
        ("--likelihood", "--set likelihood=VALUE"),
        ("--clipnorm", "--recipe clipnorm=VALUE"),
        ("--hidden-units", "--set encoder.hidden_units=VALUE"),
    ],
)
def test_a_wrong_option_names_the_right_one(zoo, wrong, right):
    code, _, lines = zoo("train", "vae", wrong, "3")
    assert (code, len(lines)) == (2, 1)
    assert f"did you mean {right}?" in lines[0]


def test_what_everyone_types_is_an_option(zoo, tmp_path):
    typed = ["--batch-size", 50, "--learning-rate", 0.01, "--latent-dim", 3, "--encoder", "conv", "--seed", 2]
    code, out, _ = zoo("train", "vae", *typed, "--limit", 100, "--epochs", 1, "--output", tmp_path / "run")
    assert code == 0
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert said["config"] | {"latent_dim": 3, "encoder": "conv"} == said["config"]
    assert said["recipe"] | {"batch_size": 50, "learning_rate": 0.01, "seed": 2, "epochs": 1} == said["recipe"]
    assert said["data"]["limit"] == 100
    assert "conv networks, 3 latent units, likelihood bernoulli" in out
    assert "batches of 50: 2 updates an epoch, 2 in all" in out
    assert "2 updates in all: more epochs, or --batch-size 16" in out
    code, _, lines = zoo("train", "vae", "--latent-dim", 3, "--set", "latent_dim=4")
    assert (code, lines) == (2, ["zoo: --latent-dim and --set latent_dim say the same: give one of them"])


def test_one_spelling_resumes(zoo, run_folder):
    assert zoo("train", "--resume", run_folder)[0] == 0
    for arguments, said in ((["vae"], "a model kind"), (["--batch-size", 3], "--batch-size")):
        code, _, lines = zoo("train", "--resume", run_folder, *arguments)
        assert (code, len(lines)) == (2, 1) and said in lines[0]


def test_a_list_finds_what_contains_a_word(zoo):
    found = [line.split()[0] for line in zoo("list", "flow")[1].splitlines()]
    assert {"planar_vae", "iaf_vae", "flow_prior_vae"} <= set(found) and "vae" not in found
    assert json.loads(zoo("list", "flow*", "--json")[1]) == ["flow_prior_vae"]
    assert "--pretrained" in zoo("list", "mnist")[1]


def test_a_card_is_tables(zoo, run_folder):
    for name in ("vae_mnist", "deep_vae_omniglot", "dmm_jsb", run_folder, "mnist", "m2"):
        code, out, _ = zoo("info", name)
        assert code == 0
        assert "{'" not in out and "0000000" not in out
        assert max(map(len, out.splitlines())) <= 120
    assert "nll             85.28 ± 0.22" in zoo("info", "vae_mnist")[1]


def test_numbers_have_the_digits_of_their_errors():
    assert digits(85.2798999706355, 0.21778919699406699) == "85.28 ± 0.22"
    assert digits(10986.43, 73.6) == "10986 ± 74"
    assert digits(0.15692970503033, 0.000400769) == "0.15693 ± 0.00040"
    assert digits(1 / 3) == "0.3333"


def test_words_have_no_brackets():
    assert words({"name": "mlp", "hidden_units": [64, 32], "gated": True}) == "mlp (hidden_units 64 32, gated yes)"
    assert words({"train": 10, "test": 5}) == "train 10, test 5"
    assert table([("a", "x " * 60), ("bcd", "y")])[-1] == "bcd  y"


def test_wrote_says_what_is_in_the_file_and_what_it_replaced(zoo, run_folder, tmp_path):
    path = tmp_path / "a.png"
    said = f"reconstructions of {run_folder}. Test images in the upper row, their reconstructions below.\n"
    assert zoo("reconstruct", run_folder, "--output", path)[1] == f"wrote {path}: {said}"
    assert zoo("reconstruct", run_folder, "--output", path)[1] == (
        f"wrote {path} (in place of the one that was there): {said}"
    )
    assert "x [3, 8, 8, 1]" in zoo("sample", run_folder, "--count", 3, "--output", tmp_path / "a.npz")[1]


def test_sound_is_turned_down_and_never_clipped(tmp_path, capsys):
    import numpy as np

    from zoo.cli.played import LOUDEST, write_played
    from zoo.data import read_wav, write_wav

    class Subject:
        is_music, rate = False, 8000

    loud, soft = 3.0 * np.sin(np.arange(4000.0))[:, None], 0.1 * np.sin(np.arange(4000.0))[:, None]
    write_played(tmp_path / "loud.wav", Subject, [loud], "a tone")
    said = capsys.readouterr().out
    assert "a tone; its peak, 3, is turned down to 0.5 of full scale" in said
    samples, _ = read_wav(tmp_path / "loud.wav")
    np.testing.assert_allclose(samples, loud.ravel() * LOUDEST / np.abs(loud).max(), atol=1e-4)
    write_played(tmp_path / "soft.wav", Subject, [soft], "a tone")
    assert "turned down" not in capsys.readouterr().out
    np.testing.assert_allclose(read_wav(tmp_path / "soft.wav")[0], soft.ravel(), atol=1e-4)
    write_wav(tmp_path / "beyond.wav", loud.ravel(), 8000)
    np.testing.assert_allclose(read_wav(tmp_path / "beyond.wav")[0], loud.ravel() / np.abs(loud).max(), atol=1e-4)
