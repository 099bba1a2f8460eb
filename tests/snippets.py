"""python -m tests.snippets PAGE: run every Python and bash snippet of a page, in their order and in one empty folder.

The Python snippets of a page are one program. What fails is named by page and line. A page may say in comments

    <!-- snippets need: mnist, jsb_chorales -->              data sets; where they are not prepared, nothing is run
    <!-- snippets say: "epochs=20" as "epochs=1" -->         a shorter training in place of the one that is shown
    <!-- not run: needs Docker -->                           of the snippet below
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parent.parent
FENCE = re.compile(r"^```(python|bash)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEED = re.compile(r"<!-- snippets need: (.+?) -->")
SAY = re.compile(r'<!-- snippets say: "(.+?)" as "(.*?)" -->')
LEFT_OUT = re.compile(r"<!-- not run: .+ -->\n+\Z")
NOTHING_TO_RUN = 5  # the exit code where data sets are missing


class Snippet(NamedTuple):
    """A piece of code of a page, and the line that it begins at."""

    language: str
    line: int
    code: str


class Failed(Exception):
    """A snippet that failed, by page and line."""


def snippets(page):
    """The `Snippet`s of a page that are to be run, as its comments have them."""
    text = pathlib.Path(page).read_text()
    said, found = SAY.findall(text), []
    for match in FENCE.finditer(text):
        if LEFT_OUT.search(text[: match.start()]):
            continue
        code, line = match[2], text[: match.start(2)].count("\n") + 1
        for old, new in said:
            code = code.replace(old, new)
        found.append(Snippet(match[1], line, code))
    shown = "".join(match[2] for match in FENCE.finditer(text))
    for old, _ in said:
        if old not in shown:
            raise Failed(f"{page}: no snippet has {old!r}, which a comment would change")
    return found


def needs(page):
    """The names of the data sets that a page needs."""
    return [name for said in NEED.findall(pathlib.Path(page).read_text()) for name in said.split(", ")]


def run(page):
    """Run a page's snippets in the current folder."""
    namespace = {"__name__": "__main__"}
    for language, line, code in snippets(page):
        if language == "bash":
            run_bash(page, line, code)
        else:
            run_python(page, line, code, namespace)


def run_python(page, line, code, namespace):
    try:
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
    except Exception as error:
        traceback.print_exc()
        at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(page)]
        at = at[-1] if at else getattr(error, "lineno", line)
        raise Failed(f"{page}:{at}: {type(error).__name__}: {error}") from None


def run_bash(page, line, code):
    trap = f"set -Eeuo pipefail; trap 'echo {page}:$LINENO: this command failed >&2' ERR"
    if code := subprocess.run(["bash", "-c", trap + "\n" * (line - 1) + code]).returncode:
        raise Failed(f"{page}:{line}: the bash snippet that begins here ended with {code}")


def main(page):
    """The exit code of a page."""
    from zoo.data import describe_dataset

    page = pathlib.Path(page).resolve()
    missing = [name for name in needs(page) if not describe_dataset(name)["available"]]
    if missing:
        print(f"{page.name} needs {', '.join(missing)}, not prepared here")
        return NOTHING_TO_RUN
    os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    sys.path.insert(0, "")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            run(page)
        except Failed as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            os.chdir(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
