"""python -m tools.address: write the address of zoo/address.py into every notebook's badge and install cell.

tests/test_address.py says where else it stands, and finds what is left of an earlier one.
"""

import json
import pathlib

from zoo import __version__
from zoo.address import HOME, RELEASED
from zoo.files import write_bytes

COLAB = "https://colab.research.google.com"
SOURCE = "vae-zoo" if RELEASED else f"git+{HOME}@v{__version__}"  # nobody else can put a package there
INSTALL = f"""\
import os
import pathlib
from importlib.metadata import PackageNotFoundError, version

try:
    version("vae-zoo")
except PackageNotFoundError:  # of the clone that this notebook is in, else of the project's address at a tag
    here = pathlib.Path.cwd()
    clones = [str(folder) for folder in (here, *here.parents) if (folder / "zoo" / "address.py").is_file()]
    source = clones[0] if clones else "{SOURCE}"
    !pip install -q "{{source}}"

SMOKE = os.environ.get("ZOO_SMOKE") == "1"  # a short run, for tests"""


def badge(name):
    """The first line of the notebook colab/`name`.ipynb."""
    place = HOME.removeprefix("https://github.com/")
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{place}/blob/main/colab/{name}.ipynb)\n"


def with_address(path):
    """The text of a notebook with the badge and the install cell of the present address, its first cell of code."""
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"][0] = badge(path.stem)
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    first["source"] = INSTALL.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in sorted(pathlib.Path("colab").glob("*.ipynb")):
        write_bytes(path, with_address(path).encode())
