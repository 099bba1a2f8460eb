"""The command line, `zoo`: a file a command, each of which registers itself."""

from zoo.cli import (  # noqa: F401
    cache,
    continue_,
    datasets,
    demo,
    doctor,
    encode,
    evaluate,
    export,
    fetch,
    info,
    list,
    new,
    pictures,
    push,
    score,
    shards,
    train,
)
from zoo.cli.app import app, main

__all__ = ["app", "main"]
