"""Keras' optimisers by name, of which Adam and AdamW move each variable by one kernel."""

import inspect

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, choose
from zoo.models.updates import FUSED
from zoo.registry import check_arguments, parameters_of

# What a recipe says itself, or what Keras would do to the weights behind its back.
OURS = ("learning_rate", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "name", "kwargs")


def known():
    """Name in lower case -> class."""
    base = keras.optimizers.Optimizer
    found = {name.lower(): cls for name, cls in vars(keras.optimizers).items() if inspect.isclass(cls)}
    found = {name: cls for name, cls in found.items() if issubclass(cls, base) and cls is not base}
    return {k: cls for k, cls in found.items() if "learning_rate" in parameters_of(cls)} | FUSED


def make(spec, rate, clipnorm):
    """The optimiser of a name, or of a dict with the name and its arguments.

    Args:
        rate: the learning rate, a number or a Keras schedule.
        clipnorm: None, or the largest norm of the whole gradient.

    Raises:
        InvalidInput: unknown name or argument, or a value that the optimiser cannot work with.
    """
    arguments = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = arguments.pop("name", None)
    cls = choose("optimizer", name.lower() if isinstance(name, str) else name, known())
    accepted = [argument for argument in parameters_of(cls) if argument not in OURS]
    check_arguments(f"optimizer {name!r}", arguments, accepted)
    try:
        if arguments:  # Keras looks at most of them only when it updates
            weight = keras.Variable([[1.0]])
            cls(0.1, **arguments).apply([weight + 0.0], [weight])
        return cls(rate, global_clipnorm=clipnorm, **arguments)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidInput(f"optimizer {name!r} cannot be made of {arguments}: {reason}") from error
