"""python -m tools.refresh [README.md]: write zoo/index.json, models' pages, and README's lists and addresses, anew.

The lists stand between their markers; everything else that is generated belongs to the site (`tools.site`), which is
made of the cards, the source and the benchmarks' results each time it is built.
"""

import pathlib
import re
import sys

from tools.index import index_bytes
from tools.tables import ROOT, table
from zoo import index, pretrained
from zoo.address import HOME
from zoo.files import atomic, write_bytes
from zoo.pretrained import cards
from zoo.pretrained.results import csv_text

OWNER, PROJECT = HOME.split("/")[-2:]
SITE = f"https://{OWNER}.github.io/{PROJECT}/"
SECTION = r"(?P<start><!-- (?P<name>\w+): written by python -m tools.refresh -->).*?(?P<end><!-- end of (?P=name) -->)"
PLACES = {"compact": f"{HOME}/blob/main/saved_models/{{}}/README.md"}
KNOWN = {  # an address as some earlier constant made it -> as this one does
    r"https://[\w./-]+?/(?=(?:blob|raw|tree)/main/)": f"{HOME}/",
    r"https://[\w.-]+\.github\.io/[\w.-]+/": SITE,
    r"(?<=git clone )https://[\w./-]+": HOME,
}
RESULTS = ROOT / "docs" / "results.csv"
ADDRESSED = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def refresh(path=ROOT / "README.md"):
    """Write index, table of results, models' pages, the lists of the README at `path`, addresses in it and in docs/."""
    write_bytes(index.FILE, index_bytes())
    index.content.cache_clear()
    write_bytes(RESULTS, csv_text(pretrained.list_pretrained()).encode())
    for name in pretrained.list_pretrained():
        cards.write(pretrained.locate(name), pretrained.read_card(name))
    path = pathlib.Path(path)
    write(path, with_lists(path))
    for page in ADDRESSED:
        write(page, with_addresses(page.read_text()))


def write(path, text):
    """Replace a file's text where it is another."""
    if path.read_text() != text:
        with atomic(path) as temporary:
            temporary.write_text(text)


def with_lists(path):
    """The text of the README at `path`, with the lists between their markers."""

    def section(match):
        name = match["name"]
        return "\n".join([match["start"], "", *table(name, PLACES.get(name)), "", match["end"]])

    return re.sub(SECTION, section, path.read_text(), flags=re.DOTALL)


def with_addresses(text):
    """A text whose links to the project's files, to its site and to its repository have the addresses given here."""
    for pattern, address in KNOWN.items():
        text = re.sub(pattern, address, text)
    return text


if __name__ == "__main__":
    refresh(*sys.argv[1:])
