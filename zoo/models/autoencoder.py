"""The autoencoder: the contrast the variational ones are measured against. It has no prior, no KL and no bound.

    z = encoder(x)
    p(x | z) = likelihood(decoder(z))

Trained by the mean of log p(x | z). Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647.
"""

import keras

from zoo.errors import InvalidInput
from zoo.models.vae import VAE
from zoo.registry import register


@register(
    "autoencoder",
    "deterministic code; the contrast, without prior or bound",
    "Hinton & Salakhutdinov 2006",
    posterior="point",
)
@keras.saving.register_keras_serializable("zoo")
class Autoencoder(VAE):
    """A deterministic autoencoder; arguments as `VAE`'s, of which prior, bound and beta have no meaning here.

    Raises:
        InvalidInput: when asked for what needs a prior, `sample` and `log_prob`.
    """

    capabilities = frozenset({"decoder"})

    @classmethod
    def examples(cls):
        found = super().examples()
        return {"mlp": found["mlp"], "masked": {**found["mlp"], "masked": True}, "conv": found["conv"]}

    def run(self, inputs, *args, **kwargs):
        p = super().run(inputs, *args, **kwargs)
        return p._replace(trace=p.trace._replace(log_prior={}, log_posterior={}))

    def require(self, thing, needs):
        if not self.capabilities.issuperset({"bound", "prior"}.intersection(needs)):
            raise InvalidInput(f"{thing} needs a distribution of x, and an autoencoder has none: use vae")
        super().require(thing, needs)
