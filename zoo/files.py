"""Files that appear whole or not at all, whatever is killed or full, and locks that die with their owner."""

import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time
import zipfile
import zlib

from filelock import FileLock, Timeout

from zoo.errors import CannotWrite, InvalidInput, OutputExists, reason

SCRATCH = ".partial-"  # begins the names of folders in which files are made; TF Serving takes none for a version
SETTLED = 2  # seconds
LARGEST_JSON, LARGEST_FILE = 2**24, 2**31  # bytes: of a file of JSON, and of weights
MOST_MEMBERS = 10_000  # of a zip
ENDING, LARGEST_LIST = 2**16 + 22, 2**22  # bytes: in which the end of a zip is looked for, and of its list of members


@contextlib.contextmanager
def atomic(path):
    """A path of the same name, in a folder of its own beside `path`, that is renamed to it when the block ends well.

    It may become a file or a folder. What a killed process left behind in such folders is removed.

    Raises:
        CannotWrite: the disk is full, the folder is not ours, and the like; `path` is then what it was before.
    """
    path = pathlib.Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(path.parent)
        with scratch_folder(path.parent) as scratch:
            yield scratch / path.name
            to_disk(scratch / path.name)
            os.replace(scratch / path.name, path)


@contextlib.contextmanager
def scratch_folder(parent):
    """A new folder inside `parent`, held by a lock, that is gone when the block ends."""
    while True:
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=SCRATCH, dir=parent))
        lock = FileLock(scratch / "lock")
        try:
            lock.acquire()
            break
        except (FileNotFoundError, FileExistsError):  # another took it for litter before it was locked
            continue
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        lock.release()


@contextlib.contextmanager
def writing(path):
    """Errors of the system inside the block become a `CannotWrite` that names `path`."""
    try:
        yield
    except InvalidInput:
        raise
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}") from error


def remove_litter(folder):
    """Remove the scratch folders in `folder` that nobody holds, and that are not just being made or removed."""
    for scratch in folder.glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if time.time() - scratch.stat().st_mtime >= SETTLED:
                with FileLock(scratch / "lock", timeout=0):
                    shutil.rmtree(scratch, ignore_errors=True)


def to_disk(path):
    """Wait until a file, or each file of a folder, is on the disk."""
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file():
            with open(file, "rb+") as opened:
                os.fsync(opened.fileno())


@contextlib.contextmanager
def locked(path, busy=None):
    """Hold a lock file while the block runs. It is free again when its holder ends, in whatever way.

    Args:
        path: the file; its folder exists, and it is removed at the end.
        busy: None waits until the lock is free; else what to say, at once, where another holds it.

    Raises:
        InvalidInput: another holds the lock.
        CannotWrite: the file cannot be made.
    """
    lock = FileLock(path, timeout=-1 if busy is None else 0)
    with writing(pathlib.Path(path).parent):
        try:
            lock.acquire()
        except Timeout:
            raise InvalidInput(busy) from None
    try:
        yield
    finally:
        pathlib.Path(path).unlink(missing_ok=True)  # who waited for this file finds it gone, and makes another
        lock.release()


def write_bytes(path, content):
    """Write a file at once."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path, content):
    """Write JSON, indented and with a final newline, at once."""
    write_bytes(path, json_bytes(content))


def json_bytes(content):
    """JSON, indented and with a final newline; numbers and arrays of NumPy and TensorFlow are written as Python's."""
    return (json.dumps(content, indent=1, ensure_ascii=False, default=plain) + "\n").encode()


def plain(value):
    """What JSON holds of a value that it does not know."""
    value = value.numpy() if hasattr(value, "numpy") else value
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (os.PathLike, datetime.date)):
        return str(value)
    raise InvalidInput(f"a {type(value).__name__} cannot be written as JSON: {value!r}")


def read_json(path):
    """The content of a JSON file, or `InvalidInput` in one line."""
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path} is no plain file")
        if path.stat().st_size > LARGEST_JSON:
            raise InvalidInput(f"{path} is larger than the {LARGEST_JSON // 2**20} MB that are read")
        return parse_json(path.read_bytes(), path)
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {path}") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None


def parse_json(content, source):
    """What JSON of `source` says, as bytes, or `InvalidInput` in one line."""
    try:
        return json.loads(content)
    except RecursionError:
        raise InvalidInput(f"{source} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:  # of JSON, of text, and of numbers with thousands of digits
        raise InvalidInput(f"{source} is not valid JSON: {error}") from None


@contextlib.contextmanager
def opened_zip(file, source):
    """The zip in an open file, which `source` names.

    Raises:
        InvalidInput: whatever is wrong with it, and what its end says is very many members, which take long to list.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ENDING))
    end = file.read().rpartition(b"PK\5\6")[2]
    if int.from_bytes(end[6:8], "little") > MOST_MEMBERS or int.from_bytes(end[8:12], "little") > LARGEST_LIST:
        raise InvalidInput(f"{source} holds more than {MOST_MEMBERS} files")
    try:
        with zipfile.ZipFile(file) as archive:
            if len(archive.namelist()) > MOST_MEMBERS:
                raise InvalidInput(f"{source} holds more than {MOST_MEMBERS} files")
            yield archive
    except InvalidInput:
        raise
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, OSError) as error:
        raise InvalidInput(f"{source} cannot be read as a zip: {reason(error)}") from error


def sha256(content):
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def output_folder(path, overwrite=False, kept=()):
    """Make a folder ready for a run: empty but for the files `kept`, unless `overwrite`, which empties it.

    Raises:
        OutputExists: it holds files.
        InvalidInput: it is to be emptied, and holds no run.
    """
    path = pathlib.Path(path)
    found = [child for child in path.iterdir() if child.name not in kept]
    if found and not overwrite:
        raise OutputExists(f"{path} is not empty: choose another folder, or use overwrite (or resume a run in it)")
    if found and not (path / "run.json").exists():
        raise InvalidInput(f"{path} holds no earlier run, so it is not overwritten: choose another folder")
    for child in found:
        shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
