"""The command line, `zoo`. TensorFlow is imported by the commands that need it, not by `--help`."""

import contextlib
import json as json_module
import os
import pathlib
import sys
from typing import Annotated

import typer

from zoo.errors import InvalidInput
from zoo.settings import merge, overrides

app = typer.Typer(
    help="Variational autoencoders: train, evaluate, look at and export them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
USAGE_ERROR = typer.BadParameter.__base__  # click's, or that of the copy which newer typers bring
INTERRUPTED = 130  # as a shell says it
Name = Annotated[str, typer.Argument(help="A pretrained name (`zoo list --pretrained`) or a folder with a card.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Seed = Annotated[int, typer.Option(help="Seed of the draws.")]
Picture = Annotated[pathlib.Path, typer.Option("--output", "-o", help="The PNG to write.")]


def show(content, as_json):
    """Print a dict or list: as JSON, or a line an entry."""
    if as_json:
        typer.echo(json_module.dumps(content, indent=1))
    elif isinstance(content, dict):
        for key, value in content.items():
            typer.echo(f"{key}: {value}")
    else:
        for entry in content:
            typer.echo(entry)


def defaults_of(model):
    """Argument -> default of a model kind."""
    from zoo.creation import model_class

    cls, defaults = model_class(model)
    return {**cls.argument_defaults(), **defaults}


def import_tensorflow():
    """Import TensorFlow without what its C++ parts print before logging is set up."""
    from zoo.quiet import quiet_stderr

    with quiet_stderr():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def progress(label):
    """A progress bar on the terminal's error stream; yields the function `progress(done, total)`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@app.command("list")
def list_command(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*mnist*'.")] = "*",
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Pretrained models instead of model kinds.")] = False,
    presets: Annotated[bool, typer.Option("--presets", help="Presets that `zoo train --preset` takes.")] = False,
    json: Json = False,
):
    """List models, pretrained models or presets. Example: zoo list --pretrained '*mnist*'"""
    if pretrained:
        from zoo.pretrained import list_pretrained, read_card

        rows = {name: headline(read_card(name)) for name in list_pretrained(pattern)}
        return show(list(rows) if json else [f"{name:28} {text}" for name, text in rows.items()], json)
    if presets:
        import fnmatch

        from zoo.presets import list_presets

        return show(fnmatch.filter(list_presets(), pattern), json)
    import_tensorflow()
    from zoo.creation import list_models

    return show(list_models(pattern), json)


def headline(card):
    """One line of what a card measured."""
    metrics = card.get("metrics", {})
    shown = [f"{name} {metrics[name]['value']:.2f}" for name in ("nll", "reconstruction") if name in metrics][:1]
    if "error_percent" in metrics:
        shown.append(f"{metrics['error_percent']['value']:.2f} % errors")
    data = card.get("data", {})
    labels = f" with {data['num_labels']} labels" if "num_labels" in data else ""
    return f"{card['model']} on {data.get('name', '?')}{labels}; {', '.join(shown)}"


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A pretrained model, a model kind or a data set.")], json: Json = False
):
    """Show a pretrained model's card, a model kind's arguments, or a data set. Example: zoo info vae_mnist"""
    from zoo.data import describe_dataset, list_datasets
    from zoo.errors import nearest
    from zoo.pretrained import list_pretrained, read_card

    if name in list_pretrained() or pathlib.Path(name, "card.json").is_file():
        return show(read_card(name), json)
    if name in list_datasets():
        return show(describe_dataset(name), json)
    import_tensorflow()
    from zoo.creation import list_models
    from zoo.registry import MODELS

    if name not in list_models():
        raise InvalidInput(
            f"nothing is called {name!r}; {nearest(name, [*list_pretrained(), *list_models(), *list_datasets()])}"
        )
    if json:
        return show({"model": name, "arguments": defaults_of(name)}, json)
    cls, _ = MODELS[name]
    import inspect

    typer.echo(f"{inspect.getdoc(inspect.getmodule(cls))}\n\n{inspect.getdoc(cls)}")
    return None


@app.command()
def datasets(
    prepare: Annotated[str | None, typer.Option(help="Download and prepare this one.")] = None, json: Json = False
):
    """List the data sets, or prepare one. Example: zoo datasets --prepare mnist"""
    from zoo.data import describe_dataset, list_datasets, prepare_dataset

    if prepare:
        return show([f"{prepare} is ready in {prepare_dataset(prepare)}"], False)
    found = {name: describe_dataset(name) for name in list_datasets()}
    return show(found if json else [f"{name:28} {info['title']}" for name, info in found.items()], json)


@app.command()
def train(
    model: Annotated[str | None, typer.Argument(help="A model kind (`zoo list`).")] = None,
    preset: Annotated[str | None, typer.Option(help="A preset's name or a JSON file.")] = None,
    dataset: Annotated[str | None, typer.Option(help="A data set's name, a folder of images, or an .npz file.")] = None,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The run's folder.")] = pathlib.Path(
        "runs/latest"
    ),
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A model argument: latent_dim=32, encoder.gated=true.")
    ] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="A recipe setting: learning_rate=0.002, kl.name=linear.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Fine-tune this pretrained model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and draws.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first training examples.")] = None,
    labels: Annotated[
        int | None, typer.Option(help="Show only so many labels, as many of each class: for m1, m2, m1_m2.")
    ] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Bit-for-bit reproducible.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard logs too.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Empty the run's folder first.")] = False,
):
    """Train a model. Example: zoo train vae --dataset mnist --epochs 50 --output runs/a --set latent_dim=32"""
    import_tensorflow()
    from zoo.presets import read_preset
    from zoo.training import run as training

    chosen = None
    if resume and (
        given := [x for x in (model, preset, start, dataset, epochs, set_, recipe, seed, limit, labels) if x]
    ):
        raise InvalidInput(f"--resume goes on with the run's own settings, so {given[0]!r} cannot be given with it")
    if not resume:
        if sum(x is not None for x in (model, preset, start)) != 1:
            raise InvalidInput("say what to train: a model kind, --preset NAME or --from NAME (one of them)")
        if preset:
            chosen = read_preset(preset)
        elif start:
            from zoo.pretrained import read_card

            card = read_card(start)
            chosen = {key: card[key] for key in ("model", "config", "data") if key in card}
        else:
            data = {"name": dataset or "digits", "split": "train", "validation": "validation"}
            likelihood = overrides(set_).get("likelihood")
            chosen = {"model": model, "config": training.suggest_config(model, data["name"], likelihood), "data": data}
        chosen["recipe"] = merge(chosen.get("recipe", {}), overrides(recipe))
        if changes := overrides(set_):
            chosen["config"] = merge(chosen.get("config", {}), changes, defaults_of(chosen["model"]))
        for key, value in (("epochs", epochs), ("seed", seed), ("deterministic", deterministic or None)):
            if value is not None:
                chosen["recipe"] = {**chosen.get("recipe", {}), key: value}
        for key, value in (("name", dataset), ("limit", limit), ("num_labels", labels)):
            if value is not None:
                chosen["data"] = {**chosen.get("data", {}), key: value}
    try:
        trained, _ = training.train(
            output, chosen, start=start, resume=resume, overwrite=overwrite, tensorboard=tensorboard
        )
    except KeyboardInterrupt:
        typer.echo(f"zoo: interrupted; `zoo train --resume --output {output}` goes on from the last epoch", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{trained.registry_name} is trained; zoo.load({str(output)!r}) and `zoo evaluate {output}` take it")


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
    update: Annotated[
        bool, typer.Option("--update-card", help="Write the numbers, and a probe, into the card.")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
):
    """Measure NLL, ELBO, KL, active units, errors, and which latents are unused; or, by annealed chains, NLL alone.

    Example: zoo evaluate vae_mnist --num-samples 5000
    """
    if versus and ais:
        raise InvalidInput("--versus compares importance-weighted estimates: leave out --ais or --versus")
    import_tensorflow()
    from zoo import evaluation, pretrained
    from zoo.evaluation import annealing
    from zoo.pretrained import cards

    model, card = pretrained.load(name), pretrained.read_card(name)
    data = {**card.get("data", {}), **({"name": dataset} if dataset else {})}
    limit = 100 if ais and limit is None else limit
    batches = evaluation.test_data(model, data, split=split, limit=limit)
    settings = {"num_samples": num_samples, "limit": limit, "seed": seed}
    lengths = {"num_chains": chains, "num_temperatures": temperatures} if ais else {}
    with progress(f"evaluating {name}") as report:
        if ais:
            metrics = annealing.annealed_importance(model, batches, progress=report, **settings, **lengths)
        elif versus:
            other = pretrained.load(versus)
            metrics = evaluation.compare(model, other, batches, progress=report, **settings)
        else:
            metrics = evaluation.evaluate(model, batches, progress=report, **settings)
    if update:
        given = arguments_given(num_samples, split, limit, seed)
        given += [f"--ais --chains {chains} --temperatures {temperatures}"] if ais else []
        given += [f"--versus {versus}"] if versus else []
        measured = {f"nll_minus_{versus}": {**metrics["nll_difference"], "versus": versus}} if versus else metrics
        command = " ".join([f"zoo evaluate {card['name']}", *given])
        cards.record(name, measured, evaluation.probe(model, evaluation.test_data(model, data)), command, split)
    lines = [*(metric_line(*item) for item in metrics.items()), *evaluation.collapse_report(metrics)]
    return show(metrics if json else lines, json)


def arguments_given(num_samples, split, limit, seed):
    """The options that make an evaluation, as a command line has them."""
    return [
        f"--num-samples {num_samples}",
        f"--split {split}",
        *([f"--limit {limit}"] if limit else []),
        f"--seed {seed}",
    ]


def metric_line(name, metric):
    """One metric, with its error where it has one."""
    error = f" +- {metric['standard_error']:.3f}" if metric.get("standard_error") is not None else ""
    of = f" of {metric['of']}" if "of" in metric else ""
    draws = ", ".join([f"{metric['num_examples']} {metric.get('data', '')} images".replace("  ", " "), *effort(metric)])
    return f"{name:22} {metric['value']:.3f}{error}{of}  ({draws})"


def effort(metric):
    """How many draws went into a metric, in words."""
    names = {"num_samples": "samples", "num_chains": "chains", "num_temperatures": "temperatures"}
    return [f"{metric[key]} {word}" for key, word in names.items() if key in metric]


@app.command()
def export(
    name: Name,
    format: Annotated[str, typer.Option("--format", help="saved_model or tflite.")] = "saved_model",
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The folder to write into.")] = pathlib.Path(
        "exports"
    ),
    version: Annotated[int | None, typer.Option(help="Version of a SavedModel; the next free one if not said.")] = None,
    batch_size: Annotated[int, typer.Option(help="Fixed batch of a TFLite file.")] = 1,
    dtype: Annotated[str, typer.Option(help="Weights of a TFLite file: float32 or float16.")] = "float32",
    endpoint: Annotated[list[str] | None, typer.Option(help="Only this endpoint of a TFLite file.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Run the export and compare its numbers.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a TFLite file.")] = False,
):
    """Export for TF Serving or phones. Example: zoo export vae_mnist --format tflite --output exports"""
    import_tensorflow()
    import zoo
    from zoo.errors import choose
    from zoo.export import verify as check

    choose("format", format, {"saved_model": 0, "tflite": 0})
    if endpoint and format != "tflite":
        raise InvalidInput("--endpoint is for TFLite files: a SavedModel has every endpoint")
    model = zoo.load(name)
    base = output / pathlib.Path(name).resolve().name
    if format == "saved_model":
        path = zoo.export_saved_model(model, base, version=version)
        report = check.verify_saved_model(model, path) if verify else {}
    else:
        path = base.with_name(base.name + ".tflite")
        settings = {"batch_size": batch_size, "dtype": dtype, "endpoints": endpoint or None, "overwrite": overwrite}
        zoo.export_tflite(model, path, **settings)
        report = check.verify_tflite(model, path) if verify else {}
    typer.echo(f"wrote {path}")
    for name, result in report.items():
        typer.echo(f"{name}: {verdict(result)}")
    if not all(result["passed"] for result in report.values()):
        typer.echo(f"zoo: {path} does not say what the model says", err=True)
        raise typer.Exit(1)


def verdict(result):
    """One endpoint's verification in words."""
    if "error" in result:
        return f"could not be run: {result['error']}"
    failed = "" if result["passed"] else f", more than the {result['tolerance']:.0e} allowed"
    return f"largest difference {result['max_abs_difference']:.1e}{failed}"


@app.command()
def sample(
    name: Name,
    output: Picture = pathlib.Path("samples.png"),
    count: Annotated[int, typer.Option(help="How many.")] = 64,
    seed: Seed = 0,
    mean: Annotated[bool, typer.Option("--mean/--draws", help="Show the means of p(x | z), or draws from it.")] = True,
):
    """Draw images. Example: zoo sample vae_mnist --count 64 --output samples.png"""
    picture(name, "samples", output, count=count, seed=seed, mean=mean)


@app.command()
def reconstruct(
    name: Name,
    output: Picture = pathlib.Path("reconstructions.png"),
    count: Annotated[int, typer.Option(help="How many.")] = 10,
):
    """Show test images above their reconstructions. Example: zoo reconstruct vae_mnist"""
    picture(name, "reconstructions", output, count=count)


@app.command()
def interpolate(
    name: Name,
    output: Picture = pathlib.Path("interpolations.png"),
    count: Annotated[int, typer.Option(help="How many pairs.")] = 6,
    steps: Annotated[int, typer.Option(help="Images from one end to the other.")] = 10,
):
    """Walk from one test image to another through the latent space. Example: zoo interpolate vae_mnist"""
    picture(name, "interpolations", output, count=count, steps=steps)


@app.command()
def plot(
    name: Name,
    kind: Annotated[str, typer.Option(help="manifold, styles, analogies, latents, kl, training, ...")] = "samples",
    output: Annotated[pathlib.Path | None, typer.Option("--output", "-o", help="The PNG to write.")] = None,
):
    """Draw a picture of a model or a run. Example: zoo plot vae_mnist_2d --kind manifold"""
    picture(name, kind, output or pathlib.Path(f"{pathlib.Path(name).name}_{kind}.png"))


def picture(name, kind, output, **settings):
    """Draw one kind of picture of a pretrained model, and say where it is."""
    import_tensorflow()
    from zoo.pictures import plots

    plots.draw(name, kind, output, **settings)
    typer.echo(f"wrote {output}")


@app.command()
def demo(
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The folder to write into.")] = pathlib.Path(
        "zoo_demo"
    ),
):
    """Train, load, draw, export and verify, without a network, in a few minutes. Example: zoo demo"""
    import_tensorflow()
    from zoo.cli.demo import run

    run(output)


def main(arguments=None):
    """The `zoo` command: bad input is one line and exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(app(arguments or ["--help"], prog_name="zoo", standalone_mode=False))
    except USAGE_ERROR as error:
        fail(error.format_message(), 2)
    except (InvalidInput, OSError) as error:
        fail(error, 2)
    except FloatingPointError as error:
        fail(error, 1)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)


def fail(message, code):
    """One line on the error stream, and the exit code."""
    typer.echo(f"zoo: {' '.join(str(message).split())}", err=True)
    sys.exit(code)
