"""`zoo push`: a trained model for everybody, on the Hugging Face Hub."""

import pathlib
import shutil
import tempfile
from typing import Annotated

import typer

from zoo.cli.app import Name, app, import_tensorflow
from zoo.cli.pictures import draw_all
from zoo.errors import InvalidInput
from zoo.files import write_json
from zoo.pretrained import fetch, load, locate, read_card
from zoo.pretrained.places import hub_name
from zoo.pretrained.remote import logs_of


@app.command()
def push(
    name: Name,
    address: Annotated[str, typer.Argument(help="Where to: hf://user/name.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
):
    """Share a model on the Hugging Face Hub.

    Card, page, pictures, weights, SavedModel and TFLite go there. Needs `pip install 'vae-zoo[hub]'` and a token:
    HF_TOKEN, or `hf auth login`. The Hub shows the card's numbers, and others load it by zoo.load("hf://user/name").

    Example: zoo push runs/a hf://me/my_vae
    """
    from zoo.pretrained.hub import connection, upload

    api = connection(address, overwrite)
    locate(name)
    import_tensorflow()
    with tempfile.TemporaryDirectory() as scratch:
        home = pathlib.Path(scratch) / hub_name(address).split("/")[1]
        fill(home, name, address)
        upload(api, home, address, overwrite)
    typer.echo(f'{address} holds {name}; zoo.load("{address}") takes it')


def fill(home, name, address):
    """Make a folder of all that is shared of a model."""
    from zoo.export import export_saved_model, export_tflite
    from zoo.pretrained.hub import hub_page, write_keras_files

    source = locate(name)
    card, weights = {**read_card(source), "name": home.name}, fetch(source)
    home.mkdir()
    shutil.copy(weights, home / weights.name)
    for log in logs_of(source):
        shutil.copy(log, home)
    write_json(home / "card.json", card)
    model = load(home)
    write_json(home / "card.json", {**card, "weights": write_keras_files(model, home, weights.name)})
    export_saved_model(model, home, version=1)
    try:
        export_tflite(model, home / f"{home.name}.tflite")
    except InvalidInput as error:
        typer.echo(f"without a TFLite file: {error}", err=True)
    draw_all(home)
    (home / "README.md").write_text(hub_page(home, card, address))
