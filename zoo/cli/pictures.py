"""`zoo sample`, `reconstruct`, `interpolate` and `plot`: pictures of a model or a run, some as arrays too."""

import contextlib
import pathlib
from typing import Annotated

import numpy as np
import typer

from zoo import index
from zoo.cli.app import Input, Name, Seed, app, import_tensorflow
from zoo.cli.arrays import in_batches, is_array, saying, target, write_arrays
from zoo.cli.checks import check_picture, check_source
from zoo.cli.pipelines import EXTRA, Runner, check_draws, check_plain, run_pipeline
from zoo.cli.played import PLAYED, write_draws
from zoo.errors import InvalidInput, check_positive
from zoo.pretrained import locate

Picture = Annotated[pathlib.Path, typer.Option("--output", "-o", help="The PNG to write.")]
File = Annotated[pathlib.Path | None, typer.Option("--output", "-o", help="The PNG, .npz or .npy file to write.")]
Sample = Annotated[
    str | None,
    typer.Option("--output", "-o", help="The PNG, .npz or .npy file to write; .mid or .wav of models of sequences."),
]
Format = Annotated[str | None, typer.Option(help="png, npz or npy; else as the output ends.")]
KINDS = ", ".join(entry.name for entry in index.entries("pictures"))


@app.command(context_settings=EXTRA)
def sample(
    context: typer.Context,
    name: Name,
    output: Sample = None,
    format: Format = None,
    count: Annotated[int | None, typer.Option(help="How many: 64 images, 1 sequence, if not said.")] = None,
    seed: Seed = 0,
    mean: Annotated[
        bool | None,
        typer.Option("--mean/--draws", help="The means of p(x | z), as of images if not said, or draws from it."),
    ] = None,
    length: Annotated[int | None, typer.Option(help="Frames of a sequence; quarter notes of music.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Times the scale of p(z): below 1 draws are more typical, and less varied.")
    ] = None,
    runner: Runner = None,
):
    """Draw images, music or sound, as a picture, arrays or to play.

    Arrays are x, with labels y where the model has them; draws of music come one after another in one file.

    Example: zoo sample vae_mnist --count 64

    Any number of rows: zoo sample vae_mnist --count 1000000 --output draws/ --runner DirectRunner
    """
    if runner:
        for option, value in (("format", format), ("length", length), ("temperature", temperature)):
            if value is not None:
                raise InvalidInput(f"--{option} is not for pipelines, which write Parquet files of images")
        if mean is False:
            raise InvalidInput("--draws is not for pipelines, which write the means of p(x | z), as exports do")
        folder = output or "draws"
        return run_pipeline(name, "sample", folder, runner, context.args, count=check_draws(count), seed=seed)
    check_plain(context.args)
    output = output and pathlib.Path(output)
    heard = output is not None and format is None and output.suffix.lower() in PLAYED
    path = output if heard else target(output, format, "samples")
    subject = subject_of(name)
    sequence = "steps" in subject.model.offers
    count = (1 if sequence else 64) if count is None else count
    mean = not sequence if mean is None else mean
    if length is not None:
        check_positive(length=length)
        subject.model.require("--length", ["steps"])
    if sequence and temperature is not None:
        raise InvalidInput("--temperature is not for models of sequences")
    temperature = 1.0 if temperature is None else temperature
    if heard:
        return write_draws(subject, path, count, seed, mean, length)
    if sequence and not is_array(path):
        kind = "piano_roll" if subject.is_music else "waveform"
        return picture(name, kind, path, count=count, seed=seed, mean=mean, length=length)
    if not is_array(path):
        return picture(name, "samples", path, count=count, seed=seed, mean=mean, temperature=temperature)
    subject.model.require("zoo sample", ["prior"])
    if sequence:
        return write(path, {"x": np.asarray(subject.model.sample(count, seed=seed, mean=mean, length=length))})
    from zoo.pictures.samples import drawn

    images, condition = drawn(subject, count, seed, mean, temperature)
    return write(path, {"x": images, **condition})


@app.command()
def reconstruct(
    name: Name,
    input: Input = None,
    output: File = None,
    format: Format = None,
    count: Annotated[int | None, typer.Option(help="How many; 10 in a picture, all in arrays, if not said.")] = None,
):
    """Show your images, or test images, above their reconstructions.

    Both are written as arrays where --output says so.

    Example: zoo reconstruct vae_mnist --input digits/ --output reconstructions.png
    """
    path = target(output, format, "reconstructions")
    if not is_array(path):
        return picture(name, "reconstructions", path, input, count=10 if count is None else count)
    subject = subject_of(name, input)
    inputs = subject.unlabelled(count)
    means = in_batches(lambda fields: {"reconstruction": subject.reconstructed(fields)}, inputs)
    return write(path, {**means, "x": subject.originals(inputs)})


def subject_of(name, source=None):
    """A pretrained model or a run with its data."""
    home = locate(name)
    check_source(source)
    import_tensorflow()
    from zoo.pictures import Subject

    return Subject(home, source)


def write(path, arrays):
    """Write arrays and say so."""
    arrays = arrays if path.suffix == ".npz" else dict([*arrays.items()][:1])
    with saying(path, ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())):
        write_arrays(path, arrays)


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
    kind: Annotated[str, typer.Option(help=f"One of {KINDS}.")] = "samples",
    output: Annotated[pathlib.Path | None, typer.Option("--output", "-o", help="The PNG to write.")] = None,
):
    """Draw a picture of a model or a run. Example: zoo plot vae_mnist_2d --kind manifold"""
    picture(name, kind, output or pathlib.Path(f"{pathlib.Path(name).name}_{kind}.png"))


def draw_all(home):
    """Draw into a model's folder every kind of picture that it has, and of sequences write what can be played."""
    from zoo.pictures import Subject, draw
    from zoo.registry import PICTURES

    for kind in PICTURES:
        if kind in ("waveform", "spectrogram") and (home / "piano_roll.png").exists():
            continue  # of music its notes say more
        with contextlib.suppress(InvalidInput):  # a kind this model has not
            draw(home, kind, home / f"{kind}.png")
    subject = Subject(home)
    if "steps" in subject.model.offers:
        write_draws(subject, home / f"samples.{'mid' if subject.is_music else 'wav'}", 4, 0, False, None)


def picture(name, kind, output, source=None, **settings):
    """Draw one kind of picture of a pretrained model, and say where it is."""
    check_picture(name, kind)
    check_source(source)
    import_tensorflow()
    from zoo.pictures import draw

    about = next(entry.about for entry in index.entries("pictures") if entry.name == kind)
    with saying(output, f"{kind} of {name}. {about if source is None else about.replace('est images', 'hese images')}"):
        draw(name, kind, output, source, **settings)
