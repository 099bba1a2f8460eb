"""Silence for libraries that write to the error stream past Python."""

import contextlib
import os
import tempfile


@contextlib.contextmanager
def quiet_stderr():
    """Hold back what is written to the error stream's file descriptor; Python's own errors travel as exceptions."""
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
