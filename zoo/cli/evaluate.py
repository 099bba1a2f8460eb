"""`zoo evaluate`: the numbers of a model."""

import contextlib
import sys
import time
from typing import Annotated

import typer

from zoo.cli.app import Json, Name, Seed, app, import_tensorflow, show
from zoo.cli.checks import check_source
from zoo.errors import InvalidInput, check_positive
from zoo.pretrained import is_elsewhere, locate
from zoo.settings import OF_FILES, without

EVERY = 60  # seconds between the lines that take the place of a bar


@app.command()
def evaluate(
    name: Name,
    num_samples: Annotated[int, typer.Option(help="Draws per image of the likelihood estimate.")] = 5000,
    dataset: Annotated[str | None, typer.Option(help="Other data than the card's.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Only the first images.")] = None,
    versus: Annotated[str | None, typer.Option(help="Another model, compared on the same images.")] = None,
    ais: Annotated[
        bool, typer.Option("--ais", help="Annealed importance sampling instead, on 100 images, and simulated ones.")
    ] = False,
    chains: Annotated[int, typer.Option(help="Chains per image of --ais.")] = 16,
    temperatures: Annotated[int, typer.Option(help="Steps from the prior to the posterior of --ais.")] = 1000,
    refine: Annotated[
        str | None, typer.Option(help="Also refine the posterior of each image by chains: hmc. Slow: set a limit.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="bfloat16: faster on some processors, refused where it may move the NLL by 0.01 nats.")
    ] = "float32",
    update: Annotated[
        bool, typer.Option("--update-card", help="Write the numbers, and a probe, into the card.")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
):
    """Measure NLL, ELBO, KL, active units, errors, unused latents.

    With --ais the NLL alone, by annealed chains.

    Example: zoo evaluate vae_mnist --num-samples 5000

    What was stopped goes on when it is called again; not so --ais and --refine.
    """
    if versus and ais:
        raise InvalidInput("--versus compares importance-weighted estimates: leave out --ais or --versus")
    if update and is_elsewhere(name):
        raise InvalidInput("--update-card is for a folder of yours, and not for a model that is fetched from elsewhere")
    if refine is not None and (versus or ais):
        raise InvalidInput("--refine goes with the plain evaluation: leave out --ais and --versus")
    if precision != "float32" and (versus or ais or refine is not None):
        raise InvalidInput("--precision goes with the plain evaluation: leave out --ais, --refine and --versus")
    check_positive(num_samples=num_samples)
    home = locate(name)
    if versus:
        locate(versus)
    check_source(dataset)
    import_tensorflow()
    from zoo import evaluation, pretrained
    from zoo.pretrained import cards

    model, card = pretrained.load(home), pretrained.read_card(home)
    data = card["data"] if dataset is None else {**without(card["data"], OF_FILES), "name": dataset}
    limit = 100 if ais and limit is None else limit
    batches = evaluation.test_data(model, data, split=split, limit=limit)
    settings = {"num_samples": num_samples, "limit": limit, "seed": seed}
    lengths = {"num_chains": chains, "num_temperatures": temperatures} if ais else {}
    kept = evaluation.Kept(pretrained.kept_folder(card))
    with progress(f"evaluating {name}") as report:
        if ais:
            metrics = evaluation.annealed_importance(model, batches, progress=report, **settings, **lengths)
        elif versus:
            other = pretrained.load(versus)
            metrics = evaluation.compare(model, other, batches, progress=report, kept=kept, **settings)
        else:
            settings |= {"refine": refine, "precision": precision}
            metrics = evaluation.evaluate(model, batches, progress=report, kept=kept, **settings)
    if update:
        given = arguments_given(num_samples, split, limit, seed)
        given += [f"--ais --chains {chains} --temperatures {temperatures}"] if ais else []
        given += [f"--versus {versus}"] if versus else []
        given += [f"--refine {refine}"] if refine else []
        given += [f"--precision {precision}"] if precision != "float32" else []
        measured = paired(metrics, versus) if versus else metrics
        command = " ".join([f"zoo evaluate {card['name']}", *given])
        cards.record(home, measured, evaluation.probe(model, evaluation.test_data(model, data)), command, split)
    kept.clear()
    said = "sequences" if {"elbo_per_step", "nll_per_step_difference"} & metrics.keys() else "images"
    lines = [*(metric_line(*item, said) for item in metrics.items()), *evaluation.collapse_report(metrics)]
    return show(metrics if json else lines, json)


def paired(metrics, versus):
    """The differences of a comparison as a card has them, under names of their own."""
    ends = "difference", f"minus_{versus}"
    return {name.replace(*ends): {**each, "versus": versus} for name, each in metrics.items() if name.endswith(ends[0])}


def arguments_given(num_samples, split, limit, seed):
    """The options that make an evaluation, as a command line has them."""
    return [
        f"--num-samples {num_samples}",
        f"--split {split}",
        *([f"--limit {limit}"] if limit else []),
        f"--seed {seed}",
    ]


def metric_line(name, metric, said):
    """One metric, with its error where it has one."""
    error = f" +- {metric['standard_error']:.3f}" if metric.get("standard_error") is not None else ""
    of = f" of {metric['of']}" if "of" in metric else ""
    draws = ", ".join([f"{metric['num_examples']} {metric.get('data', '')} {said}".replace("  ", " "), *effort(metric)])
    pooled = f", {metric['pooled']:.3f} sum over sum" if "pooled" in metric else ""
    name = f"{name} given {metric['given']}" if "given" in metric else name
    return f"{name:22} {metric['value']:.3f}{error}{of}{pooled}  ({draws})"


def effort(metric):
    """How many draws went into a metric, in words."""
    names = {"num_samples": "samples", "num_chains": "chains", "num_draws": "draws", "num_temperatures": "temperatures"}
    return [f"{metric[key]} {word}" for key, word in names.items() if key in metric]


@contextlib.contextmanager
def progress(label):
    """A bar on a terminal, elsewhere now and then a line, on the error stream; yields `report(done, total)`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(label)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Lines:
    """Called with (done, total), says on the error stream how far that is, once in `EVERY` seconds."""

    def __init__(self, label):
        self.label, self.done, self.said = label, 0, time.monotonic()

    def __call__(self, done, total):
        from zoo.training.progress import duration

        now = time.monotonic()
        if now - self.said < EVERY:
            return
        pace = (now - self.said) / max(done - self.done, 1)  # of late: what was kept of an earlier call is no measure
        rest = f" of {total}, about {duration((total - done) * pace)} to go" if total else ""
        print(f"{self.label}: {done}{rest}", file=sys.stderr, flush=True)
        self.done, self.said = done, now
