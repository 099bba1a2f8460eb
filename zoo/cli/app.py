"""What the commands of `zoo` share. TensorFlow is imported by the commands that need it, not by `--help`."""

import json as json_module
import os
import pathlib
import re
import sys
from typing import Annotated

import typer

from zoo import __version__
from zoo.cli.help import ByTask, right_option
from zoo.errors import InvalidInput, WorkerLost, printable, reason
from zoo.quiet import quiet_stderr, waiting

app = typer.Typer(
    cls=ByTask,
    help="Variational autoencoders: train, evaluate, look at and export them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
USAGE_ERROR = typer.BadParameter.__base__  # click's, or that of the copy which newer typers bring
INTERRUPTED = 130  # as a shell says it
Name = Annotated[
    str,
    typer.Argument(help="A pretrained name (`zoo list --pretrained`), a folder or zip with a card, or hf://user/name."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Seed = Annotated[int, typer.Option(help="Seed of the draws.")]
Input = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--input", "-i", exists=True, help="Your own: a picture, a folder, an .npy, .npz, .csv or .parquet file."
    ),
]


def print_version(wanted):
    """The callback of --version."""
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
):
    """Options of `zoo` itself."""


def show(content, as_json, empty="there is none"):
    """Print what JSON can hold as such, or a list as a line an entry, and where there is none the line `empty`."""
    if as_json:
        typer.echo(json_module.dumps(content, indent=1))
    elif not content:
        typer.echo(empty)
    else:
        for entry in content:
            typer.echo(printable(str(entry)))


def sides(text):
    """[height, width] of an option: "64x48", or "64" for a square."""
    if text is None:
        return None
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise InvalidInput(f"--size is HEIGHTxWIDTH, such as 64x64, got {text!r}")
    height, _, width = text.partition("x")
    return [int(height), int(width or height)]


def import_tensorflow():
    """Import TensorFlow, whose C++ parts print at any log level, in silence; a terminal says what it waits for."""
    with waiting("importing TensorFlow"), quiet_stderr():
        import tensorflow  # noqa: F401


def main(arguments=None):
    """The `zoo` command: bad input is one line and exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(app(arguments or ["--help"], prog_name="zoo", standalone_mode=False))
    except USAGE_ERROR as error:
        fail(wrong_usage(error, arguments[0]), 2)
    except InvalidInput as error:
        fail(with_options(str(error), arguments[0]), 2)
    except OSError as error:
        fail(": ".join(filter(None, [error.filename and str(error.filename), reason(error)])), 2)
    except (FloatingPointError, WorkerLost) as error:
        fail(error, 1)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)


def wrong_usage(error, command):
    """What is wrong with a command line; of an option that the command has not also which one it may be."""
    found = typer.main.get_command(app).commands.get(command)
    if found is None or not getattr(error, "option_name", None) or not hasattr(error, "possibilities"):
        return error.format_message()
    return f"{command} has no option {error.option_name}{right_option(error.option_name, found)}"


def with_options(message, command):
    """A message in which the arguments of Python functions are called what the options of a command are called."""
    for parameter in typer.main.get_command(app).commands[command].params:
        option, name = parameter.opts[0], parameter.name
        if option.startswith("--"):
            message = re.sub(rf"^(num_)?{name}(?= must )", option, message)
            message = re.sub(rf"(?<=unknown ){name}(?= ')", option, message)
            if getattr(parameter, "is_flag", False):
                message = re.sub(rf"\b{name}=True|(?<=use ){name}\b", option, message)
            else:
                message = re.sub(rf"\b{name}=(?!True|False)", f"{option} ", message)
    return message


def fail(message, code):
    """One line on the error stream, and the exit code."""
    typer.echo(f"zoo: {' '.join(str(message).split())}", err=True)
    sys.exit(code)
