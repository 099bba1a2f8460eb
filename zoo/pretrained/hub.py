"""The Hugging Face Hub: a model's folder there, with a page whose head says its numbers in the Hub's own form."""

import contextlib
import math
import pathlib
import tempfile
import zipfile

from zoo.address import HOME
from zoo.data import list_datasets
from zoo.errors import InvalidInput, reason
from zoo.files import sha256
from zoo.pretrained.page import page
from zoo.pretrained.places import hub_name

IMAGES = "unconditional-image-generation"  # what the Hub calls the task
KERAS_WEIGHTS = "model.weights.h5"  # of a .keras file
WIDGETS = ("samples", "piano_roll", "waveform")


def connection(address, overwrite=False):
    """An `HfApi` that may write to an address of the Hub.

    Raises:
        InvalidInput: huggingface_hub is not installed, there is no token, or a model is there and `overwrite` is False.
    """
    name = hub_name(address)
    try:
        from huggingface_hub import HfApi, get_token
    except ImportError as error:
        raise InvalidInput("zoo push needs huggingface_hub: pip install 'vae-zoo[hub]'") from error
    if not get_token():
        raise InvalidInput(f"writing to {address} needs a token: set HF_TOKEN, or run `hf auth login`")
    api = HfApi(library_name="vae-zoo")
    with refusals(address):
        if not overwrite and api.repo_exists(name):
            raise InvalidInput(f"{address} already holds a model: use overwrite=True or another name")
    return api


def upload(api, folder, address, overwrite=False):
    """Make a model's folder what an address of the Hub holds.

    Raises:
        InvalidInput: the Hub refuses it, or cannot be reached.
    """
    name = hub_name(address)
    with refusals(address):
        api.create_repo(name, exist_ok=overwrite)
        gone = {"delete_patterns": "*"} if overwrite else {}
        api.upload_folder(repo_id=name, folder_path=folder, commit_message=f"{name} of {HOME}", **gone)


@contextlib.contextmanager
def refusals(address):
    """What the Hub and the network say becomes one line."""
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:  # of huggingface_hub and of the HTTP library below it
        raise InvalidInput(f"{address} cannot be written: {reason(error)}") from error


def write_keras_files(model, home, old):
    """Write what a .keras file holds into a model's folder, so that `keras.saving.load_model` reads the folder.

    Its weights take the place of those in the file `old`, with which `zoo.load` finds them.

    Returns:
        The entry "weights" of the card.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as file:
            file.extractall(home)
    if old != KERAS_WEIGHTS:
        (home / old).unlink()
    content = (home / KERAS_WEIGHTS).read_bytes()
    return {"file": KERAS_WEIGHTS, "sha256": sha256(content), "bytes": len(content)}


def hub_page(home, card, address):
    """The README.md of a model on the Hub: the head that the Hub reads, then the model's page."""
    pictures = [f"{kind}.png" for kind in WIDGETS if (home / f"{kind}.png").exists()]
    return f"---\n{head(card, *pictures[:1])}---\n\n{page(home, card, address)}"


def head(card, picture=None):
    """The head of a page as YAML: library, tags, data set, the numbers of the card, a picture that the Hub shows."""
    from huggingface_hub import ModelCardData

    tags = dict.fromkeys(["vae", card["model"], "tensorflow-probability", "vae-zoo"])
    results = list(eval_results(card)) or None
    known, image = card.get("data", {}).get("name") in list_datasets(), is_image(card)
    data = ModelCardData(
        library_name="keras",
        tags=list(tags),
        datasets=[card["data"]["name"]] if known else None,
        pipeline_tag=IMAGES if image else None,
        model_name=card["name"],
        eval_results=results,
        widget=[{"text": "draws", "output": {"url": picture}}] if picture else None,
    )
    return data.to_yaml().rstrip("\n") + "\n"


def eval_results(card):
    """The numbers of a card as the Hub's `EvalResult`, each with its error and sizes."""
    from huggingface_hub import EvalResult

    data = str(card.get("data", {}).get("name", "?")).rstrip("/").rsplit("/", 1)[-1]
    for name, metric in card.get("metrics", {}).items():
        if math.isfinite(metric["value"]):
            yield EvalResult(
                task_type=IMAGES if is_image(card) else "other",
                dataset_type=data,
                dataset_name=data,
                dataset_split=card.get("evaluation", {}).get("split", "test"),
                metric_type=name,
                metric_name=f"{name} of {metric['of']}" if "of" in metric else name,
                metric_value=metric["value"],
                metric_args={key: metric[key] for key in metric if key not in ("value", "of")} or None,
            )


def is_image(card):
    """Whether a model is one of images."""
    return len(card["config"].get("data_shape", ())) == 3
