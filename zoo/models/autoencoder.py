"""The autoencoder: the contrast the variational ones are measured against. It has no prior, no KL and no bound.

    z = encoder(x)
    p(x | z) = likelihood(decoder(z))

Trained by the mean of log p(x | z). Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647.
"""

import keras

from zoo.errors import InvalidInput
from zoo.models.vae import VAE
from zoo.registry import register


@register("autoencoder", posterior="point")
@keras.saving.register_keras_serializable("zoo")
class Autoencoder(VAE):
    """A deterministic autoencoder; arguments as `VAE`'s, of which prior, bound and beta have no meaning here.

    Raises:
        InvalidInput: when asked for what needs a prior, `sample` and `log_prob`.
    """

    has_bound = False

    def call(self, inputs, num_samples=None, training=None, seed=None):
        trace = super().call(inputs, num_samples=num_samples, training=training, seed=seed)
        return trace._replace(log_prior={}, log_posterior={})

    def draw_latents(self, n, seed=None):
        raise InvalidInput("an autoencoder has no prior to sample from: use vae")

    def log_prob(self, x, num_samples=100, seed=None):
        raise InvalidInput("an autoencoder has no likelihood of x: use vae")

    def serve_encode(self, x):
        return {"z": self.posterior(x).mean()}

    @property
    def endpoints(self):
        return {name: f for name, f in super().endpoints.items() if name not in ("sample", "score")}
