"""What `zoo encode`, `zoo score` and `zoo sample` share of their pipelines: the options, and the run."""

import pathlib
from typing import Annotated

import typer

from zoo.beam.runners import RUNNERS, check_runner, quiet_beam
from zoo.cli.app import import_tensorflow
from zoo.data.sizes import LOOK, look_of
from zoo.errors import InvalidInput, check_positive
from zoo.pretrained import locate

EXTRA = {"allow_extra_args": True}
Rows = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        help="Your own: a picture, a folder, an .npy, .npz, .csv or .parquet file; with --runner a pattern.",
    ),
]
Runner = Annotated[
    str | None,
    typer.Option(
        help=f"Run on Apache Beam, for any number of rows: {', '.join(RUNNERS)}; its own options come after --. The "
        "output is then a folder of Parquet files."
    ),
]
Key = Annotated[
    str | None, typer.Option(help="With --runner, the column that names a row; else its file and number do.")
]
Column = Annotated[str | None, typer.Option(help="With --runner, the column or feature of the pictures or numbers.")]


def run_pipeline(name, endpoint, output, runner, options, input=None, key=None, column=None, **settings):
    """Run the pipeline of an endpoint of a model, and say how many rows it wrote."""
    check_runner(runner, options)
    if endpoint != "sample" and input is None:
        raise InvalidInput(f"--runner takes rows from --input 'PATTERN', such as 'rows/*.parquet' for zoo {endpoint}")
    home = locate(name)
    import_tensorflow()
    from zoo import load
    from zoo.pretrained import read_card

    with quiet_beam():
        from zoo.beam.pipeline import run

    model = load(home)
    if endpoint not in model.endpoints:
        raise InvalidInput(f"a {model.registry_name} has no {endpoint}; it has {', '.join(model.endpoints)}")
    like = read_card(home).get("data", {})
    look = look_of(*(like.get(part) for part in LOOK))
    given = {"options": options, "pattern": input, "key": key, "column": column, "look": look, "like": like}
    counts = run(model, endpoint, output, runner=runner, **given, **settings)
    failed = counts.get("failed", 0)
    said = f": {counts['written']} rows, {failed} failed" if counts else ""
    typer.echo(f"wrote {output}{said}{f' and are in {output}/failed-*.jsonl' if failed else ''}")


def check_plain(arguments, input=None, **options):
    """Raise `InvalidInput` for what only a pipeline takes, and for an input that is not there."""
    if arguments:
        raise InvalidInput(f"unexpected argument {arguments[0]!r}: options of a runner need --runner")
    for name, value in options.items():
        if value is not None:
            raise InvalidInput(f"--{name} goes with --runner")
    if input is not None and not pathlib.Path(input).exists():
        raise InvalidInput(f"there is no file or folder {input!r}; a pattern goes with --runner")
    return input and pathlib.Path(input)


def check_draws(count):
    """The number of rows to draw."""
    if count is None:
        raise InvalidInput("--runner draws so many rows as --count says")
    check_positive(count=count)
    return count
