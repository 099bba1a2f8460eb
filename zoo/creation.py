"""Names and arguments -> a built model. Above `models`, so that no import runs upwards.

(Not create.py: a module of that name would take the place of `zoo.create`, the function.)
"""

import fnmatch
import os
from typing import TYPE_CHECKING, Any

import tensorflow as tf

import zoo.models  # noqa: F401  (registers them)
from zoo import plugins
from zoo.errors import InvalidInput, choose
from zoo.lazy import deferred
from zoo.registry import MODELS, check_arguments
from zoo.settings import python

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models `create` knows, those of other packages too, filtered by a shell pattern."""
    return sorted(fnmatch.filter({*MODELS, *plugins.entry_points()}, pattern))


def model_class(name):
    """(class, defaults) that a registry name stands for; a model of another package is imported (`zoo.plugins`)."""
    if isinstance(name, str):
        plugins.register(name, MODELS)
    return choose("model", name, {**dict.fromkeys(plugins.known()), **MODELS})


def create(name: str, weights: str | os.PathLike | None = None, **config: Any) -> "LatentVariableModel":
    """A built Keras model, untrained or with `weights`.

    Args:
        name: a registry name, see `list_models`.
        weights: None for an untrained model; or a pretrained name, a folder, "hf://user/name", whose card then says the
            arguments that `config` does not; or a .weights.h5 or .keras file of Keras.
        **config: the arguments of the model's class (`help(type(model))` lists them), such as `latent_dim=32`,
            `encoder={"name": "conv", "filters": [32, 64]}`, `likelihood="normal"`, `bound="iwae"`, `num_samples=5`.
            Encoders and decoders may be any serialisable Keras layers.

    KerasTuner searches over the arguments: a function that makes and compiles a model of its choices, as

        def build(hp):
            model = zoo.create("vae", latent_dim=hp.Choice("latent_dim", [8, 32]))
            model.compile("adam")
            return model

    is what `keras_tuner.RandomSearch(build, objective=keras_tuner.Objective("val_elbo", "max"), ...)` takes.

    Raises:
        InvalidInput: (a `ValueError`) unknown name or argument, or a value out of range; the nearest names are offered.
    """
    if weights is not None:
        return deferred("zoo.pretrained.presets", "with_weights")(name, weights, config)
    cls, defaults = model_class(name)
    for argument in config.keys() & cls.retired.keys():
        raise InvalidInput(f"model {name!r} takes no argument {argument!r} any more: {cls.retired[argument]}")
    check_arguments(f"model {name!r}", config, cls.argument_names())
    try:
        model = cls(**{**defaults, **python(config)})
        model.registry_name = name
        model.build()
    except InvalidInput:
        raise
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise InvalidInput(f"model {name!r} cannot be made of these arguments: {error}") from error
    return model
