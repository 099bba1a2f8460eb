"""Transfers of files: bounded, resumed, and checked before they have their name."""

import contextlib
import hashlib
import os

from zoo.errors import InvalidInput
from zoo.files import LARGEST_FILE, locked, writing
from zoo.pretrained.places import Cut, Missing

ATTEMPTS = 4


def read(place, name, limit):
    """The bytes of a small file.

    Raises:
        Missing: it is not there.
        InvalidInput: it is larger than `limit` bytes.
    """
    content = b""
    with place.stream(name) as stream:
        for chunk in stream.chunks:
            content += chunk
            if len(content) > limit:
                raise InvalidInput(f"{name} of {place} is larger than the {limit // 2**20} MB that are read")
    return content


def receive(place, entry, path):
    """Bring the weights of a card's entry {"file", "sha256", "bytes"} to `path`, which appears when they are checked.

    What came before the connection broke off stays beside it, and the next attempt goes on from there.

    Raises:
        Missing, Cut: they are not there, or do not arrive whole.
        InvalidInput: another size or SHA-256 than the card's.
        CannotWrite: the folder is not ours, the disk is full.
    """
    part = path.with_name(f"{path.name}.part")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with (
        locked(path.with_name(f"{path.name}.lock")),
        writing(part),
        bar(path.parent.name, entry.get("bytes")) as report,
    ):
        if arrived(path, entry):  # by another, while this one waited
            return
        try:
            begun = part.exists()
            pull(place, entry, part, report)
            if begun and digest(part) != entry["sha256"]:  # it may have begun with another file
                part.unlink()
                pull(place, entry, part, report)
            if digest(part) != entry["sha256"]:
                raise InvalidInput(f"{entry['file']} of {place} is not the one of its card: its SHA-256 differs")
        except InvalidInput as error:
            if not isinstance(error, (Cut, Missing)):
                part.unlink(missing_ok=True)
            raise
        os.replace(part, path)


def arrived(path, entry):
    """Whether a file is there, and that of a card's entry."""
    return path.is_file() and digest(path) == entry["sha256"]


def pull(place, entry, part, report):
    """Append to a partial file what it lacks; where that breaks off a few times more."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(Cut):
            append(place, entry, part, report)
            return
    append(place, entry, part, report)


def append(place, entry, part, report):
    """Append to a partial file what it lacks, at once."""
    size, have = entry.get("bytes"), size_of(part)
    if size is not None and have > size:
        part.unlink()
        have = 0
    if have and have == size:
        return
    name, most = entry["file"], LARGEST_FILE if size is None else size
    with place.stream(name, have) as stream:
        if (size is not None and stream.size not in (None, size)) or (stream.size or 0) > most:
            raise InvalidInput(f"{name} of {place} has {stream.size:,} bytes, and its card says {most:,}")
        have = stream.start
        with open(part, "r+b" if have else "wb") as file:
            file.seek(have)
            file.truncate()
            for chunk in stream.chunks:
                have += len(chunk)
                if have > most:
                    raise InvalidInput(f"{name} of {place} is longer than the {most:,} bytes of its card")
                file.write(chunk)
                report(have)
    if have < (size or stream.size or 0):
        raise Cut(f"{name} of {place} broke off after {have:,} bytes; the next attempt goes on from there")


def size_of(path):
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def digest(path):
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def bar(label, total):
    """A progress bar on a terminal or in a notebook; yields the function `report(bytes so far)`."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    shown = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, disable=not shown) as progress:
        task = progress.add_task(f"fetching {label}", total=total)
        yield lambda done: progress.update(task, completed=done)
