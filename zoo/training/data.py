"""The data of a run, as its preset names them, checked against the model."""

import functools

import numpy as np

from zoo.creation import model_class
from zoo.data import (
    LABELS,
    LENGTH,
    check_dataset,
    check_labels,
    describe_dataset,
    known_classes,
    list_datasets,
    load_arrays,
    load_dataset,
    load_semi_supervised,
    sampling_rate,
    source_settings,
    takes_labels,
)
from zoo.errors import InvalidInput


def suggest_config(name, source, likelihood=None, **given):
    """What a data set alone decides of a model's arguments: the shape, the classes, and how its pixels are modelled.

    `given` are further arguments of `load_arrays`. Grey images are binarised unless another likelihood than "bernoulli"
    is asked for; colours are 8-bit levels. Sequences and tables of 0 and 1 are taken as they are, others are normal.
    """
    arrays = load_arrays(source, "train", limit=1, **given)
    x = arrays["x"]
    if LENGTH in arrays or x.ndim == 2:
        x = x if LENGTH in arrays else load_arrays(source, "train", **given)["x"]
        config = {"data_shape": [None, *x.shape[2:]] if LENGTH in arrays else list(x.shape[1:])}
        config |= {} if likelihood is not None or np.isin(x, (0, 1)).all() else {"likelihood": "normal"}
    else:
        config = {"data_shape": list(x.shape[1:])}
        if likelihood is None and x.shape[-1] != 1:
            config["likelihood"] = "discretized_logistic"
        elif likelihood in (None, "bernoulli"):
            config["binarize"] = "dynamic"
    if LENGTH not in arrays and "num_classes" in model_class(name)[0].argument_names():
        labels = load_arrays(source, "train", labels=True, **given)[LABELS]
        config["num_classes"] = check_labels(labels, known_classes(source), f"{source!r}")
    return config


def said_of(model):
    """A line on what is trained: the shape of the data and the likelihood that stands for them."""
    config = {**model.argument_defaults(), **model.get_config()}
    likelihood, binarize = config.get("likelihood"), config.get("binarize")
    likelihood = likelihood.get("name", likelihood.get("class_name")) if isinstance(likelihood, dict) else likelihood
    said = ["" if likelihood is None else f", likelihood {likelihood}", f", binarised ({binarize})" if binarize else ""]
    return (
        f"{model.registry_name} of x {list(config['data_shape'])}{''.join(said)}; --set likelihood=NAME takes another"
    )


def data_arguments(model, data, recipe, split="split"):
    """Arguments of `load_dataset` for one part of a preset's data."""
    return {
        "source": data["name"],
        "split": data.get(split, "train"),
        "batch_size": recipe.batch_size,
        "labels": takes_labels(model.data_spec),
        "limit": data.get("limit"),
        **source_settings(data),
    }


def describe(data):
    """A preset's data as a card has them: with the version and the protocol of a data set known by name.

    Those of sound have their samples a second.
    """
    rate = sampling_rate(data["name"])
    data = data if rate is None else {**data, "rate": rate}
    if data["name"] not in list_datasets():
        return data
    info = describe_dataset(data["name"])
    return {**data, "version": info["version"], "protocol": info["protocol"]}


def datasets(model, data, recipe, first_epoch):
    """(training data from `first_epoch` on, validation data or None, updates per epoch), checked against the model."""
    load = functools.partial(load_labels if "num_labels" in data else load_part, model, data, recipe)
    steps = int(load("split", None).cardinality())
    train_data = load("split", first_epoch)
    check_dataset(train_data, model.batch_spec)
    validation_data = None
    if data.get("validation"):
        validation_data = load("validation", None)
        check_dataset(validation_data, model.batch_spec)
    elif recipe.patience:
        raise InvalidInput("early stopping needs validation data: name the split, such as validation='validation'")
    return train_data, validation_data, steps


def load_part(model, data, recipe, part, first_epoch):
    """The part "split" of a preset's data, shuffled, in whole batches, or the part "validation" in its order.

    Batches of sequences are of several sizes.
    """
    arguments = data_arguments(model, data, recipe, part)
    if part != "split":
        return load_dataset(**arguments, shuffle=False)
    arguments |= {"shuffle": True, "seed": recipe.seed, "first_epoch": first_epoch}
    return load_dataset(**arguments, drop_remainder=not model.fields_of("length"))


def load_labels(model, data, recipe, part, first_epoch):
    """As `load_part`, with "num_labels", "labels_seed" and "labelled_per_batch" of the data; held-out labels hidden."""
    arguments = data_arguments(model, data, recipe, part)
    if not arguments.pop("labels"):
        raise InvalidInput(f"a {model.registry_name} takes no labels: leave out num_labels, or use m1, m2 or m1_m2")
    return load_semi_supervised(
        **arguments,
        num_labels=data["num_labels"],
        seed=data.get("labels_seed", 0),
        labelled_per_batch=data.get("labelled_per_batch"),
        num_classes=model.data_spec[LABELS].maximum + 1,
        order_seed=recipe.seed,
        first_epoch=first_epoch,
    )
