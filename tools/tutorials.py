"""The notebooks of colab/ as pages of the site, with the outputs that are stored in them."""

import base64
import json
import re

from tools.tables import ROOT
from zoo.address import HOME

COLAB = HOME.replace("https://github.com", "https://colab.research.google.com/github")
ORDER = ("start", "pictures", "table", "sounds", "vae", "semi_supervised")  # for newcomers; then the others by name
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
LONGEST = 40  # lines of an output that a page shows


def notebooks():
    """Name -> path, in the order of reading."""
    found = {path.stem: path for path in sorted(ROOT.glob("colab/*.ipynb"))}
    return {name: found[name] for name in sorted(found, key=lambda name: (ORDER + (name,)).index(name))}


def tutorials():
    """({path in the site: Markdown}, {path in the site: bytes of a picture})."""
    pages, pictures, names = {}, {}, list(notebooks())
    for place, (name, path) in enumerate(notebooks().items()):
        lines = [f"[Open in Colab]({COLAB}/blob/main/colab/{name}.ipynb)", ""]
        for number, cell in enumerate(json.loads(path.read_text())["cells"]):
            lines += markdown_of(cell, name, number, pictures)
        before = f"[← {names[place - 1]}]({names[place - 1]}.md)" if place else ""
        after = f"[{names[place + 1]} →]({names[place + 1]}.md)" if place + 1 < len(names) else ""
        pages[f"tutorials/{name}.md"] = "\n".join([*titled(lines), "", " · ".join(filter(None, [before, after])), ""])
    return pages, pictures


def titled(lines):
    """The lines of a page, its title first."""
    place = next((number for number, line in enumerate(lines) if line.startswith("# ")), None)
    return lines if place is None else [lines[place], "", *lines[:place], *lines[place + 1 :]]


def markdown_of(cell, name, number, pictures):
    """A cell as Markdown lines; its pictures go to `pictures`."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        text = re.sub(r"^.*colab\.research\.google\.com.*$", "", text, flags=re.MULTILINE)  # the badge
        return [*text.split("\n"), ""]
    if "PackageNotFoundError" in text:  # the cell that installs the zoo where it is not there
        return []
    lines = ["```python", *text.split("\n"), "```", ""]
    for place, output in enumerate(cell.get("outputs", ())):
        data = output.get("data", {})
        if "image/png" in data:
            file = f"tutorials/{name}-{number}-{place}.png"
            pictures[file] = base64.b64decode("".join(data["image/png"]))
            lines += [f"![output of the cell above]({file.rpartition('/')[2]})", ""]
        elif words := "".join(output.get("text", data.get("text/plain", ""))).strip("\n"):
            said = ESCAPES.sub("", words).split("\n")
            more = [f"... {len(said) - LONGEST} more lines"] if len(said) > LONGEST else []
            lines += ["```text", *said[:LONGEST], *more, "```", ""]
    return lines
