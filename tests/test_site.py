"""The site: its galleries lead to pages, its examples run, and no page is wider than its window."""

import functools
import http.server
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pytest

from tools import gallery, pages, site, tables, tutorials
from zoo import index

ROOT = pathlib.Path(__file__).parent.parent
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.parametrize("room", ["models", "pretrained"])
def test_a_gallery_has_a_tile_a_page_with_a_picture_that_is_there(room):
    text = {"models": gallery.model_gallery, "pretrained": gallery.pretrained_gallery}[room]()
    links = re.findall(r'href="([^"]+)/"', text)
    assert sorted(links) == ([entry.name for entry in index.entries("models")] if room == "models" else tables.listed())
    assert all(f"{room}/{name}.md" in pages.generated() for name in links[:1])
    shown = [path.removeprefix("../") for path in re.findall(r'src="([^"]+)"', text)]
    assert shown and set(shown) <= set(pages.pictures())
    assert all(choice in text for choice in ("music and sound", "few labels")) or room == "models"


def test_a_notebook_is_a_page_with_its_pictures_and_its_neighbours():
    made, pictures = tutorials.tutorials()
    names = list(tutorials.notebooks())
    assert names[0] == "start" and list(made) == [f"tutorials/{name}.md" for name in names]
    text = made["tutorials/vae.md"]
    assert text.startswith("# ") and "colab.research.google.com/github" in text and "Keras" in text
    asked = re.findall(r"!\[.*?\]\((vae-\S+\.png)\)", text)
    assert asked and all(pictures[f"tutorials/{file}"].startswith(b"\x89PNG") for file in asked)
    assert f"[{names[1]} →]({names[1]}.md)" in made["tutorials/start.md"] and "Traceback" not in "".join(made.values())


def test_a_link_that_markdown_does_not_take_is_seen():
    assert site.BROKEN.search("<p>among [x](../parts/a.md#{'name': 'y'}).</p>")
    assert not site.BROKEN.search(site.CODE.sub("", "<p><code>f[0](x)</code> and <a href='x'>y</a> (see z)</p>"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [entry.name for entry in index.entries("models")])
def test_the_example_of_a_models_page_runs(name, tmp_path):
    entry = next(entry for entry in index.entries("models") if entry.name == name)
    program = "\n".join(pages.example(entry)).replace("epochs=5", "epochs=1, steps_per_epoch=2, verbose=0")
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / f"my_{name}.tflite").is_file() and (tmp_path / f"serving/my_{name}").is_dir()


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="needs Chromium")
def test_no_page_is_wider_than_its_window(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *args: None
    found = sorted(path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("index.html"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_api.sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser, wide = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"]), []
        for width in (390, 1280):
            page = browser.new_page(viewport={"width": width, "height": 900})
            for path in found:
                page.goto(f"http://127.0.0.1:{server.server_address[1]}/{path}/", wait_until="domcontentloaded")
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    wide.append((width, path))
        server.shutdown()
    assert not wide
