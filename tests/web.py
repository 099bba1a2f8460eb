"""A web server of a folder on this machine, which knows ranges, and does badly what it is asked to do badly."""

import contextlib
import http.server
import re
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        web, path = self.server.web, self.path
        web.asked.append((path, self.headers.get("Range")))
        file = web.folder / path.lstrip("/")
        if path in web.redirects:
            return self.answer(302, b"", Location=web.redirects[path])
        if path in web.pages:
            return self.answer(200, b"<html>Sign in</html>", **{"Content-Type": "text/html; charset=utf-8"})
        if not file.is_file():
            return self.answer(404, b"")
        content, start = file.read_bytes(), 0
        if web.ranges and (asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(asked[1])
        if start >= len(content) > 0:
            return self.answer(416, b"")
        most = web.cuts[path].pop() if web.cuts.get(path) else len(content)
        ranged = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        return self.answer(206 if start else 200, content[start:], most, **ranged)

    def answer(self, code, content, most=None, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:most])
        if most is not None and most < len(content):
            self.close_connection = True

    def log_message(self, *arguments):
        pass


class Web:
    """What the server shows, what it was asked, and what goes wrong.

    `cuts` is path -> the bytes after which the next answers break off, last first; `redirects` path -> address; `pages`
    are paths that give a page of HTML; and without `ranges` every file is sent from its beginning.
    """

    def __init__(self, folder, address):
        self.folder, self.address = folder, address
        self.asked, self.cuts, self.redirects, self.pages, self.ranges = [], {}, {}, set(), True


@contextlib.contextmanager
def serving(folder):
    """A `Web` of a folder, until the block ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.web = Web(folder, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
