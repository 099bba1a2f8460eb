"""Bad input: one clear line saying what was wrong, what was expected, and the nearest right name."""

import collections.abc
import difflib
import numbers
import re

LONGEST = 2_000  # characters of a message: a file's content may be part of it


class InvalidInput(ValueError):
    """Something the caller passed is wrong. The command line prints it as one line and exits with 2."""

    def __init__(self, message=""):
        line = " ".join(str(message)[: LONGEST + 1].splitlines())
        line = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
        super().__init__(printable(line))


def printable(text):
    """Text without what would steer a terminal, which may come from a file of somebody else."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class OutputExists(InvalidInput, FileExistsError):
    """An output is already there and was not asked to be replaced."""


class CannotWrite(InvalidInput, OSError):
    """A file could not be written: the disk is full, or the folder is somebody else's. What was there still is."""


class WorkerLost(RuntimeError):
    """A process that trained together with this one is gone, or does not answer."""


def nearest(name, names):
    """The clause that offers the right names: close ones where there are any, else all of them."""
    names = sorted(names)
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names) or 'none'}"


def choose(kind, name, choices):
    """`choices[name]`, or `InvalidInput` naming the kind and the nearest names."""
    try:
        return choices[name]
    except (KeyError, TypeError):
        raise InvalidInput(f"unknown {kind} {name!r}; {nearest(name, choices)}") from None


def check_positive(**sizes):
    """Raise `InvalidInput` unless every size (an int, or a sequence of ints) is a positive integer."""
    for name, value in sizes.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(v, numbers.Integral) and not isinstance(v, bool) and v > 0 for v in values):
            raise InvalidInput(f"{name} must be positive whole numbers, got {value!r}")


def check_widths(least=0, **widths):
    """Raise `InvalidInput` unless all are lists of so many positive whole numbers at least."""
    for name, value in widths.items():
        if isinstance(value, str) or not isinstance(value, collections.abc.Sequence) or len(value) < least:
            raise InvalidInput(f"{name} is a list of whole numbers, such as [64], got {value!r}")
        check_positive(**{name: list(value)})


def reason(error):
    """What an exception says, in a few words: without error numbers, and an `OSError` without its file's name."""
    inner = getattr(error, "reason", None)  # of urllib's errors
    error = inner if isinstance(inner, Exception) else error
    text = getattr(error, "strerror", None) or re.sub(r"\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    text = text or type(error).__name__
    return text[:1].lower() + text[1:160]
