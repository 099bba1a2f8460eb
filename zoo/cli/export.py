"""`zoo export`: a SavedModel or a TFLite file, verified if asked."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import Name, app, import_tensorflow
from zoo.errors import InvalidInput, choose
from zoo.pretrained import locate


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
    choose("format", format, {"saved_model": 0, "tflite": 0})
    if endpoint and format != "tflite":
        raise InvalidInput("--endpoint is for TFLite files: a SavedModel has every endpoint")
    home = locate(name)
    import_tensorflow()
    import zoo
    from zoo.export import verify as check

    model = zoo.load(home)
    base = output / home.resolve().name
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
