"""Places that files come from: a folder, a zip, the web. Each gives a `Stream` of a file, from any byte on."""

import collections
import contextlib
import os
import pathlib
import queue
import re
import stat
import threading
import time
import urllib.parse
import zipfile
from typing import NamedTuple

from zoo.errors import InvalidInput, reason
from zoo.files import opened_zip
from zoo.pretrained.limits import CARD

TIMEOUT = (10, 30)  # seconds: to be connected, and for each answer
CHUNK = 2**16
PATIENCE, SLOWEST = 30, 2**13  # seconds, after which so many bytes a second must have come
MOST_REDIRECTS = 10
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
    """A plain file opened to be read; `Missing` where that cannot be done."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would wait for ever, a device never end
            raise Missing(f"{path} is no plain file")
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
        if (self.path / name).resolve().parent != self.path.resolve():
            raise Missing(f"{name} in {self.path} is a link out of it")
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
        with open_file(self.path) as file, opened_zip(file, self.path) as archive:
            yield archive


class Web:
    """Files below an address. Redirects are followed on its own host, and of the Hub to the hosts of its files."""

    def __init__(self, address, hub=False):
        self.address, self.hub = address.rstrip("/") + "/", hub

    def __str__(self):
        return self.address

    @contextlib.contextmanager
    def stream(self, name, start=0):
        check_address(self.address)
        url = self.address + urllib.parse.quote(name)
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {}), **self.token()}
        with failures(url):
            response = self.ask(url, headers)
            if response.status_code == 416 and start:  # what is there is shorter than what came of it before
                response = self.ask(url, {**headers, "Range": None})
            with response:
                yield answered(response, name, start)

    def ask(self, url, headers):
        """The answer to a question, behind redirects that are allowed, of which no body is read."""
        for _ in range(MOST_REDIRECTS):
            response = first_answer(url, headers)
            if not response.is_redirect:
                return response
            response.close()
            target = urllib.parse.urljoin(url, response.headers["Location"])
            if not self.allows(url, target):
                raise Missing(f"{url} leads to another host, which is not followed: {target[:200]}")
            if urllib.parse.urlsplit(target).hostname != urllib.parse.urlsplit(url).hostname:
                headers = {key: value for key, value in headers.items() if key != "Authorization"}
            url = target
        raise Missing(f"{self.address} leads from one address to another for ever")

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

    def allows(self, before, after):
        """Whether a redirect stays on its host, and does not leave https; or is one of the Hub to its files."""
        old, new = urllib.parse.urlsplit(before), urllib.parse.urlsplit(after)
        if self.hub and new.scheme == "https" and f".{new.hostname}".endswith(HUB_HOSTS):
            return True
        upgraded = (old.scheme, new.scheme) == ("http", "https") and old.port == new.port
        return new.hostname == old.hostname and (upgraded or (new.scheme, new.port) == (old.scheme, old.port))


def check_address(address):
    """Raise `InvalidInput` unless an address has a host and no name and password, which others would read."""
    try:
        parts = urllib.parse.urlsplit(address)
        fits = parts.hostname and len(parts.hostname) < 254 and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, fits = None, False
    if not fits:
        raise InvalidInput(f"this is no address of the web: {str(address).rpartition('@')[2][:200]!r}")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(f"an address holds no name and password: {parts.hostname}")


def hub_name(address):
    """The "user/name" of an address hf://user/name."""
    found = re.fullmatch(r"hf://(\w[\w.-]*/\w[\w.-]*)", str(address))
    if not found:
        raise InvalidInput(f"an address of the Hub is hf://user/name, got {str(address)!r}")
    return found[1]


def first_answer(url, headers):
    """The answer of the web to one question, whose headers must be there in time: `requests` counts each byte anew."""
    import requests

    answers = queue.Queue()

    class Session(requests.Session):
        def resolve_redirects(self, *args, **settings):
            return iter(())  # its own reads the whole of their bodies, however long

    def ask():
        try:
            answers.put(Session().get(url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=sum(TIMEOUT))
    except queue.Empty:
        raise Unreachable(f"{url} does not answer in {sum(TIMEOUT)} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def answered(response, name, start):
    """The `Stream` of an answer from the web to a question for a file from byte `start` on."""
    if response.status_code >= 400:
        raise Missing(f"{response.url} answers {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise Missing(f"{response.url} is a page (text/html) and not the file {name}")
    start = start if response.status_code == 206 else 0
    left = response.headers.get("Content-Length", "")
    whole = re.fullmatch(r"[0-9]{1,15}", left)
    return Stream(start, start + int(left) if whole else None, chunks(response))


def chunks(response):
    """The chunks of an answer; `Cut` where it breaks off, or comes too slowly."""
    import urllib3

    begun, came = time.monotonic(), 0
    try:
        for chunk in iter(lambda: response.raw.read1(CHUNK), b""):
            came += len(chunk)
            passed = time.monotonic() - begun
            if passed > PATIENCE and came < SLOWEST * passed:
                raise Cut(f"{response.url} sends less than {SLOWEST // 2**10} KB a second")
            yield chunk
    except (urllib3.exceptions.HTTPError, OSError) as error:
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
    except (requests.RequestException, ValueError, LookupError) as error:  # of answers that are none
        if isinstance(error, InvalidInput):
            raise
        raise Missing(f"{url}: {reason(error)}") from error
