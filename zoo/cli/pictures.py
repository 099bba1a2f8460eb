"""`zoo sample`, `reconstruct`, `interpolate` and `plot`: pictures of a model or a run."""

import pathlib
from typing import Annotated

import typer

from zoo import index
from zoo.cli.app import Name, Seed, app, import_tensorflow

Picture = Annotated[pathlib.Path, typer.Option("--output", "-o", help="The PNG to write.")]
KINDS = ", ".join(entry.name for entry in index.entries("pictures"))


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
    kind: Annotated[str, typer.Option(help=f"One of {KINDS}.")] = "samples",
    output: Annotated[pathlib.Path | None, typer.Option("--output", "-o", help="The PNG to write.")] = None,
):
    """Draw a picture of a model or a run. Example: zoo plot vae_mnist_2d --kind manifold"""
    picture(name, kind, output or pathlib.Path(f"{pathlib.Path(name).name}_{kind}.png"))


def picture(name, kind, output, **settings):
    """Draw one kind of picture of a pretrained model, and say where it is."""
    import_tensorflow()
    from zoo.pictures import draw

    draw(name, kind, output, **settings)
    typer.echo(f"wrote {output}")
