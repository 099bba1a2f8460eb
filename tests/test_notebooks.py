"""Every notebook runs from top to bottom, in its short form."""

import json
import os
import pathlib
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOKS = sorted(ROOT.glob("colab/*.ipynb"))


def code_of(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_one_run_from_top_to_bottom_with_its_pictures(path):
    cells = code_of(path)
    outputs = [output for cell in cells for output in cell["outputs"]]
    counts = [cell["execution_count"] for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), "run python -m tools.notebooks"
    shown = [output["data"] for output in outputs if "data" in output]
    assert any("image/png" in data for data in shown)
    assert not [data for data in shown if list(data) == ["text/plain"] and "Figure" in str(data)], "a figure as words"
    assert path.stat().st_size < 2.5e6
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_trains_silently_in_a_notebook_shows_its_progress(path):
    for cell in code_of(path):
        text = "".join(cell["source"])
        assert "verbose=0" not in text or "Progress()" in text or "*callbacks" in text or "callbacks=callbacks" in text


class Shell:
    """Stands for IPython: keeps the commands that a cell gives to the system."""

    def __init__(self):
        self.commands = []

    def system(self, command):
        self.commands.append(command)


@pytest.mark.parametrize("place", ["installed", "clone", "elsewhere"])
def test_the_install_cell_takes_the_clone_it_is_in_and_else_the_release(place, tmp_path, monkeypatch):
    from importlib import metadata

    from IPython.core.inputtransformer2 import TransformerManager

    from tools.address import INSTALL, SOURCE

    shell, names = Shell(), {}
    if place != "installed":
        monkeypatch.setattr(metadata, "version", lambda name: (_ for _ in ()).throw(metadata.PackageNotFoundError))
    if place == "clone":
        (tmp_path / "zoo").mkdir()
        (tmp_path / "zoo" / "address.py").touch()
    (tmp_path / "colab").mkdir()
    monkeypatch.chdir(tmp_path / "colab")
    exec(TransformerManager().transform_cell(INSTALL), {"get_ipython": lambda: shell}, names)
    if place == "installed":
        assert shell.commands == []
    else:
        source = str(tmp_path) if place == "clone" else SOURCE
        command = shell.commands[0].format(source=source) if "{" in shell.commands[0] else shell.commands[0]
        assert command == f'pip install -q "{source}"'
        assert names["source"] == source
    assert names["SMOKE"] in (True, False)


def test_a_cell_that_fails_is_named_and_the_notebook_stays_as_it_was(tmp_path):
    import nbformat

    from tools.notebooks import store
    from zoo.errors import InvalidInput

    path = tmp_path / "a.ipynb"
    for source, said in (
        ("x = 1\n1 / 0", "in cell 1, which begins 'x = 1': ZeroDivisionError: division by zero"),
        (f"print('{tempfile.gettempdir()}/a')", tempfile.gettempdir()),
    ):
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
        before = path.read_bytes()
        with pytest.raises(InvalidInput, match=said):
            store(path)
        assert path.read_bytes() == before
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('a\\rb', 6 * 7)")]), path)
    store(path)
    (cell,) = code_of(path)
    assert (cell["execution_count"], "".join(cell["outputs"][0]["text"])) == (1, "b 42\n")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("ZOO_SMOKE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert not list(tmp_path.iterdir()), "the notebook left files where it ran"
