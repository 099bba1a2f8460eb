"""The Hugging Face Hub: a model's folder there, with a page whose head says its numbers in the Hub's own form."""

import contextlib
import math

from zoo.address import HOME
from zoo.errors import InvalidInput, reason
from zoo.pretrained.page import page
from zoo.pretrained.places import hub_name


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


def hub_page(home, card, address):
    """The README.md of a model on the Hub: the head that the Hub reads, then the model's page."""
    return f"---\n{head(card)}---\n\n{page(home, card, address)}"


def head(card):
    """The head of a page as YAML: the library, tags, and the model-index with every number of the card."""
    from huggingface_hub import ModelCardData

    tags = dict.fromkeys(["vae", card["model"], "tensorflow-probability", "vae-zoo"])
    results = list(eval_results(card)) or None
    data = ModelCardData(library_name="keras", tags=list(tags), model_name=card["name"], eval_results=results)
    return data.to_yaml().rstrip("\n") + "\n"


def eval_results(card):
    """The numbers of a card as the Hub's `EvalResult`, each with its error and sizes."""
    from huggingface_hub import EvalResult

    data = str(card.get("data", {}).get("name", "?")).rstrip("/").rsplit("/", 1)[-1]
    image = len(card["config"].get("data_shape", ())) == 3
    for name, metric in card.get("metrics", {}).items():
        if math.isfinite(metric["value"]):
            yield EvalResult(
                task_type="unconditional-image-generation" if image else "other",
                dataset_type=data,
                dataset_name=data,
                dataset_split=card.get("evaluation", {}).get("split", "test"),
                metric_type=name,
                metric_name=f"{name} of {metric['of']}" if "of" in metric else name,
                metric_value=metric["value"],
                metric_args={key: metric[key] for key in metric if key not in ("value", "of")} or None,
            )
