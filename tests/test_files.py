"""Files: whole or not there, whoever is killed, however many write, and whatever is full."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from zoo import files
from zoo.errors import CannotWrite, InvalidInput
from zoo.files import LARGEST_JSON, atomic, locked, read_json, write_bytes, write_json

ROOT = pathlib.Path(__file__).parent.parent
KILLED = """
import os, signal, sys
from zoo.files import write_bytes
path, folder, left = sys.argv[1], os.path.dirname(sys.argv[1]), [int(sys.argv[2])]

def watch(event, arguments):
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir") and folder in str(arguments[0]):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

write_bytes(path, b"old" * 1000)
sys.addaudithook(watch)
write_bytes(path, b"new" * 1000)
"""


def python(script, *arguments, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", script, *map(str, arguments)], env=environment, **settings)


def test_a_kill_at_any_call_leaves_the_old_or_the_new_file_and_the_next_write_no_litter(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SETTLED", 0)
    found, number, code = set(), 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        number += 1
        code = python(KILLED, tmp_path / "a", number).returncode
        found.add((tmp_path / "a").read_bytes())
        write_bytes(tmp_path / "b", b"")
        assert {p.name for p in tmp_path.iterdir()} == {"a", "b"}
    assert found == {b"old" * 1000, b"new" * 1000} and number > 5 and code == 0


def test_many_write_the_same_file_at_once(tmp_path):
    errors = []

    def write(number):
        try:
            for _ in range(5):
                write_json(tmp_path / "a.json", [number] * 1000)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=[n]) for n in range(40)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not errors
    assert len(set(read_json(tmp_path / "a.json"))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_another_process_is_writing_is_no_litter(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SETTLED", 0)
    with atomic(tmp_path / "a") as temporary:
        temporary.write_text("a")
        write_bytes(tmp_path / "b", b"b")
    assert (tmp_path / "a").read_text() == "a"


def test_a_lock_is_for_one_and_dies_with_its_owner(tmp_path):
    hold = (
        "import sys, time; from zoo.files import locked\nwith locked(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "lock")]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            with pytest.raises(InvalidInput, match="^taken$"), locked(tmp_path / "lock", busy="taken"):
                pass
        finally:
            other.kill()
    with locked(tmp_path / "lock", busy="taken"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_the_old_file_is_whole(tmp_path, monkeypatch):
    write_bytes(tmp_path / "a", b"old")

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for function in ("fsync", "replace", "mkdir"):
        with monkeypatch.context() as patch, pytest.raises(CannotWrite) as caught:
            patch.setattr(os, function, full)
            write_bytes(tmp_path / "a", b"new")
        assert str(caught.value) == f"cannot write {tmp_path / 'a'}: No space left on device"
        assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


HOSTILE_JSON = {
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a number of 5,000 digits": b"7" * 5_000,
    "a NUL": b'{"a": "\x00"}',
    "no UTF-8": b'"\xff"',
    "cut off": b'{"a": 1',
    "too large": b" " * (LARGEST_JSON + 1),
}


@pytest.mark.parametrize("kind", HOSTILE_JSON)
def test_what_is_no_json_is_one_line(kind, tmp_path):
    (tmp_path / "a.json").write_bytes(HOSTILE_JSON[kind])
    with pytest.raises(InvalidInput) as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_message_is_one_line_that_a_terminal_can_show():
    message = str(InvalidInput("a\nb\x1b[31m\x00\ud800" + "x" * 10_000))
    assert message.startswith("a b\\x1b[31m\\x00\\ud800xx") and message.endswith(" ...") and len(message) < 2_100
    assert json.dumps(message).isascii() and message.isprintable()
