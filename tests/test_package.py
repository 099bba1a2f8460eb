"""What is installed: a wheel carries the code, every card, and the weights of the demo's models; others are fetched."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from zoo.cli.demo import SHOWN

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parent.parent
CARDS = sorted((ROOT / "saved_models").glob("*/card.json"))
LARGEST = 15e6  # bytes


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the source distribution and the wheel of what git knows of the checkout."""
    folder = tmp_path_factory.mktemp("package")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    options = ["--no-isolation", "--skip-dependency-check", "--outdir", str(folder / "dist")]
    subprocess.run([sys.executable, "-m", "build", *options, folder / "source"], check=True, capture_output=True)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


def test_both_distributions_are_small_and_fit_for_an_index(built):
    files = sorted(built.iterdir())
    assert [file.name.endswith((".whl", ".tar.gz")) for file in files] == [True, True]
    assert max(file.stat().st_size for file in files) <= LARGEST
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=True)


def test_a_wheel_carries_every_module_and_every_card_and_nothing_of_other_folders(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "zoo").rglob("*.py")}
    cards = {f"zoo/{path.relative_to(ROOT)}" for path in CARDS}
    assert modules | cards | {"zoo/index.json", "zoo/py.typed"} <= names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"zoo"}


INSTALLED = """
import json, sys, zoo
from zoo import pretrained
folder = pretrained.folder()
own = sorted(path.parent.name for path in folder.glob("*/*.weights.h5"))
print(json.dumps({
    "folder": str(folder),
    "models": {name: zoo.load(name).registry_name for name in own},
    "listed": zoo.list_pretrained(),
    "fetched": str(pretrained.fetch(sys.argv[1])),
}))
"""


def test_an_installed_wheel_loads_the_models_of_the_demo_and_fetches_others(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    other = next(path.parent.name for path in CARDS if (path.parent / "model.weights.h5").exists())
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "ZOO_CACHE": str(tmp_path / "cache")}
    environment["ZOO_MIRROR"] = str(ROOT / "saved_models")
    command = [sys.executable, "-c", INSTALLED, other]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["folder"] == str(tmp_path / "site" / "zoo" / "saved_models")
    assert SHOWN in said["models"] and 2 <= len(said["models"]) <= 3
    assert said["listed"] == [path.parent.name for path in CARDS if "weights" in json.loads(path.read_text())]
    assert said["fetched"].startswith(str(tmp_path / "cache"))
