"""The command line, `zoo`: a file a command, each of which registers itself."""

from zoo.cli import continue_, datasets, demo, encode, evaluate, export, info, list, new, pictures, score, train  # noqa: F401
from zoo.cli.app import app, main

__all__ = ["app", "main"]
