"""The data of a run, as its preset names them, checked against the model."""

import functools

from zoo.data import (
    LABELS,
    check_dataset,
    describe_dataset,
    list_datasets,
    open_source,
    takes_labels,
)
from zoo.data.batches import Order, batches
from zoo.data.division import EmptyPart
from zoo.data.semi_supervised import few_labels
from zoo.errors import InvalidInput
from zoo.quiet import say_once
from zoo.training.defaults import LOOKED_AT

SERVICE = "service"  # of the data of a preset: the address of a tf.data service


def opened(model, data):
    """The source of a preset's data, as the model takes it: with labels where it cannot do without."""
    labels = takes_labels(model.data_spec) and data.get("label", True)
    return open_source(data["name"], labels=labels, data_dir=data.get("data_dir"), like=data)


def names_of(model, data, fresh):
    """What a preset's data are to keep of the names in them: all of it for a `fresh` run, else the rate alone."""
    found = opened(model, {"division": "name", **data} if fresh else data).about()
    return found if fresh else {key: found[key] for key in ("rate",) if key in found}


def describe(data):
    """A preset's data as a card has them: with the version and protocol of a data set known by name."""
    data = {key: value for key, value in data.items() if key != SERVICE}  # of a network, and not of the model
    if data["name"] not in list_datasets():
        return data
    info = describe_dataset(data["name"])
    return {**data, "version": info["version"], "protocol": info["protocol"]}


def to_adapt(model, data, recipe):
    """The training data that `model.adapt` sees, in their order: all, or of what is streamed some rows of all of it."""
    source = opened(model, data).split(data.get("split", "train"), data.get("limit"))
    if not source.streamed:
        return batches(source, recipe.batch_size, Order())
    drawn = batches(source, recipe.batch_size, Order(True, recipe.seed, 0), data.get(SERVICE))
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
    try:
        validation_data = load("validation", None) if data.get("validation") else None
    except EmptyPart as error:
        say_once(f"trained without validation: {error}")
    if validation_data is not None:
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
    source = opened(model, data).split(data.get(part, "train"), data.get("limit"))
    order = Order()
    if part == "split":
        order = Order(True, recipe.seed, *(position or (None, 0)), drop_remainder=not model.fields_of("length"))
    return batches(source, recipe.batch_size, order, data.get(SERVICE))


def load_few_labels(model, data, recipe, part, position):
    """As `load_part`, with "num_labels", "labels_seed" and "labelled_per_batch" of the data; held-out labels hidden."""
    if not takes_labels(model.data_spec):
        raise InvalidInput(f"a {model.registry_name} takes no labels: leave out num_labels, or use m1, m2 or m1_m2")
    if data.get(SERVICE):
        raise InvalidInput("a tf.data service is for data that are streamed, and a few labels are chosen in memory")
    hidden = not data.get(part, "train").startswith("train")
    return few_labels(
        opened(model, data).split(data.get(part, "train"), data.get("limit")),
        data["num_labels"],
        data.get("labels_seed", 0),
        recipe.batch_size,
        data.get("labelled_per_batch"),
        model.data_spec[LABELS].maximum + 1,
        Order(not hidden, recipe.seed, *(position or (None, 0))),
        hidden,
    )
