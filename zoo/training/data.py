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
    is_stream,
    known_classes,
    list_datasets,
    load_arrays,
    load_dataset,
    load_labels,
    load_semi_supervised,
    sampling_rate,
    source_settings,
    takes_labels,
)
from zoo.data.sizes import LOOK, look_of
from zoo.errors import InvalidInput

SERVICE = "service"  # of the data of a preset: the address of a tf.data service
LOOKED_AT = 20_000  # rows of a stream from which its kind and its mean are known


def suggest_config(name, source, likelihood=None, **given):
    """What a data set alone decides of a model's arguments: the shape, the classes, and how its pixels are modelled.

    `given` are further arguments of `load_arrays`. Grey images are binarised unless another likelihood than "bernoulli"
    is asked for; colours are 8-bit levels. Sequences and tables of 0 and 1 are taken as they are, others are normal.
    """
    arrays = load_arrays(source, "train", limit=1, **given)
    x = arrays["x"]
    if LENGTH in arrays or x.ndim == 2:
        x = x if LENGTH in arrays else load_arrays(source, "train", limit=few_of(source), **given)["x"]
        config = {"data_shape": [None, *x.shape[2:]] if LENGTH in arrays else list(x.shape[1:])}
        config |= {} if likelihood is not None or np.isin(x, (0, 1)).all() else {"likelihood": "normal"}
    else:
        config = {"data_shape": list(x.shape[1:])}
        if likelihood is None and x.shape[-1] != 1:
            config["likelihood"] = "discretized_logistic"
        elif likelihood in (None, "bernoulli"):
            config["binarize"] = "dynamic"
    if LENGTH not in arrays and "num_classes" in model_class(name)[0].argument_names():
        config["num_classes"] = check_labels(load_labels(source, **given), known_classes(source), f"{source!r}")
    return config


def few_of(source, look=None):
    """How many rows of a source are looked at before training: of what is streamed some, of the rest all."""
    return LOOKED_AT if is_stream(source, look) else None


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
        **({SERVICE: data[SERVICE]} if data.get(SERVICE) else {}),
    }


def describe(data):
    """A preset's data as a card has them: with the version and the protocol of a data set known by name.

    Those of sound have their samples a second.
    """
    rate = sampling_rate(data["name"])
    data = {key: value for key, value in data.items() if key != SERVICE}  # of a network, and not of the model
    data = data if rate is None else {**data, "rate": rate}
    if data["name"] not in list_datasets():
        return data
    info = describe_dataset(data["name"])
    return {**data, "version": info["version"], "protocol": info["protocol"]}


def to_adapt(model, data, recipe):
    """The training data that `model.adapt` sees, in their order: all, or of what is streamed some rows of all of it."""
    arguments = data_arguments(model, data, recipe)
    if not few_of(data["name"], look_of(*(data.get(key) for key in LOOK))):
        return load_dataset(**arguments, shuffle=False)
    drawn = load_dataset(**arguments, shuffle=True, seed=recipe.seed, first_epoch=0)
    return drawn.take(-(-LOOKED_AT // recipe.batch_size))


def datasets(model, data, recipe, epochs_done):
    """(training data after so many epochs, validation data or None, updates per epoch), checked against the model.

    A position is a number of updates: an epoch of the recipe may be a part of a pass over the data, or more than one.
    """
    load = functools.partial(load_few_labels if "num_labels" in data else load_part, model, data, recipe)
    whole = int(load("split", None).cardinality())
    steps = recipe.steps_per_epoch or whole
    train_data = load("split", divmod(epochs_done * steps, whole))
    check_dataset(train_data, model.batch_spec)
    validation_data = None
    if data.get("validation"):
        validation_data = load("validation", None)
        if recipe.steps_per_epoch:
            validation_data = validation_data.take(recipe.steps_per_epoch)
        check_dataset(validation_data, model.batch_spec)
    elif recipe.patience:
        raise InvalidInput("early stopping needs validation data: name the split, such as validation='validation'")
    return train_data, validation_data, steps


def load_part(model, data, recipe, part, position):
    """The part "split" of a preset's data, shuffled, in whole batches, or the part "validation" in its order.

    Batches of sequences are of several sizes. A `position` is (pass, batches of it that were seen), or None.
    """
    arguments = data_arguments(model, data, recipe, part)
    if part != "split":
        return load_dataset(**arguments, shuffle=False)
    arguments |= {"shuffle": True, "seed": recipe.seed, **position_arguments(position)}
    return load_dataset(**arguments, drop_remainder=not model.fields_of("length"))


def position_arguments(position):
    """The arguments of `load_dataset` for a position."""
    return {} if position is None else dict(zip(("first_epoch", "first_step"), position, strict=True))


def load_few_labels(model, data, recipe, part, position):
    """As `load_part`, with "num_labels", "labels_seed" and "labelled_per_batch" of the data; held-out labels hidden."""
    arguments = data_arguments(model, data, recipe, part)
    if not arguments.pop("labels"):
        raise InvalidInput(f"a {model.registry_name} takes no labels: leave out num_labels, or use m1, m2 or m1_m2")
    if SERVICE in arguments:
        raise InvalidInput("a tf.data service is for data that are streamed, and a few labels are chosen in memory")
    return load_semi_supervised(
        **arguments,
        num_labels=data["num_labels"],
        seed=data.get("labels_seed", 0),
        labelled_per_batch=data.get("labelled_per_batch"),
        num_classes=model.data_spec[LABELS].maximum + 1,
        order_seed=recipe.seed,
        **position_arguments(position),
    )
