"""Files that appear whole or not at all."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

from zoo.errors import InvalidInput, OutputExists


@contextlib.contextmanager
def atomic(path):
    """A temporary path beside `path` (same suffix) that is renamed to it when the block ends well, else removed.

    It may become a file or a folder. Its name starts with a dot, which TF Serving does not take for a version.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{os.getpid()}.{path.name}"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path, content):
    """Write JSON, indented and with a final newline, at once."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path):
    """The content of a JSON file, or `InvalidInput` in one line."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not valid JSON: {error}") from None


def sha256(path):
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def output_folder(path, overwrite=False):
    """A folder that exists, is writable, and is empty unless `overwrite`, which empties it.

    Raises:
        OutputExists: it holds files.
        InvalidInput: it cannot be made or written to.
    """
    path = pathlib.Path(path)
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise OutputExists(f"{path} is not empty: choose another folder, or use overwrite (or resume a run in it)")
        if not (path / "run.json").exists():
            raise InvalidInput(f"{path} holds no earlier run, so it is not overwritten: choose another folder")
        shutil.rmtree(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InvalidInput(f"cannot write to {path}: {error.strerror}") from None
    return path
