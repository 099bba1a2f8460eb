"""What data decide of a training where nobody says it: shape, likelihood, networks, and the size of a batch."""

import numpy as np

from zoo.creation import model_class
from zoo.data import LABELS, LENGTH, check_labels, list_datasets, open_source
from zoo.data.load import arrays_of
from zoo.training.recipe import Recipe

LOOKED_AT = 20_000  # rows of a stream from which its kind and its mean are known
CONVOLVED = 16  # pixels of the smaller side from which pictures get convolutions
BATCHES = (128, 64, 32, 16)
ENOUGH, FEW = 3000, 600  # updates: batches and passes are such as leave so many; fewer than the second are said
MOST_EPOCHS = 200
TABLE_UNITS = (64, 64)


def suggest(name, data, likelihood=None, recipe=None):
    """({argument: value}, {recipe's key: value}) for a model kind on data that are not said otherwise.

    Grey images are binarised unless another likelihood than "bernoulli" is asked for; colours are 8-bit levels.
    Sequences and tables of 0 and 1 are taken as they are, other numbers are normal, sounds a mixture of normals.
    Of one's own data, pictures from 16x16 on get convolutional networks, tables small ones, and few rows smaller
    batches and more passes; named data sets keep the defaults of the model.

    Args:
        data: of a preset: "name" and what else `zoo.data.open_source` takes, "limit".
        likelihood: None, or the one that is asked for.
        recipe: the settings that are asked for.
    """
    cls, given = model_class(name)
    arguments = {**cls.argument_defaults(), **given}
    with_classes, own = "num_classes" in arguments, data["name"] not in list_datasets()
    like = {"division": "name", **data}
    source = open_source(data["name"], like=like, labels=with_classes and data.get("label", True))
    part = source.split("train", LOOKED_AT if source.streamed else data.get("limit"))
    arrays = arrays_of(part.take(slice(1)) if source.kind == "pictures" and not source.streamed else part)
    x = arrays["x"]
    if LENGTH in arrays or x.ndim == 2:
        config = {"data_shape": [None, *x.shape[2:]] if LENGTH in arrays else list(x.shape[1:])}
        config |= {} if likelihood is not None or np.isin(x, (0, 1)).all() else {"likelihood": of_numbers(source, own)}
        if own and LENGTH not in arrays:
            config |= for_table(x.shape[1], arguments)
    else:
        config = {"data_shape": list(x.shape[1:])}
        if likelihood is None and x.shape[-1] != 1:
            config["likelihood"] = "discretized_logistic"
        elif likelihood in (None, "bernoulli"):
            config["binarize"] = "dynamic"
        if own and min(x.shape[1:3]) >= CONVOLVED and arguments.get("encoder") == "mlp":
            config["encoder"] = "conv"
    if LENGTH not in arrays and with_classes:
        known = source.num_classes or (len(source.classes) if source.classes else None)
        config["num_classes"] = known or check_labels(arrays[LABELS], None, source.said)
    return config, {} if source.streamed or not own else passes_for(part.count, recipe or {})


def of_numbers(source, own):
    """The likelihood of real numbers."""
    if source.sequential:
        return "normal_mixture" if own and source.rate is not None else "normal"
    return {"name": "normal", "scale": "learned"} if own else "normal"


def for_table(columns, arguments):
    """Small networks, and not more units than a table has columns."""
    found = {}
    if arguments.get("encoder") == "mlp":
        found["encoder"] = {"name": "mlp", "hidden_units": list(TABLE_UNITS)}
    if isinstance(arguments.get("latent_dim"), int):
        found["latent_dim"] = max(2, min(arguments["latent_dim"], columns // 2))
    return found


def passes_for(rows, asked):
    """{"batch_size", "epochs"} that leave a training on so many rows enough updates, as far as they are not `asked`."""
    if {"batch_size", "steps_per_epoch"} & asked.keys() or not isinstance(asked.get("epochs", 1), int):
        return {}
    epochs = asked.get("epochs", Recipe.epochs)
    fitting = [size for size in BATCHES if epochs * (rows // size) >= ENOUGH]
    size = max(1, min(rows, fitting[0] if fitting else BATCHES[-1]))
    found = {"batch_size": size} if size != Recipe.batch_size else {}
    if "epochs" not in asked and not fitting:
        found["epochs"] = min(MOST_EPOCHS, -(-ENOUGH // (rows // size)))
    return found


def said_of(model, recipe, steps):
    """Lines on what is trained: the data, the networks and the likelihood; the updates, and whether they are few."""
    config = {**model.argument_defaults(), **model.get_config()}
    parts = [f"{model.registry_name} of x {list(config['data_shape'])}"]
    for key, words in (("encoder", "{} networks"), ("latent_dim", "{} latent units"), ("likelihood", "likelihood {}")):
        if (value := named(config.get(key))) is not None:
            parts.append(words.format(value))
    binarized = f" (binarised, {config['binarize']})" if config.get("binarize") else ""
    yield ", ".join(parts) + binarized
    total = recipe.epochs * steps
    yield f"batches of {recipe.batch_size}: {steps:,} updates an epoch, {total:,} in all"
    if total < FEW:
        smaller = [size for size in BATCHES if size < recipe.batch_size]
        offered = f", or --batch-size {smaller[-1]}" if smaller else ""
        yield f"{total} updates in all: more epochs{offered}"


def named(value):
    """What an argument is called in a line: the name of a part, or a number; None for what is neither."""
    if isinstance(value, dict):
        return value.get("name", value.get("class_name"))
    return value if isinstance(value, (str, int)) else None
