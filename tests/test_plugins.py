"""Models of other packages: found by their entry points, used like the zoo's own, and begun by `zoo new`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from support import of_today

import zoo as package
from zoo import index, plugins

ROOT = pathlib.Path(__file__).parent.parent
VARIANT = '''"""A VAE whose prior is wide.

    p(z) = N(0, 4 I)
"""

import keras
import tensorflow_probability as tfp

from zoo.models.vae import VAE
from zoo.registry import register

tfd = tfp.distributions


@register("wide_vae", "a prior as wide as said", "Nobody 2026")
@keras.saving.register_keras_serializable("wide")
class WideVAE(VAE):
    """A VAE with another prior.

    Args:
        width: standard deviation of the prior.
    """

    def __init__(self, width=2.0, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def prior(self):
        return tfd.Independent(tfd.Normal([0.0] * self.latent_dim, self.width), 1)
'''


def installed(folder, name, entry_points, **modules):
    """Put a package into a folder of `sys.path`, as an installer does."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = ["[zoo.models]", *(f"{model} = {module}" for model, module in entry_points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("raise SystemExit('imported')" if modules.pop("closed", False) else "")
    for module, text in modules.items():
        (folder / name / f"{module}.py").write_text(text)
    return folder


def run(place, *commands, script="", cwd=None):
    """[(code, standard output, standard error)] of commands of `zoo`, in a fresh process that sees a folder."""
    program = f"import contextlib, io, json, sys\n{script}\nfrom zoo import cli\nended = []\n" + (
        "for command in json.loads(sys.argv[1]):\n"
        "    out, err = io.StringIO(), io.StringIO()\n"
        "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):\n"
        "        try: cli.main(command)\n"
        "        except SystemExit as end: ended.append((end.code or 0, out.getvalue(), err.getvalue()))\n"
        "print(json.dumps([ended, sorted({'tensorflow', 'wide'} & set(sys.modules))]))"
    )
    path = os.pathsep.join([str(place), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps([[str(part) for part in command] for command in commands])],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_package_s_model_is_listed_without_an_import_and_described_with_one(tmp_path):
    place = installed(tmp_path / "site", "wide", {"wide_vae": "wide.vae", "lost_vae": "wide.lost"}, vae=VARIANT)
    (listed,), imported = run(place, ["list", "*_vae"])
    lines = dict(line.split(maxsplit=1) for line in listed[1].splitlines())
    assert lines["wide_vae"] == lines["lost_vae"] == "a model of wide" and not imported
    assert list(lines) == sorted(lines) and lines["beta_vae"]
    (said, lost), imported = run(place, ["info", "wide_vae"], ["info", "lost_vae"])
    assert "wide_vae, of the models: a prior as wide as said" in said[1] and "p(z) = N(0, 4 I)" in said[1]
    assert "width = 2.0" in said[1] and "latent_dim = 32" in said[1] and "wide" in imported
    assert lost[0] == 2 and "lost_vae' of wide cannot be imported" in lost[2]


def test_a_package_that_cannot_be_used_is_one_line_and_costs_no_other_model(zoo, tmp_path, monkeypatch):
    broken = {"broken_vae": "first.broken", "other_vae": "first.empty", "vae": "first.vae", "twice_vae": "first.vae"}
    installed(tmp_path / "site", "first", broken, vae="", broken="import no_such_module", empty="")
    installed(tmp_path / "more", "second", {"twice_vae": "second.vae"}, vae="")
    for place in ("site", "more"):
        monkeypatch.syspath_prepend(tmp_path / place)
    plugins.known.cache_clear()
    expected = {
        "broken_vae": "of first cannot be imported from first.broken: ModuleNotFoundError: no module named",
        "other_vae": "first.empty of first registers no model 'other_vae'",
        "vae": "is in zoo and in first",
        "twice_vae": "is in second and in first",
        "beta_vea": "did you mean beta_vae",
    }
    for name, said in expected.items():
        code, _, lines = zoo("train", name, "--output", tmp_path / "run")
        assert (code, len(lines)) == (2, 1) and said in lines[0], lines
    assert "twice_vae" in package.list_models() and package.create("beta_vae", latent_dim=2)
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    plugins.known.cache_clear()


def test_what_is_no_name_is_no_model():
    from zoo import create
    from zoo.errors import InvalidInput

    for name in ([], {}, None, 3):
        with pytest.raises(InvalidInput, match="unknown model"):
            create(name)


@pytest.mark.slow
def test_a_package_s_model_is_trained_loaded_drawn_measured_and_exported(tmp_path):
    place, folder = installed(tmp_path / "site", "wide", {"wide_vae": "wide.vae"}, vae=VARIANT), tmp_path / "run"
    settings = ["--set", "latent_dim=2", "--set", "encoder.hidden_units=[16]", "--set", "width=3.0"]
    ended, imported = run(
        place,
        ["train", "wide_vae", "--epochs", 1, "--limit", 200, "--output", folder, *settings],
        ["plot", folder, "--output", tmp_path / "samples.png"],
        ["evaluate", folder, "--num-samples", 10, "--limit", 20],
        ["export", folder, "--output", tmp_path / "served", "--verify"],
        ["export", folder, "--format", "tflite", "--output", tmp_path / "phone", "--verify"],
    )
    assert [code for code, _, _ in ended] == [0] * 5, ended
    assert "wide" in imported and (tmp_path / "samples.png").is_file()
    assert json.loads((folder / "card.json").read_text())["config"]["width"] == 3.0
    script = f"import zoo\nassert zoo.load({str(folder)!r}).prior().stddev()[0] == 3.0\n"
    script += "assert 'wide_vae' in zoo.list_models() and zoo.create('wide_vae', latent_dim=3).width == 2.0"
    run(place, script=script)


@pytest.mark.parametrize("start", ["vae", "beta_vae", "m2", "vrnn", "lvae"])
def test_a_new_model_is_python_that_says_its_base_s_mathematics(zoo, start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert zoo("new", "a_new_one", "--from", start)[0] == 0
    text = (tmp_path / "a_new_one.py").read_text()
    for name in ("a_new_one.py", "test_a_new_one.py"):
        compile((tmp_path / name).read_text(), name, "exec")
    assert "p(x" in text and "class ANewOne(" in text
    assert ("beta=4.0" in text) == (start == "beta_vae")
    assert 'a_new_one = "a_new_one"' in (tmp_path / "pyproject.toml").read_text()


def test_a_new_model_in_a_package_is_a_module_of_it(zoo, tmp_path, monkeypatch):
    home = tmp_path / "mine" / "models"
    home.mkdir(parents=True)
    for folder in (home, home.parent):
        (folder / "__init__.py").touch()
    monkeypatch.chdir(home)
    code, out, _ = zoo("new", "a_new_one")
    assert code == 0 and 'a_new_one = "mine.models.a_new_one"' in out
    assert sorted(p.name for p in home.iterdir()) == ["__init__.py", "a_new_one.py", "test_a_new_one.py"]
    assert "from mine.models.a_new_one import ANewOne" in (home / "test_a_new_one.py").read_text()


MISTAKES = {
    "My-VAE": "did you mean my_vae",
    "class": "no word of Python",
    "2d": "lower-case",
    "vae": "a model 'vae' already",
    "vae_mnist": "a model 'vae_mnist' already",
    "numpy": "a Python module 'numpy' already",
    "there": "there.py is there already",
    "tested": "test_tested.py is there already",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_name_that_cannot_be_had_is_one_line_and_writes_nothing(zoo, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for there in ("there.py", "test_tested.py"):
        (tmp_path / there).touch()
    code, _, lines = zoo("new", name)
    assert (code, len(lines)) == (2, 1) and MISTAKES[name] in lines[0]
    assert {p.name for p in tmp_path.iterdir()} == {"there.py", "test_tested.py"}
    code, _, lines = zoo("new", "a_new_one", "--from", "vea")
    assert (code, len(lines)) == (2, 1) and "did you mean vae" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["vae", *of_today([entry.name for entry in index.entries("models")], 1)])
def test_what_is_written_passes_its_own_test(start, tmp_path):
    ended, _ = run("", ["new", "a_new_one", "--from", start], cwd=tmp_path)
    assert ended[0][0] == 0, ended
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout[-2000:]
