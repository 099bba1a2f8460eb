"""`zoo demo`: the whole road in a few minutes, without a network."""

import pathlib
import shutil
from typing import Annotated

import typer

from zoo.cli.app import app, import_tensorflow
from zoo.errors import InvalidInput

TRAINED_ON_DIGITS = {
    "model": "vae",
    "config": {
        "data_shape": [8, 8, 1],
        "latent_dim": 8,
        "encoder": {"name": "mlp", "hidden_units": [128, 128]},
        "binarize": "dynamic",
    },
    "data": {"name": "digits", "split": "train", "validation": "validation"},
    "recipe": {"epochs": 40, "batch_size": 64, "learning_rate": 2e-3, "schedule": "cosine", "steps_per_execution": 7},
}
SHOWN = "vae_mnist"
NEXT = """\
  zoo doctor {folder}/digits                          what is right and wrong with the run
  zoo train vae --dataset PHOTOS/ --output runs/mine   on a folder of your own pictures
  zoo list --pretrained mnist                          what else can be loaded"""


@app.command()
def demo(
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The folder to write into.")] = pathlib.Path(
        "zoo_demo"
    ),
):
    """Train, load, draw, export and verify in a few minutes, offline. Example: zoo demo"""
    import_tensorflow()
    run(output)


def run(folder):
    """Train on digits, load a pretrained model, draw, export and verify, all into `folder`; may be run again."""
    import zoo
    from zoo.export import require_equal, verify_saved_model, verify_tflite
    from zoo.pictures import draw
    from zoo.training import run as training

    folder.mkdir(parents=True, exist_ok=True)
    say = typer.echo
    say("1. Training a VAE on 1,397 8x8 digits.")
    trained, history = training.train(folder / "digits", TRAINED_ON_DIGITS, overwrite=True)
    elbo = history.history["val_elbo"]
    say(f"   Validation ELBO {elbo[0]:.2f} -> {elbo[-1]:.2f} nats; the run is in {folder / 'digits'}.")
    for kind in ("reconstructions", "samples"):
        draw(folder / "digits", kind, folder / f"digits_{kind}.png")
    say(f"   What comes back of held-out digits is in {folder / 'digits_reconstructions.png'}, draws beside it.")

    say(f"2. Loading the pretrained {SHOWN}.")
    model = zoo.load(SHOWN)
    draw(SHOWN, "samples", folder / f"{SHOWN}_samples.png")
    draw(SHOWN, "training", folder / f"{SHOWN}_training.png")
    say(f"   Its samples and training curves are in {folder}.")

    say("3. Exporting it for TF Serving and for phones, and comparing the numbers.")
    serving = folder / "serving" / SHOWN
    shutil.rmtree(serving, ignore_errors=True)
    path = zoo.export_saved_model(model, serving)
    report(require_equal(verify_saved_model(model, path), path), path, say)
    tflite = folder / f"{SHOWN}.tflite"
    zoo.export_tflite(model, tflite, overwrite=True)
    report(require_equal(verify_tflite(model, tflite), tflite), tflite, say)
    say(f"Done. Everything is in {folder.resolve()}; start with digits_reconstructions.png. Next:")
    say(NEXT.format(folder=folder))


def report(differences, path, say):
    """Say where an export is and how far its numbers are from the model's, or stop where they are too far."""
    wrong = [endpoint for endpoint, result in differences.items() if not result["passed"]]
    if wrong:
        raise InvalidInput(f"{path}: {', '.join(wrong)} of the export cannot be run or differ from Keras")
    worst = max([result["max_abs_difference"] for result in differences.values()])
    say(f"   {path}: {', '.join(differences)} agree with Keras {f'to {worst:.0e}' if worst else 'exactly'}.")
