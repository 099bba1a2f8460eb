"""The VAE with a VampPrior: the prior is the mean of the posterior over trained pseudo-inputs.

    p(z) = 1/K sum_k q(z | u_k)     u_k: pseudo-inputs, trained with the rest
    p(x | z) = likelihood(decoder(z))
    q(z | x) = posterior(encoder(x))

Tomczak & Welling 2018, arXiv:1705.07120. There the pseudo-inputs pass a hard tanh, here they are put back into the
data's range after each update, so that no pixel is stuck outside; they start as training images where `adapt` is called.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.distributions import Mixture
from zoo.errors import InvalidInput, check_positive
from zoo.models.vae import VAE
from zoo.randomness import seeded
from zoo.registry import register

tfd = tfp.distributions


@register("vamp_vae")
@keras.saving.register_keras_serializable("zoo")
class VampVAE(VAE):
    """A VAE with a VampPrior.

    Args:
        num_pseudo_inputs: K.
        **kwargs: as `VAE`, without `prior`. The posterior needs a log density at any point: "point" has none.
    """

    shares_encoder_with_prior = True

    def __init__(self, num_pseudo_inputs=500, **kwargs):
        check_positive(num_pseudo_inputs=num_pseudo_inputs)
        if "prior" in kwargs:
            raise InvalidInput("the prior of a vamp_vae is made of its posterior: leave out prior")
        super().__init__(**kwargs)
        low, high = self.likelihood_head.minimum, self.likelihood_head.maximum
        with seeded(self.seed + 1):
            self.pseudo_inputs = self.add_weight(
                shape=(num_pseudo_inputs, *self.data_shape),
                initializer="random_normal" if low is None else keras.initializers.RandomUniform(low, high),
                constraint=None if low is None else Between(low, high),
                name="pseudo_inputs",
            )

    def prior(self):
        # In inference mode: statistics of batch normalisation are those of data alone.
        with self.frozen_statistics():
            components = self.posterior(tf.convert_to_tensor(self.pseudo_inputs))
        return Mixture(tf.zeros([self.pseudo_inputs.shape[0]]), components)
