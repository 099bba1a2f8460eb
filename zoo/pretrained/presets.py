"""Presets as KerasHub has them, and weights as keras.applications has them, over `load` and `save`."""

import pathlib

from zoo.creation import create
from zoo.errors import InvalidInput
from zoo.pretrained.store import load, read_card, save

FILES = (".keras", ".weights.h5")  # of Keras, with weights alone or a whole model


def from_preset(cls, preset, load_weights=True, **config):
    """See `LatentVariableModel.from_preset`."""
    if load_weights:
        model = load(preset, **config)
    else:
        card = read_card(preset)
        model = create(card["model"], **{**card["config"], **config})
    if not isinstance(model, cls):
        raise InvalidInput(f"{preset} is a {type(model).__name__}, and no {cls.__name__}: zoo.load takes any")
    return model


def save_to_preset(model, preset_dir):
    """See `LatentVariableModel.save_to_preset`."""
    save(model, preset_dir, card=getattr(model, "card", None) and {"data": model.card.get("data", {})}, overwrite=True)


def with_weights(name, weights, config):
    """A model of the kind `name` with the weights of a pretrained model, a folder, an address or a file of Keras."""
    if str(weights).endswith(FILES):
        model = create(name, **config)
        if not pathlib.Path(weights).expanduser().is_file():
            raise InvalidInput(f"there is no file {str(weights)!r}")
        model.load_weights(weights)
        return model
    return load(weights, model=name, **config)
