"""What is installed: a wheel carries the code and every pretrained model."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names of the files in a wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", *options, "."]
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(command, cwd=source, check=True)
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


def test_a_wheel_carries_every_pretrained_model_whole(wheel):
    tracked = [p for p in (ROOT / "saved_models").rglob("*") if p.is_file()]
    assert tracked
    missing = [str(p) for p in tracked if f"zoo/saved_models/{p.relative_to(ROOT / 'saved_models')}" not in wheel]
    assert not missing


def test_a_wheel_carries_every_module(wheel):
    missing = [str(p) for p in (ROOT / "zoo").rglob("*.py") if str(p.relative_to(ROOT)) not in wheel]
    assert not missing
    assert not [name for name in wheel if name.startswith("tools")]
