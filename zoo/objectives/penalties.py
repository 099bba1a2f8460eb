"""Penalties: costs that training pays beside the bound, with any model, bound, posterior and prior."""

import math

import keras
import tensorflow as tf

from zoo.distributions import location
from zoo.errors import InvalidInput


class Penalty(keras.layers.Layer):
    """A cost, `weight` times which is added to what training minimises.

    A subclass writes `value`. It is called as a plain function, so that no policy casts the terms of a pass.

    Attributes:
        weight: a scalar variable, saved with the model and moved by schedules as "<name>.weight".
        unit: of the value.
        needs: what a model must offer (`LatentVariableModel.offers`).
    """

    unit, needs = "nats", ()

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**{"name": self.registry_name, "dtype": "float32", **kwargs})
        if not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
            raise InvalidInput(f"the weight of a penalty is a number from 0, got {weight!r}")
        start = keras.initializers.Constant(weight)
        self.weight = self.add_weight(shape=(), initializer=start, trainable=False, name="weight")
        self.built = True

    @property
    def scalars(self):
        """Name -> scalar variable that a schedule may move as "<name of the penalty>.<name>"."""
        return {"weight": self.weight}

    def value(self, p, model):
        """[B], or one number for the batch: what is paid for a `Pass` of a model."""
        raise NotImplementedError

    def __call__(self, p, model):
        return self.value(p, model)

    def players(self, model):
        """Who else minimises something: see `Player`. Nobody, unless the penalty learns."""
        return []

    def compile(self, mixed):
        """Make what `players` need; `mixed` is whether the model trains in half precision."""

    def load_own_variables(self, store):
        """The weight stays as given where a file was written before penalties had one."""
        if len(store.keys()):
            super().load_own_variables(store)


def draws_by_latent(p, model):
    """Name -> (z [C, B, D], mass [C, B]): the first draw of each continuous latent, and the mass of its values."""
    return {name: by_value(p.trace.latents[name][0], name, p) for name in model.latent_names}


def locations_by_latent(p, model):
    """As `draws_by_latent`, of the posteriors' locations, at the first draws of the latents that these depend on."""
    return {name: by_value(location(p.posterior[name]), name, p) for name in model.latent_names}


def by_value(values, name, p):
    """(values [C, B, D], mass [C, B]) of a latent's values, whose axes before the event are, or fold, C and B."""
    mass = tf.exp(p.trace.log_mass[0])
    size = math.prod(p.trace.latents[name].shape[3:])
    values = tf.reshape(values, [-1, tf.shape(mass)[1], size])[: tf.shape(mass)[0]]
    return values + tf.zeros([tf.shape(mass)[0], 1, 1]), mass


def covariance(values, mass):
    """[D, D]: that of values [C, B, D], whose C values of a row weigh mass [C, B]."""
    weight = mass / tf.reduce_sum(mass)
    centred = values - tf.einsum("cb,cbd->d", weight, values)
    return tf.einsum("cb,cbd,cbk->dk", weight, centred, centred)
