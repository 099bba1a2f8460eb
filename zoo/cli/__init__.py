"""The command line, `zoo`: a file a command, each of which registers itself."""

from zoo.cli import datasets, demo, evaluate, export, info, list, pictures, train  # noqa: F401
from zoo.cli.app import app, main

__all__ = ["app", "main"]
