"""Places that files come from: a folder, a zip, the web. Each gives a `Stream` of a file, from any byte on."""

import collections
import contextlib
import os
import pathlib
import re
import urllib.parse
import zipfile
import zlib
from typing import NamedTuple

from zoo.errors import InvalidInput, reason
from zoo.pretrained.limits import CARD

TIMEOUT = (10, 30)  # seconds: to be connected, and for each answer
CHUNK, MOST_MEMBERS = 2**16, 10_000
HUB_HOSTS = (".hf.co", ".huggingface.co")  # where the Hub keeps large files


class Missing(InvalidInput):
    """A place does not have a file, or cannot be reached."""


class Unreachable(Missing):
    """The network is down, or what answers there is."""


class Cut(InvalidInput):
    """A transfer broke off."""


class Stream(NamedTuple):
    """A file on its way: its first byte, how many it has (None where that is not said), and chunks of it."""

    start: int
    size: int | None
    chunks: object


def open_file(path):
    """A file opened to be read; `Missing` where that cannot be done."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise Missing(f"cannot read {path}: {reason(error)}") from error


class Folder:
    """Files in a folder."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def __str__(self):
        return str(self.path)

    @contextlib.contextmanager
    def stream(self, name, start=0):
        with open_file(self.path / name) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            yield Stream(start, size, iter(lambda: file.read(CHUNK), b""))


class Zip:
    """Files in a zip, of which one folder, or the top, holds a card; only files of plain names are ever read."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def __str__(self):
        return str(self.path)

    @contextlib.contextmanager
    def stream(self, name, start=0):
        with self.opened() as archive:
            home = self.home(archive.namelist())
            try:
                member = archive.getinfo(f"{home}{name}")
            except KeyError:
                raise Missing(f"{self.path} has no file {name}") from None
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InvalidInput(f"{name} in {self.path} is compressed in another way than zips usually are")
            with archive.open(member) as file:
                yield Stream(0, member.file_size, iter(lambda: file.read(CHUNK), b""))

    def home(self, names):
        """The folder of the card, as a prefix.

        Raises:
            InvalidInput: names that lead out of the zip, none or several cards, or a name that is there twice.
        """
        if len(names) > MOST_MEMBERS:
            raise InvalidInput(f"{self.path} holds more than {MOST_MEMBERS} files")
        for name, count in collections.Counter(names).items():
            if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name:
                raise InvalidInput(f"{self.path} holds a file that leads out of it: {name!r}")
            if count > 1:
                raise InvalidInput(f"{self.path} holds two files of the name {name!r}")
        cards = [name for name in names if name.split("/")[-1] == CARD and name.count("/") <= 1]
        if len(cards) != 1:
            raise InvalidInput(f"{self.path} holds {len(cards) or 'no'} {CARD}: it is not one saved model")
        return cards[0].removesuffix(CARD)

    @contextlib.contextmanager
    def opened(self):
        """The archive; whatever is wrong with it is one line."""
        file = open_file(self.path)
        try:
            with file, zipfile.ZipFile(file) as archive:
                yield archive
        except InvalidInput:
            raise
        except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError) as error:
            raise InvalidInput(f"{self.path} cannot be read as a zip: {reason(error)}") from error


class Web:
    """Files below an address. Redirects are followed on its own host, and of the Hub to the hosts of its files."""

    def __init__(self, address, hub=False):
        self.address, self.hub = address.rstrip("/") + "/", hub

    def __str__(self):
        return self.address

    @contextlib.contextmanager
    def stream(self, name, start=0):
        url = self.address + urllib.parse.quote(name)
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {}), **self.token()}
        with failures(url), self.session() as session:
            response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
            if response.status_code == 416 and start:  # what is there is shorter than what came of it before
                response = session.get(url, headers={**headers, "Range": None}, stream=True, timeout=TIMEOUT)
            with response:
                yield answered(response, name, start)

    def token(self):
        """The header with the user's token of the Hub, where there is one."""
        if not self.hub:
            return {}
        try:
            from huggingface_hub import get_token
        except ImportError:
            return {}
        token = get_token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def session(self):
        """A session of requests that refuses redirects off the host."""
        import requests

        place = self

        class Session(requests.Session):
            def get_redirect_target(self, response):
                target = super().get_redirect_target(response)
                if target and not place.allows(response.url, urllib.parse.urljoin(response.url, target)):
                    raise Missing(f"{response.url} leads to another host, which is not followed: {target}")
                return target

        return Session()

    def allows(self, before, after):
        """Whether a redirect stays on its host, and does not leave https; or is one of the Hub to its files."""
        old, new = urllib.parse.urlsplit(before), urllib.parse.urlsplit(after)
        if self.hub and new.scheme == "https" and f".{new.hostname}".endswith(HUB_HOSTS):
            return True
        upgraded = (old.scheme, new.scheme) == ("http", "https") and old.port == new.port
        return new.hostname == old.hostname and (upgraded or (new.scheme, new.port) == (old.scheme, old.port))


def hub_name(address):
    """The "user/name" of an address hf://user/name."""
    found = re.fullmatch(r"hf://(\w[\w.-]*/\w[\w.-]*)", str(address))
    if not found:
        raise InvalidInput(f"an address of the Hub is hf://user/name, got {str(address)!r}")
    return found[1]


def answered(response, name, start):
    """The `Stream` of an answer from the web to a question for a file from byte `start` on."""
    if response.status_code >= 400:
        raise Missing(f"{response.url} answers {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise Missing(f"{response.url} is a page (text/html) and not the file {name}")
    start = start if response.status_code == 206 else 0
    left = response.headers.get("Content-Length", "")
    return Stream(start, start + int(left) if left.isdigit() else None, chunks(response))


def chunks(response):
    """The chunks of an answer; `Cut` where it breaks off or nothing comes for too long."""
    import requests

    try:
        yield from response.iter_content(CHUNK)
    except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError) as error:
        raise Cut(f"{response.url} broke off; the next attempt goes on from there") from error


@contextlib.contextmanager
def failures(url):
    """What the network does instead of an answer becomes `Missing`, in one line."""
    import requests

    try:
        yield
    except requests.Timeout as error:
        raise Unreachable(f"{url} does not answer") from error
    except requests.ConnectionError as error:
        said = re.sub(r"\[Errno -?\d+\] | \(.*|[)\"]+$", "", str(error).rsplit(": ", 1)[-1])
        raise Unreachable(f"{url} cannot be reached: {said[:1].lower()}{said[1:]}") from error
    except requests.RequestException as error:
        raise Missing(f"{url}: {reason(error)}") from error
