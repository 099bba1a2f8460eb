"""How a worker reads a stranger's folder by a command, a server by its address, and a zip."""

import base64
import contextlib
import io
import json
import os
import shutil
import socketserver
import sys
import threading
import time

from robustness.worker import Harm

SECRET = "4711"
SOON = {"PATIENCE": 0.3, "TIMEOUT": (0.5, 1)}  # seconds that a server may take here, so that cases are short


class Hub:
    """Takes what is pushed."""

    def __init__(self, **settings):
        self.repo_exists = lambda name: False
        self.create_repo = lambda name, exist_ok: None
        self.upload_folder = lambda **given: None


def prepare():
    """Let pushes end here, without what takes long and has nothing to do with a folder; and servers answer soon."""
    import huggingface_hub

    import zoo
    from zoo import export
    from zoo.pretrained import places

    zoo.export_saved_model, zoo.export_tflite  # noqa: B018  (loads them)
    huggingface_hub.HfApi, huggingface_hub.get_token = Hub, lambda: "hf_x"
    export.export_saved_model = export.export_tflite = lambda *given, **settings: None
    for name, value in SOON.items():
        setattr(places, name, value)


def found_in(folder):
    """Path -> bytes of the plain files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}


def command(path):
    """Run a command of a case in its folder `work`, where the stranger's is linked; raises what it says."""
    from zoo import cli
    from zoo.errors import InvalidInput

    os.environ["ZOO_CACHE"] = str(path / "cache")
    os.symlink(path / "theirs", path / "work" / "theirs")
    os.chdir(path / "work")
    outside, theirs = found_in(path / "outside"), found_in(path / "theirs")
    arguments = json.loads((path / "command").read_text())
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(arguments)
        except SystemExit as ended:
            code = ended.code or 0
    said = err.getvalue().splitlines()
    left = list(found_in(path / "work"))
    if found_in(path / "outside") != outside or (SECRET in out.getvalue() + err.getvalue()):
        raise Harm("outside", f"{arguments}: a file outside was read or written")
    changed = {name for name, content in found_in(path / "theirs").items() if theirs.get(name) != content}
    if changed - {"card.json", "README.md"} or (changed and "--update-card" not in arguments):
        raise Harm("outside", f"{arguments} wrote {changed} into the stranger's folder")
    if any(".partial" in name for name in left) or (code == 2 and (left or changed)):
        raise Harm("half", f"{arguments} left {left}, {changed}: {said[-1:]}")
    if code:
        if code not in (1, 2) or not said[-1].startswith("zoo: ") or any("Traceback" in line for line in said):
            raise RuntimeError(f"{arguments} ended with {code}: {said[-3:]}")
        raise InvalidInput(f"{' '.join(arguments)}: {said[-1]}")


def loaded(name, cache):
    """Load a model from elsewhere; where that is refused the cache holds none."""
    import zoo

    os.environ["ZOO_CACHE"] = str(cache)
    try:
        zoo.load(name)
    except ValueError:
        for card in cache.rglob("card.json"):
            if not any(card.parent.glob("*.h5")):
                raise Harm("half", f"{card} lies in the cache without its weights") from None
        if any(cache.rglob(".partial*")):
            raise Harm("half", "a file that was not finished lies in the cache") from None
        raise


def archive(path):
    """Load a zip."""
    loaded(str(path), path.parent / "cache")


class Answering(socketserver.BaseRequestHandler):
    """Sends what a case says, whatever it is asked for."""

    def handle(self):
        asked = self.request.recv(2**16).split(b" ")
        answer = self.server.answers.get(asked[1].decode(errors="replace").split("/")[-1] if asked[1:] else "")
        if answer is None:
            answer = {"head": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "body": "", "again": 0, "pause": 0}
        body = base64.b64decode(answer["body"])
        with contextlib.suppress(OSError):
            self.request.sendall(answer["head"].encode("latin-1", "replace"))
            for _ in range(answer["again"] + 1):
                self.request.sendall(body)
                time.sleep(answer["pause"])


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

    def handle_error(self, request, address):
        print(sys.exc_info()[1], file=sys.stderr)


def server(path):
    """Load the model of a server that answers as a case says."""
    cache = path.parent / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    with Server(("127.0.0.1", 0), Answering) as found:
        found.answers = json.loads(path.read_text())
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            loaded(f"http://127.0.0.1:{found.server_address[1]}/theirs/", cache)
        finally:
            found.shutdown()
            thread.join()
