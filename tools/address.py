"""python -m tools.address: write the address of zoo/address.py into every notebook's badge and install cell.

tests/test_address.py says where else it stands, and finds what is left of an earlier one.
"""

import json
import pathlib

from zoo.address import HOME
from zoo.files import write_bytes

COLAB = "https://colab.research.google.com"
CLONED = HOME.rsplit("/", 1)[1]
INSTALL = (
    "if IN_COLAB:  # TensorFlow stays the one that Colab has\n",
    f"    !git clone -q {HOME} && pip install -q ./{CLONED}\n",
    "    # or, without a checkout: !pip install -q vae-zoo\n",
)


def badge(name):
    """The first line of the notebook colab/`name`.ipynb."""
    place = HOME.removeprefix("https://github.com/")
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{place}/blob/main/colab/{name}.ipynb)\n"


def with_address(path):
    """The text of a notebook with the badge and the install cell of the present address."""
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"][0] = badge(path.stem)
    for cell in notebook["cells"]:
        lines = cell["source"]
        if cell["cell_type"] == "code" and any(line.startswith("if IN_COLAB:") for line in lines):
            start = next(i for i, line in enumerate(lines) if line.startswith("if IN_COLAB:"))
            end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
            cell["source"] = [*lines[:start], *INSTALL, *lines[end:]]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in sorted(pathlib.Path("colab").glob("*.ipynb")):
        write_bytes(path, with_address(path).encode())
