"""What a terminal shows while one waits, and silence for libraries that write to the error stream past Python."""

import contextlib
import functools
import logging
import os
import sys


@contextlib.contextmanager
def quiet_stderr():
    """Hold back what is written to the error stream's file descriptor; Python's own errors travel as exceptions."""
    import tempfile

    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def quiet_logger():
    """Hold back the warnings of TensorFlow's logger."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def waiting(what):
    """Say on a terminal's error stream what is waited for; the line is gone afterwards. Elsewhere nothing is said."""
    shown = sys.stderr is not None and sys.stderr.isatty()
    if shown:
        print(f"{what} ...", end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print("\x1b[2K", end="\r", file=sys.stderr, flush=True)


@functools.cache
def say_once(line):
    """Print a line on the error stream, the first time that it is said."""
    print(line, file=sys.stderr, flush=True)
