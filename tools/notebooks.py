"""python -m tools.notebooks [NAME ...]: run notebooks of colab/ in full, and store them with outputs and pictures.

Without a name all are run. One that fails stays as it was, and the failing cell is named. What a machine is called and
where its files are does not belong into a notebook: outputs that say so are refused.
"""

import os
import pathlib
import platform
import re
import sys
import tempfile
import time

from zoo.errors import InvalidInput, choose
from zoo.files import write_bytes

ROOT = pathlib.Path(__file__).parent.parent
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # of terminals: colours, and cursors that move
LONGEST = 3600  # seconds a cell may take


def notebooks():
    """Name -> path of every notebook."""
    return {path.stem: path for path in sorted(ROOT.glob("colab/*.ipynb"))}


def store(path):
    """Run a notebook in full and write it with its outputs, at once.

    Raises:
        InvalidInput: a cell fails, or its outputs say where they were made.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    execute(notebook, path.stem)
    notebook.metadata = nbformat.from_dict(metadata)
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [clean(output, path.stem) for output in cell.outputs if output.get("name") != "stderr"]
    write_bytes(path, (nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n").encode())


def execute(notebook, name, smoke=False):
    """Run the cells of a notebook in a folder of their own, each with a line on how long it took.

    Raises:
        InvalidInput: a cell fails.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    begun = time.perf_counter()

    def done(cell, cell_index, execute_reply):
        seconds = time.perf_counter() - begun
        print(f"{name}: cell {cell_index + 1} of {len(notebook.cells)} after {seconds:.0f} s", flush=True)

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"ZOO_SMOKE": "1" if smoke else "0"}
    with tempfile.TemporaryDirectory() as folder:
        settings = {"timeout": LONGEST, "kernel_name": "python3", "record_timing": False}
        settings |= {"coalesce_streams": True, "on_cell_executed": done}
        client = NotebookClient(notebook, resources={"metadata": {"path": folder}}, **settings)
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            number, first = failed(notebook)
            said = f"{error.ename}: {ESCAPES.sub('', error.evalue)}"
            raise InvalidInput(f"{name}.ipynb fails in cell {number}, which begins {first!r}: {said}") from None


def failed(notebook):
    """(number, first line) of the cell that raised an error."""
    for number, cell in enumerate(notebook.cells, 1):
        if any(output.output_type == "error" for output in cell.get("outputs", ())):
            return number, cell.source.partition("\n")[0]
    raise ValueError("no cell of the notebook has failed")


def clean(output, name):
    """An output with what a reader needs: bars that moved as they stood at the end.

    Raises:
        InvalidInput: it names the machine or a folder of it.
    """
    holder = output if "text" in output else output.get("data", {})
    for key in holder.keys() & {"text", "text/plain"}:
        holder[key] = "\n".join(
            line.rstrip("\r").rpartition("\r")[2] for line in ESCAPES.sub("", holder[key]).split("\n")
        )
        for place in (str(ROOT), str(pathlib.Path.home()), tempfile.gettempdir(), platform.node()):
            if len(place) > 2 and place in holder[key]:
                raise InvalidInput(f"an output of {name}.ipynb says {place!r}: have it print something else")
    return output


def main(names):
    """Run and store the notebooks of these names, all without one."""
    known = notebooks()
    for name in names or known:
        store(choose("notebook", name, known))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InvalidInput as error:
        sys.exit(f"tools.notebooks: {error}")
