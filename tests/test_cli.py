"""The command line: every command on a small run, and every mistake as one line."""

import json
import math
import shutil
import subprocess
import sys

import pytest
import typer
from conftest import SMALL
from PIL import Image

import zoo.pictures  # noqa: F401  (registers the kinds)
from zoo import cli
from zoo.registry import PICTURES

OTHERS = {"levels", "styles", "analogies", "piano_roll", "waveform", "spectrogram"}  # pictures of other models
COMMANDS = typer.main.get_command(cli.app).commands


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(zoo, command):
    code, out, _ = zoo(command, "--help")
    assert code == 0
    assert f"Example: zoo {command}" in " ".join(out.split())


LIGHT = [
    ["--help"],
    [],
    ["datasets"],
    ["list"],
    *(["list", f"--{kind}"] for kind in ("pretrained", "recipes", "parts")),
]
LIGHT += [["info", name] for name in ("vae_mnist", "digits", "beta_vae", "planar", "iwae", "recipe", "learning_rate")]


def cpu_seconds(program):
    """Of a new process."""
    program += "\nimport time; print(time.process_time(), file=sys.stderr)\n"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{program}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stderr.split()[-1])


@pytest.fixture(scope="module")
def most_seconds():
    """Half a second, or twice what the libraries of the command line take for any command, if that is more."""
    program = (
        "import numpy, typer, rich.console, rich.table\n"
        "def command(name: str, often: int = 1): pass\n"
        "sys.argv = ['program', 'name']\n"
        "try: typer.run(command)\n"
        "except SystemExit: pass"
    )
    return max(0.5, 2.0 * min(cpu_seconds(program) for _ in range(3)))


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_need_no_tensorflow_and_half_a_second(arguments, most_seconds):
    program = (
        "import zoo.cli\n"
        f"try: zoo.cli.main({arguments})\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'tensorflow', 'keras', 'tensorflow_probability', 'matplotlib'} & set(sys.modules)"
    )
    seconds = []
    while len(seconds) < 5 and min(seconds, default=math.inf) > most_seconds:  # the machine may do other things too
        seconds.append(cpu_seconds(program))
    assert min(seconds) <= most_seconds, seconds


MISTAKES = {
    "command": (["trian"], "train"),
    "option": (["sample", "x", "--cuont", "3"], "cuont"),
    "number": (["sample", "x", "--count", "many"], "--count"),
    "missing": (["info"], "name"),
    "name to look at": (["info", "conv_vea"], ""),
    "pretrained": (["sample", "no_such_model"], "no_such_model"),
    "model": (["train", "bata_vae"], "beta_vae"),
    "key to look at": (["info", "lerning_rate"], "learning_rate"),
    "part to look at": (["info", "planer"], "planar"),
    "preset": (["train", "--preset", "vae_mnits"], "vae_mnist"),
    "data set": (["train", "vae", "--dataset", "digts"], "digits"),
    "preparing": (["datasets", "--prepare", "mnits"], "mnist"),
    "nothing to train": (["train"], "--preset"),
    "preset's key": (["train", "--preset", "PRESET.json"], "did you mean recipe"),
    "no preset file": (["train", "--preset", "nothing.json"], "no file nothing.json"),
    "two things to train": (["train", "vae", "--preset", "vae_mnist"], "one of them"),
    "nothing to resume": (["train", "--resume", "no_such_run"], "run.json"),
    "resume with settings": (["train", "--resume", "runs/a", "--dataset", "mnist"], "so --dataset cannot"),
    "a run that is not there": (["train", "--resume", "runs/a"], "runs/a/run.json"),
    "another option's value": (["train", "vae", "--recipe", "epochs"], "--recipe takes"),
    "format": (["sample", "vae_mnist", "--format", "nyp"], "unknown --format 'nyp'"),
    "two formats": (["sample", "vae_mnist", "--format", "npy", "--output", "a.png"], "--output a.png"),
    "no array": (["encode", "vae_mnist", "--output", "a.txt"], ".npz"),
    "no file": (["score", "vae_mnist", "--input", "nowhere"], "nowhere"),
    "from with settings": (["train", "--from", "vae_mnist_2d", "--set", "latent_dim=3"], "do not fit"),
    "argument": (["train", "vae", "--set", "latnet_dim=3"], "latent_dim"),
    "size of pictures": (["train", "vae", "--size", "64,64"], "HEIGHTxWIDTH"),
    "colour": (["train", "vae", "--color", "grey"], "unknown --color 'grey'; did you mean gray"),
    "column": (["train", "vae", "--column", "image"], "column is for tables"),
    "callback": (["train", "vae", "--recipe", "callbacks=wandbb"], "did you mean wandb"),
    "new name": (["new", "vae"], "a model 'vae' already"),
    "no value": (["train", "vae", "--set", "latent_dim"], "key=value"),
    "size": (["train", "vae", "--set", "latent_dim=-1"], "--latent-dim must"),
    "kind of value": (["train", "vae", "--set", "beta=high"], "vae"),
    "part": (["train", "vae", "--set", "encoder=mpl"], "mlp"),
    "part's argument": (["train", "vae", "--set", "encoder.hiden_units=[3]"], "hidden_units"),
    "part of a number": (["train", "vae", "--set", "latent_dim=3", "--set", "latent_dim.x=3"], "latent_dim"),
    "recipe": (["train", "vae", "--recipe", "lerning_rate=0.1"], "learning_rate"),
    "recipe's value": (["train", "vae", "--recipe", "learning_rate=fast"], "learning_rate"),
    "optimizer": (["train", "vae", "--recipe", "optimizer=adma"], "adam"),
    "optimizer's argument": (
        ["train", "vae", "--recipe", "optimizer.name=sgd", "--recipe", "optimizer.momentun=0"],
        "moment",
    ),
    "scalar": (["train", "vae", "--recipe", 'schedules={"beat": {"name": "linear", "steps": 3}}'], "beta"),
    "KL schedule": (["train", "vae", "--recipe", "kl.name=liner"], "linear"),
    "KL schedule's argument": (["train", "vae", "--recipe", "kl.name=linear", "--recipe", "kl.stops=3"], "steps"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(zoo, mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, offered = MISTAKES[mistake]
    if "PRESET.json" in arguments:
        content = {"model": "vae", "data": {"name": "digits"}, "recpie": {"epochs": 1}}
        (tmp_path / "PRESET.json").write_text(json.dumps(content))
    code, _, lines = zoo(*arguments)
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("zoo: ")
    assert offered in lines[0]
    assert {path.name for path in tmp_path.rglob("*.*")} <= {"PRESET.json"}, "a command that failed left files"


def test_a_mistake_about_a_run_is_one_line(zoo, run_folder, tmp_path):
    for arguments, offered in (
        (["plot", run_folder, "--kind", "manifld"], "manifold"),
        (["sample", run_folder, "--output", "picture.jpg"], ".png"),
        (["sample", run_folder, "--count", "0"], "--count must"),
        (["interpolate", run_folder, "--steps", "0"], "steps"),
        (["evaluate", run_folder, "--split", "tset"], "test"),
        (["evaluate", run_folder, "--num-samples", "0"], "--num-samples must"),
        (["evaluate", run_folder, "--limit", "0"], "limit"),
        (["evaluate", run_folder, "--ais", "--chains", "0"], "--chains must"),
        (["evaluate", run_folder, "--ais", "--versus", run_folder], "--ais"),
        (["evaluate", run_folder, "--versus", "no_such_model"], "no_such_model"),
        (["evaluate", run_folder, "--refine", "hcm", "--limit", "1", "--num-samples", "1"], "hmc"),
        (["evaluate", run_folder, "--refine", "hmc", "--ais"], "--refine"),
        (["evaluate", run_folder, "--precision", "bfloat16", "--ais"], "--precision"),
        (["evaluate", run_folder, "--precision", "float16"], "bfloat16"),
        (["export", run_folder, "--format", "tflight"], "tflite"),
        (["export", run_folder, "--format", "tflite", "--endpoint", "encoed"], "encode"),
        (["export", run_folder, "--format", "tflite", "--dtype", "float61"], "float16"),
        (["export", run_folder, "--version", "0"], "--version must"),
        (["train", "vae", "--output", run_folder], "not empty: choose another folder, or use --overwrite"),
        (["train", "--resume", run_folder, "--epochs", "1"], "--epochs must be at least the 2"),
        (["sample", run_folder, "--output", run_folder / "card.json" / "a.png"], "card.json"),
    ):
        output = [] if {"--output", "--resume", "evaluate"} & set(arguments) else ["--output", tmp_path / "a.png"]
        code, _, lines = zoo(*arguments, *output)
        assert code == 2, (arguments, lines)
        assert len(lines) == 1, lines
        assert offered in lines[0]
    assert not list(tmp_path.iterdir())


def test_train_writes_a_run_that_is_refused_resumed_and_overwritten(zoo, tmp_path):
    run = tmp_path / "run"
    train = ["train", "vae", "--epochs", 1, "--output", run, *SMALL]
    assert zoo(*train)[0] == 0
    log = (run / "log.csv").read_text()
    code, _, lines = zoo(*train)
    assert (code, len(lines)) == (2, 1)
    code, out, _ = zoo("train", "--resume", run)
    assert code == 0
    assert str(run) in out
    assert (run / "log.csv").read_text() == log, "a finished run has nothing left to train"
    (run / "stale").touch()
    assert zoo(*train, "--overwrite")[0] == 0
    assert not (run / "stale").exists()


def test_fine_tuning_starts_from_a_run(zoo, run_folder, tmp_path):
    assert zoo("train", "--from", run_folder, "--epochs", 1, "--output", tmp_path / "tuned")[0] == 0
    card = json.loads((tmp_path / "tuned" / "card.json").read_text())
    assert card["config"]["latent_dim"] == 2


@pytest.mark.slow
def test_a_card_and_a_file_train_as_presets(zoo, run_folder, tmp_path):
    assert zoo("train", "--preset", run_folder, "--recipe", "epochs=1", "--output", tmp_path / "again")[0] == 0
    card = json.loads((run_folder / "card.json").read_text())
    again = json.loads((tmp_path / "again" / "card.json").read_text())
    assert {**again["recipe"], "epochs": 2} == card["recipe"] and again["config"] == card["config"]
    stages = [
        {"name": "first", "model": "vae", "data": card["data"], "config": card["config"], "recipe": {"epochs": 1}}
    ]
    wanted = {"stages": [*stages, {"name": "last", "model": "iwae", "from": "first", "data": card["data"]}]}
    (tmp_path / "staged.json").write_text(json.dumps(wanted))
    options = ["--epochs", 1, "--limit", 200, "--seed", 4, "--recipe", "optimizer.weight_decay=0.01"]
    code, out, _ = zoo("train", "--preset", tmp_path / "staged.json", *options, "--output", tmp_path / "staged")
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("stage")] == [
        "stage 1 of 2: first, vae",
        "stage 2 of 2: last, iwae",
    ]
    for path, optimizer in (
        (tmp_path / "staged", {"name": "adam", "weight_decay": 0.01}),
        (tmp_path / "staged" / "first", "adam"),
    ):
        card = json.loads((path / "card.json").read_text())
        assert (card["seed"], card["data"]["limit"], card["recipe"]["optimizer"]) == (4, 200, optimizer)


def test_interrupted_training_says_how_to_go_on(zoo, tmp_path, monkeypatch):
    from zoo.training import run as training

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    code, _, lines = zoo("train", "vae", "--output", tmp_path / "run")
    assert code == 130
    assert lines == [f"zoo: interrupted; `zoo train --resume {tmp_path / 'run'}` goes on from the last epoch"]


def test_lists_can_be_parsed(zoo):
    for arguments, expected in (
        (["list"], "vae"),
        (["list", "--recipes"], "vae_mnist"),
        (["list", "--pretrained", "*mnist"], "vae_mnist"),
        (["list", "--parts"], "posteriors"),
        (["datasets"], "digits"),
    ):
        code, out, _ = zoo(*arguments, "--json")
        assert code == 0
        assert expected in json.loads(out)
        assert expected in zoo(*arguments)[1]
    assert json.loads(zoo("list", "--parts", "pla*", "--json")[1])["posteriors"] == ["planar"]
    assert zoo("list", "--parts", "pla*")[1].splitlines()[0] == "posteriors:"


def test_info_knows_models_data_sets_and_runs(zoo, run_folder):
    assert "latent_dim" in json.loads(zoo("info", "vae", "--json")[1])["arguments"]
    assert "p(x | z)" in zoo("info", "vae")[1]
    assert json.loads(zoo("info", "digits", "--json")[1])["shape"] == [8, 8, 1]
    assert json.loads(zoo("info", run_folder, "--json")[1])["model"] == "vae"
    assert "vae on digits, 2 epochs" in zoo("info", run_folder)[1]


def test_info_says_what_sets_a_model_apart_and_what_that_is(zoo):
    text = zoo("info", "beta_vae")[1]
    assert "beta = 4.0" in text and "weight of the KL" in text and "Higgins et al. 2017" in text
    assert json.loads(zoo("info", "beta_vae", "--json")[1])["arguments"]["beta"] == 4.0
    assert json.loads(zoo("info", "vae", "--json")[1])["arguments"]["beta"] == 1.0


def test_info_knows_parts_and_recipes(zoo):
    assert "num_layers = 10" in zoo("info", "planar")[1]
    both = json.loads(zoo("info", "mlp", "--json")[1])
    assert [entry["kind"] for entry in both] == ["encoders", "decoders"]
    assert json.loads(zoo("info", "free_bits", "--json")[1])["kind"] == "bounds"
    assert "patience = None" in zoo("info", "recipe")[1]
    assert json.loads(zoo("info", "warmup_steps", "--json")[1])["default"] == 0
    assert "a key of recipes" in zoo("info", "optimizer")[1]


def test_evaluate_prints_numbers_for_programs_and_people(zoo, run_folder):
    arguments = ["evaluate", run_folder, "--num-samples", 10, "--limit", 50]
    code, out, _ = zoo(*arguments, "--json")
    metrics = json.loads(out)
    assert code == 0
    assert metrics["nll"]["num_examples"] == 50
    assert metrics["nll"]["value"] <= -metrics["elbo"]["value"] + 1
    assert f"{metrics['nll']['value']:.3f}" in zoo(*arguments)[1]
    difference = json.loads(zoo(*arguments, "--versus", run_folder, "--json")[1])["nll_difference"]
    assert difference["value"] == 0


@pytest.mark.slow
def test_annealed_chains_add_to_the_card(zoo, run_folder, tmp_path):
    folder = shutil.copytree(run_folder, tmp_path / "run")
    short = ["--num-samples", 10, "--limit", 4, "--update-card"]
    assert zoo("evaluate", folder, *short)[0] == 0
    code, out, _ = zoo("evaluate", folder, "--ais", "--chains", 2, "--temperatures", 5, *short)
    assert code == 0
    assert "4 simulated images, 2 chains, 5 temperatures" in out
    card = json.loads((folder / "card.json").read_text())
    assert {"nll", "nll_ais", "nll_ais_lower", "nll_ais_upper"} <= set(card["metrics"])
    assert "--ais --chains 2 --temperatures 5" in card["evaluation"]["annealed"]["command"]


@pytest.mark.parametrize("command", ["sample", "reconstruct", "interpolate"])
def test_pictures(zoo, run_folder, tmp_path, command):
    assert zoo(command, run_folder, "--count", 4, "--output", tmp_path / "a.png")[0] == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGB"
        assert min(image.size) > 50


def test_draws_are_not_means(zoo, run_folder, tmp_path):
    for kind in ("--mean", "--draws"):
        assert zoo("sample", run_folder, kind, "--count", 4, "--output", tmp_path / f"{kind}.png")[0] == 0
    assert (tmp_path / "--mean.png").read_bytes() != (tmp_path / "--draws.png").read_bytes()


@pytest.mark.parametrize("kind", sorted(PICTURES.keys() - OTHERS))
def test_plot(zoo, run_folder, tmp_path, kind):
    code, _, lines = zoo("plot", run_folder, "--kind", kind, "--output", tmp_path / "a.png")
    assert code == 0, lines
    with Image.open(tmp_path / "a.png") as image:
        image.verify()


@pytest.mark.slow
def test_export_writes_both_formats_and_checks_them(zoo, run_folder, tmp_path):
    code, out, _ = zoo("export", run_folder, "--output", tmp_path, "--verify")
    assert code == 0
    assert (tmp_path / "digits_2d" / "1" / "saved_model.pb").is_file()
    assert "sample: largest difference" in out
    tflite = ["export", run_folder, "--format", "tflite", "--endpoint", "decode", "--output", tmp_path]
    code, out, _ = zoo(*tflite, "--verify")
    assert code == 0
    assert "decode: largest difference" in out
    assert "encode" not in out
    code, _, lines = zoo(*tflite)
    assert (code, len(lines)) == (2, 1)
    assert zoo(*tflite, "--overwrite")[0] == 0


def test_an_export_that_differs_fails(zoo, run_folder, tmp_path, monkeypatch):
    from zoo.export import verify

    monkeypatch.setitem(verify.TOLERANCES, "tflite", -1.0)
    arguments = ["export", run_folder, "--format", "tflite", "--output", tmp_path]
    code, _, lines = zoo(*arguments, "--verify")
    assert code == 1
    assert len(lines) == 1


def test_without_a_terminal_an_evaluation_says_now_and_then_how_far_it_is(monkeypatch, capsys):
    from zoo.cli import evaluate

    clock = iter([0.0, 10.0, 61.0, 70.0, 131.0])
    monkeypatch.setattr(evaluate.time, "monotonic", lambda: next(clock))
    with evaluate.progress("evaluating it") as report:
        for done in (100, 500, 550, 640):
            report(done, 1000 if done < 600 else None)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "evaluating it: 500 of 1000, about 1:01 min to go" and second == "evaluating it: 640"
