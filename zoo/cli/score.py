"""`zoo score`: how probable a model finds each image."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import Json, Name, Seed, app, show
from zoo.cli.arrays import check_array
from zoo.cli.evaluate import progress
from zoo.cli.pictures import subject_of, write
from zoo.cli.pipelines import EXTRA, Column, Key, Rows, Runner, check_plain, run_pipeline
from zoo.errors import InvalidInput, check_positive


@app.command(context_settings=EXTRA)
def score(
    context: typer.Context,
    name: Name,
    input: Rows = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write an .npz file instead of lines.")] = None,
    num_samples: Annotated[int, typer.Option(help="Draws per image of the estimate of log p(x).")] = 500,
    count: Annotated[int | None, typer.Option(help="Only the first images.")] = None,
    seed: Seed = 0,
    json: Json = False,
    runner: Runner = None,
    key: Key = None,
    column: Column = None,
):
    """Give the ELBO and log p(x) of each of your images, in nats.

    Without --input those of the test images.
    Grey images are binarised first where the model's are, as in `zoo evaluate`.

    Example: zoo score vae_mnist --input digits/

    Any number of rows: zoo score vae_mnist --input 'rows/*.parquet' --output scores/ --runner DirectRunner
    """
    check_positive(num_samples=num_samples)
    if runner:
        if json or count is not None:
            raise InvalidInput("--json and --count are not for pipelines, which write every row to files")
        given = {"input": input, "key": key, "column": column, "num_samples": num_samples, "seed": seed}
        return run_pipeline(name, "score", output or "scores", runner, context.args, **given)
    input = check_plain(context.args, input, key=key, column=column)
    output = output and pathlib.Path(output)
    if output:
        check_array(output)
    subject = subject_of(name, input)
    from zoo.data import LENGTH, load_dataset, stored_order
    from zoo.evaluation import score_each

    subject.model.require("zoo score", ["bound"])
    arrays = subject.arrays(count)
    dataset = load_dataset(arrays, batch_size=100, shuffle=False, labels="y" in arrays)
    with progress(f"scoring {len(arrays['x'])} images") as report:
        scores = score_each(subject.model, dataset, num_samples, seed=seed, progress=report)
    if LENGTH in arrays:
        order = stored_order(arrays[LENGTH])
        scores = {key: value[order] for key, value in scores.items()}
    if output:
        return write(output, scores)
    names = (subject.opened.split("all").names if input else None) or list(map(str, range(len(arrays["x"]))))
    rows = {
        name: {key: float(value[i]) for key, value in scores.items()}
        for i, name in enumerate(names[: len(arrays["x"])])
    }
    return show(rows if json else [line(*row) for row in rows.items()], json)


def line(name, scores):
    """One image."""
    return f"{name:24} ELBO {scores['elbo']:.2f}  log p(x) {scores['log_marginal']:.2f}"
