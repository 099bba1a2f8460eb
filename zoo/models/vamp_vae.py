"""The VAE with a VampPrior: the prior is the mean of the posterior over trained pseudo-inputs.

    p(z) = 1/K sum_k q(z | u_k)     u_k: pseudo-inputs, trained with the rest
    p(x | z) = likelihood(decoder(z))
    q(z | x) = posterior(encoder(x))

Tomczak & Welling 2018, arXiv:1705.07120. There the pseudo-inputs pass a hard tanh, here they are put back into the
data's range after each update, so that no pixel is stuck outside; `adapt` makes them start as training images.
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.distributions import Mixture
from zoo.errors import InvalidInput, check_positive
from zoo.models.vae import VAE
from zoo.probability import tfp
from zoo.randomness import seeded
from zoo.registry import register

tfd = tfp.distributions
NO_DENSITY = "a vamp_vae scores its posterior at any z, and this posterior has no log density there: use diagonal"


@register("vamp_vae", "VampPrior: the posterior's mixture over pseudo-inputs as the prior", "Tomczak & Welling 2018")
@keras.saving.register_keras_serializable("zoo")
class VampVAE(VAE):
    """A VAE with a VampPrior.

    Args:
        num_pseudo_inputs: K, how many learnt images the prior is a mixture over.
        **kwargs: as `VAE`, without `prior`. The posterior needs a log density at any point: "point" has none.
    """

    rows_apart = False  # the prior is made anew in each pass, which takes longer than sharing the rows saves

    def __init__(self, num_pseudo_inputs=500, **kwargs):
        check_positive(num_pseudo_inputs=num_pseudo_inputs)
        if "prior" in kwargs:
            raise InvalidInput("the prior of a vamp_vae is made of its posterior: leave out prior")
        super().__init__(**kwargs)
        low, high = self.likelihood_head.minimum, self.likelihood_head.maximum
        bounded = low is not None
        with seeded(self.seed + 1):
            self.pseudo_inputs = self.add_weight(
                shape=(num_pseudo_inputs, *self.data_shape),
                initializer=keras.initializers.RandomUniform(low, high) if bounded else "random_normal",
                constraint=Between(low, high) if bounded else None,
                name="pseudo_inputs",
            )
        self.phase = Phase()

    def build(self, input_shape=None):
        try:
            super().build(input_shape)
        except NotImplementedError as error:
            raise InvalidInput(NO_DENSITY) from error

    @classmethod
    def examples(cls):
        return {name: {**config, "num_pseudo_inputs": 6} for name, config in super().examples().items()}

    @property
    def inference_layers(self):
        return []  # the prior is made of them too

    def draw(self, seeds, condition, temperature=1.0):
        return {"z": self.prior().sample_rows(seeds, temperature)}

    def plane(self, probabilities):
        raise InvalidInput("a vamp_vae has no quantiles: a grid needs a standard_normal or flow prior")

    def prior(self):
        x = tf.convert_to_tensor(self.pseudo_inputs)
        # The encoder's running statistics are those of the data alone.
        training = self.phase(x)
        features = self.encoder(x, training=False)
        self.phase(x, training=training)
        components = self.posterior_head(features)
        if isinstance(getattr(components, "distribution", None), tfd.Deterministic):
            raise InvalidInput(NO_DENSITY)
        return Mixture(tf.zeros([x.shape[0]]), components)

    def adapt(self, dataset):
        """As the VAE; and the pseudo-inputs become images of `dataset`, chosen at random, again where it has fewer."""
        super().adapt(dataset)
        draws, chosen = np.random.RandomState(self.seed), None
        count = self.pseudo_inputs.shape[0]
        for fields in self.batches(dataset):
            x = self.image(self.as_binary(fields, None, training=False)).numpy()
            keyed = (draws.uniform(size=len(x)), x)
            chosen = keyed if chosen is None else [np.concatenate(pair) for pair in zip(chosen, keyed, strict=True)]
            first = np.argsort(chosen[0])[:count]
            chosen = [part[first] for part in chosen]
        self.pseudo_inputs.assign(np.resize(chosen[1], self.pseudo_inputs.shape))


class Phase(keras.layers.Layer):
    """Says whether the layers around it are training; called with `training`, it decides that for those after it."""

    def call(self, x, training=None):
        return training


class Between(keras.constraints.Constraint):
    """Keeps a weight in [low, high]."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, weight):
        return tf.clip_by_value(tf.convert_to_tensor(weight), self.low, self.high)
