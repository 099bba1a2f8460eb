"""The variational autoencoder.

    p(z) = prior                    N(0, I) unless said
    p(x | z) = likelihood(decoder(z))
    q(z | x) = posterior(encoder(x))

Kingma & Welling 2014, arXiv:1312.6114; Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082.
"""

import keras

from zoo import posteriors, priors  # noqa: F401  (registers the parts)
from zoo.errors import InvalidInput, check_positive
from zoo.models.one_latent import OneLatent
from zoo.randomness import seeded
from zoo.registry import POSTERIORS, PRIORS, register


@register("vae", "the variational autoencoder", "Kingma & Welling 2014; Rezende et al. 2014")
@keras.saving.register_keras_serializable("zoo")
class VAE(OneLatent):
    """A variational autoencoder with one latent `z` [D].

    Args:
        data_shape: shape of x without the batch axis, such as (28, 28, 1).
        latent_dim: D, how many units the latent has.
        encoder: "mlp", "conv", a dict with the name and its arguments, or a Keras layer [N, *data_shape] -> [N, ...].
        decoder: as `encoder`; None mirrors the encoder. A Keras layer maps [N, D] to
            [N, *data_shape[:-1], channels * k], k being the numbers the likelihood takes for each value of x.
        posterior: "diagonal", "full_covariance", a flow, or a layer from features to a distribution over [D].
        prior: "standard_normal", "flow", "mixture", or a `zoo.priors.Prior` over [D].
        likelihood: "bernoulli", "normal", "discretized_logistic" or "categorical".
        **kwargs: `bound`, `num_samples`, `beta`, `penalties`, `binarize`, `masked`, `seed`: see `LatentVariableModel`.
    """

    def __init__(
        self,
        data_shape=(28, 28, 1),
        latent_dim=32,
        encoder="mlp",
        decoder=None,
        posterior="diagonal",
        prior="standard_normal",
        likelihood="bernoulli",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        with seeded(self.seed):
            self.make_networks(data_shape, encoder, decoder, likelihood)
            self.posterior_head = POSTERIORS.create(posterior, latent_dim=latent_dim)
            self.prior_head = PRIORS.create(prior, latent_dim=latent_dim)
        if not isinstance(self.prior_head, priors.Prior):
            raise InvalidInput(f"a prior of your own is a zoo.priors.Prior, got a {type(prior).__name__}")

    @classmethod
    def examples(cls):
        sizes = {"data_shape": (4, 4, 1), "latent_dim": 3, "seed": 1}
        conv = {"name": "conv", "filters": [4], "hidden_units": [8]}
        mlp = {**sizes, "encoder": {"name": "mlp", "hidden_units": [8]}}
        return {
            "mlp": mlp,
            "masked, penalties": {**mlp, "masked": True, "penalties": ["mmd", {"name": "factor_tc", "weight": 2.0}]},
            "conv": {**sizes, "encoder": conv, "likelihood": "discretized_logistic", "data_shape": (6, 5, 3)},
        }

    @property
    def latent_shape(self):
        return (self.latent_dim,)
