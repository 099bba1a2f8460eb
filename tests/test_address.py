"""The project's public address: wherever it stands, it is the one of zoo/address.py; and the version likewise."""

import ast
import json
import pathlib
import re
import subprocess

import pytest
import yaml

import zoo
from tools.address import with_address
from zoo import address

ROOT = pathlib.Path(__file__).parent.parent
NAME = address.HOME.removeprefix("https://github.com/")
WRITTEN = re.compile(r"(?:github\.com|githubusercontent\.com|google\.com/github)/([\w.-]+/[\w.-]*zoo)\b")
TEXTS = ("*.md", "*.cff", "*.yml", "*.toml", "*.py", "*.ipynb")


@pytest.mark.parametrize("path", sorted(ROOT.glob("colab/*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_has_the_badge_and_the_install_cell_of_the_address(path):
    text = with_address(path)
    assert path.read_text() == text, "python -m tools.address writes it"
    code = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [address.HOME in cell for cell in code] == [True, *[False] * (len(code) - 1)]


def test_no_file_has_another_address():
    listed = subprocess.run(["git", "ls-files", *TEXTS], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = {(name, WRITTEN.findall((ROOT / name).read_text())[0]) for name in listed.stdout.splitlines() if has(name)}
    assert found and not {(name, written) for name, written in found if written != NAME}
    code = [name for name, _ in found if name.endswith(".py") and name.startswith(("zoo/", "setup", "tools/"))]
    assert code == ["zoo/address.py"], "code takes it from there"


def has(name):
    return (ROOT / name).is_file() and WRITTEN.search((ROOT / name).read_text())


def test_the_mirror_is_that_of_the_version():
    assert address.mirror("1.2") == f"https://raw.githubusercontent.com/{NAME}/v1.2/saved_models/"


def test_the_citation_and_the_changelog_are_of_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["repository-code"]) == (zoo.__version__, address.HOME)
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == zoo.__version__


def test_public_names_have_types_for_checkers():
    """What `zoo` gives lazily is imported for type checkers too, name by name."""
    tree = ast.parse((ROOT / "zoo" / "__init__.py").read_text())
    imported = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        for alias in node.names
    }
    assert imported == zoo._HOME
