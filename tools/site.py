"""MkDocs' hooks, named in mkdocs.yml: pages that are generated, tables and source inside pages, and mathematics.

In a page under docs/ `<!-- table: NAME -->` is a table of `tools.tables`, `<!-- script: NAME -->` what a benchmark says
of itself, `<!-- source: PATH NAME -->` a function of the source (`| TEXT` behind it: its statement that begins so),
`<!-- test: PATH NAME -->` a link to a test, and `<!-- metric: NAME METRIC -->` a number of a card.
Links are those of the checkout, so that they work on its pages too.
"""

import pathlib
import posixpath
import re
import sys

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))  # `mkdocs` itself does not look where it is called

from tools.gallery import pretrained_gallery
from tools.pages import docstring_of, found, generated, pictures, source
from tools.refresh import OWNER, PROJECT, SITE
from tools.tables import OF_PAGES, ROOT, table
from tools.tutorials import tutorials
from zoo import pretrained
from zoo.address import HOME
from zoo.errors import InvalidInput

INSERT = re.compile(r"<!-- (gallery|table|script|source|test|metric): (\S+)(?: ([\w.]+))?(?: \| (.+?))? -->")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
CODE = re.compile(r"<(code|pre)\b.*?</\1>", re.DOTALL)
BROKEN = re.compile(r"\[[^\]<>]*\]\([^)<>]*\)")  # Markdown's own, which found no address in it
PLACES = {"pretrained": "pretrained/{}.md", "compact": "pretrained/{}.md"}
SHOWN = ("saved_models/", "benchmarks/results/")


def on_config(config):
    """The project's addresses, and a place in the navigation for every generated page."""
    config.site_url, config.repo_url, config.repo_name = SITE, HOME, f"{OWNER}/{PROJECT}"
    config.extra["pages"] = generated()
    config.nav = [with_children(entry, config.extra["pages"]) for entry in config.nav]
    return config


def with_children(entry, pages):
    """An entry of the navigation, in which a folder, "models/", stands for its generated pages."""
    ((title, inside),) = entry.items()
    return {title: [one for child in inside for one in children(child, pages)] if isinstance(inside, list) else inside}


def children(child, pages):
    """A child of an entry, or the pages in its place, each under its name."""
    if not (isinstance(child, str) and child.endswith("/")):
        return [child]
    return [{pathlib.Path(path).stem: path} for path in pages if path.startswith(child) and "index" not in path]


def on_files(files, config):
    """The generated pages, and the pictures of models and benchmarks."""
    for path, text in config.extra["pages"].items():
        files.append(File.generated(config, path, content=text))
    for path, file in pictures().items():
        files.append(File.generated(config, path, abs_src_path=str(file)))
    for path, content in tutorials()[1].items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """The page with what it asks for, and with links that are good in the site."""
    home = posixpath.dirname(page.file.src_uri)
    if page.file.src_uri not in config.extra["pages"]:
        markdown = LINK.sub(lambda match: in_site(match[1], home), markdown)

    def asked(match):
        try:
            return inserted(*match.groups(), home)
        except (StopIteration, KeyError, OSError, InvalidInput) as error:
            raise PluginError(f"{page.file.src_uri}: {match[0]} names nothing that is there") from error

    return INSERT.sub(asked, markdown)


def inserted(kind, what, name, start, home):
    """What stands in place of a comment."""
    if kind == "gallery":
        return pretrained_gallery()
    if kind == "source":
        return f"\n{source(what, name, start or '')}\n"
    if kind == "test":
        return f"\n- Tested: [{sentence(name)}]({HOME}/blob/main/{what}#L{found(what, name).lineno})"
    if kind == "metric":
        value = pretrained.read_card(what)["metrics"][name]["value"]
        return f"{value:.2f}" if isinstance(value, float) else str(value)
    if kind == "script":
        return docstring_of(f"benchmarks/{what}.py")
    where = PLACES.get(what, "models/{}.md") if what in OF_PAGES else None
    return "\n".join(table(what, where and posixpath.relpath(where, home or ".")))


def sentence(test):
    """What a test of that name says."""
    return test.removeprefix("test_").replace("_", " ")


def in_site(link, home):
    """A link of a page in docs/`home` as the site has it, which has the pictures; other files are at the project's."""
    path = posixpath.normpath(posixpath.join("docs", home, link))
    if path.startswith("docs/") or not (ROOT / path).exists():
        return link
    if path.startswith(SHOWN) and path.endswith(".png"):
        return posixpath.relpath(path, home or ".")
    return f"{HOME}/blob/main/{path}"


def on_page_content(html, page, config, files):
    """Mathematics as MathML, which browsers show without a script."""

    def drawn(match):
        text = match[2].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        text = re.sub(r"\\log (?=\w|\\hat|\\frac)", r"\\log\\, ", text)  # a space that `convert` forgets
        return convert(text, display="block" if match[1] == "div" else "inline")

    if broken := BROKEN.search(CODE.sub("", html)):
        raise PluginError(f"{page.file.src_uri}: a link that is none: {broken[0]}")
    return MATH.sub(drawn, html)
