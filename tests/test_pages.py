"""README and the pages of the site: their snippets run, their links lead somewhere, their tables are those of today."""

import inspect
import json
import pathlib
import re
import subprocess
import sys
import types

import pytest

import zoo.pretrained
from tests import snippets
from tools import leaderboard, pages, refresh, tables
from zoo import address, index
from zoo.pretrained.store import checked_preset
from zoo.training.stages import stages_of

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if snippets.snippets(page)], ids=name_of)
def test_every_snippet_of_a_page_runs(page):
    done = subprocess.run([sys.executable, "-m", "tests.snippets", str(page)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == snippets.NOTHING_TO_RUN:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("```python\nx = 1\nx / 0\n```", r"page\.md:5: ZeroDivisionError"),
        ("```python\ndef f(:\n```", r"page\.md:4: SyntaxError"),
        ("```bash\ntrue\nfalse\n```", r"page\.md:4: the bash snippet .* ended with 1"),
        ('<!-- snippets say: "epochs=50" as "epochs=1" -->\n```python\nepochs = 20\n```', "no snippet has 'epochs=50'"),
    ],
)
def test_a_snippet_that_fails_is_named_by_page_and_line(code, said, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{code}\n")
    with pytest.raises(snippets.Failed, match=said):
        snippets.run(page)


def test_snippets_of_a_page_are_one_program_said_as_its_comments_say_without_those_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        '<!-- snippets say: "epochs = 20" as "epochs = 1" -->\n\n```python\nepochs = 20\n```\n\n'
        "```bash\necho 1 > epochs\n```\n\n<!-- not run: needs a network -->\n```bash\nfalse\n```\n\n"
        '```text\nno code\n```\n\n```python\nassert open("epochs").read() == f"{epochs}\\n"\n```\n'
    )
    snippets.run(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_presets_of_a_page_are_presets(page):
    for text in re.findall(r"^```json\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        assert stages_of(pathlib.Path("runs"), checked_preset(json.loads(text)))


def test_the_readme_is_short_and_its_links_work_anywhere():
    assert len(README.splitlines()) <= 150
    assert re.findall(r"\]\((?!https://|#)(\S+?)\)", README) == []
    assert re.findall(r'(?:src|href)="(?!https://)', README) == []


def test_public_functions_say_their_types():
    for name in zoo.__all__:
        function = getattr(zoo, name)
        if inspect.isfunction(function):
            signature = inspect.signature(function)
            said = [argument.annotation for argument in signature.parameters.values()] + [signature.return_annotation]
            assert signature.empty not in said, name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_the_project_lead_to_files_that_are_there(page):
    text = page.read_text()
    assert text == refresh.with_addresses(text)
    for path in re.findall(rf"{address.HOME}/(?:blob|raw|tree)/main/([^\s)#]+)", text):
        assert (ROOT / path).exists(), path


def test_links_to_the_site_lead_to_its_pages():
    known = {"", *(name.removesuffix(".md").removesuffix("index") for name in pages.generated())}
    known |= {str(p.relative_to(ROOT / "docs")).removesuffix(".md").removesuffix("index") for p in PAGES[1:]}
    for path in re.findall(rf"{refresh.SITE}([^\s)#]*)", README):
        assert path.removesuffix("/") in {name.removesuffix("/") for name in known}, path


def test_the_lists_of_the_readme_are_those_of_the_cards_and_the_source():
    assert refresh.with_lists(ROOT / "README.md") == README
    for entry in index.entries("models"):
        assert f"`{entry.name}`" in README


def test_what_is_registered_and_measured_has_its_place_in_the_site():
    made = pages.generated()
    for kind in (*index.PARTS, "pictures"):
        for entry in index.entries(kind):
            assert f"\n## {entry.name}\n" in made[f"parts/{kind}.md"]
    for entry in index.entries("models"):
        text = made[f"models/{entry.name}.md"]
        assert entry.about in text and all(f"| `{name}` |" in text for name in entry.arguments)
    asked = " ".join(page.read_text() for page in PAGES)
    for path in sorted(tables.RESULTS.glob("*.md")):
        assert f"<!-- table: {path.stem} -->" in asked, path.name
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        helps = path.stem in ("energies", "runs")
        assert helps or f"<!-- script: {path.stem} -->" in asked, path.name


def test_the_leaderboard_has_what_is_measured_by_one_protocol_the_best_first():
    static, dynamic = (
        next(p for p in leaderboard.PROTOCOLS if p.data == data) for data in ("binarized_mnist", "mnist")
    )
    names = {row[2].strip("*")[1:].partition("]")[0] for row in leaderboard.ours(dynamic, "{}")}
    assert "vae_mnist" in names and not names & {"conditional_vae_mnist", "hvi_vae_binarized_mnist"}
    text = leaderboard.leaderboard().partition(f"## {static.title}")[2].partition("\n## ")[0]
    numbers = [float(found) for found in re.findall(r"^\| \**([\d.]+)", text, re.M)]
    assert numbers == sorted(numbers) and len(numbers) > len(static.published.strip().splitlines())
    assert f"{zoo.pretrained.read_card('hvi_vae_binarized_mnist')['metrics']['nll']['value']:.2f}" in text


def test_the_messages_that_troubles_quotes_are_in_the_source():
    text = "".join(path.read_text() for path in sorted((ROOT / "zoo").rglob("*.py")))
    text = re.sub(r"\{[^{}]*\}", "...", re.sub(r'"\n\s*f?"', "", text).replace("\\'", "'"))
    quoted = re.findall(r"\| `([^`]{30,})` \|", (ROOT / "docs" / "troubles.md").read_text())
    assert len(quoted) > 15
    for message in quoted:
        if not message.startswith("No module"):  # Python's own
            pieces = [piece for piece in message.split("...") if len(piece) > 5]
            assert not [piece for piece in pieces if piece not in text], message


def test_a_piece_of_source_is_shown_without_its_docstring():
    assert pages.source("zoo/objectives/bounds.py", "elbo").splitlines()[1:-1] == [
        "def elbo(trace):",
        "    return trace.reconstruction + trace.entropy - sum(trace.kl.values())",
    ]
    assert "Trace(" in pages.source("zoo/models/one_latent.py", "OneLatent.passed", "trace =")
    with pytest.raises(StopIteration):
        pages.source("zoo/objectives/bounds.py", "elbow")


def test_addresses_of_another_project_become_those_of_this_one():
    text = "https://host.org/a/b/raw/main/x.png https://a.github.io/b/start/ git clone https://host.org/a/b"
    assert refresh.with_addresses(text) == (
        f"{address.HOME}/raw/main/x.png {refresh.SITE}start/ git clone {address.HOME}"
    )


def test_links_of_a_page_lead_to_the_sites_pictures_to_its_pages_and_to_the_projects_files():
    site = pytest.importorskip("tools.site")
    assert site.in_site("../saved_models/vae_mnist/kl.png", "") == "saved_models/vae_mnist/kl.png"
    assert site.in_site("../../benchmarks/results/warm_up.png", "how") == "../benchmarks/results/warm_up.png"
    assert site.in_site("../which.md", "how") == "../which.md"
    assert site.in_site("../SECURITY.md", "") == f"{address.HOME}/blob/main/SECURITY.md"
    assert site.in_site("../nothing.md", "") == "../nothing.md"  # MkDocs says that it leads nowhere


@pytest.mark.parametrize(
    "asked", ["source: zoo/objectives/bounds.py elbow", "table: nothing", "metric: vae_mnist luck", "script: nothing"]
)
def test_a_page_that_asks_for_what_is_not_there_is_named(asked):
    site, exceptions = pytest.importorskip("tools.site"), pytest.importorskip("mkdocs.exceptions")
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="a.md"))
    config = types.SimpleNamespace(extra={"pages": {}})
    with pytest.raises(exceptions.PluginError, match=f"a.md: <!-- {asked} -->"):
        site.on_page_markdown(f"<!-- {asked} -->", page, config, None)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    html = {path: path.read_text() for path in tmp_path.rglob("*.html")}
    for path, text in html.items():
        home = tmp_path if path.name == "404.html" else path.parent
        for link in re.findall(r'(?:src|href)="([^":#?]+)[#?"]', text):
            target = tmp_path / link.lstrip("/") if link.startswith("/") else home / link
            assert link.startswith("/") or target.exists(), f"{path.relative_to(tmp_path)} leads to {link}"
    assert "<math" in html[tmp_path / "mathematics" / "index.html"]
