"""The variational recurrent neural network: prior, posterior and emission are conditioned on the recurrent state.

    p(z_t | past) = N(loc(h_t-1), scale(h_t-1)^2)
    p(x_t | z_t, past) = likelihood(decoder(f(z_t), h_t-1))
    q(z_t | past, x_t) = N(loc'(e(x_t), h_t-1), scale'(e(x_t), h_t-1)^2)      e the encoder
    h_t = cell(e(x_t), f(z_t), h_t-1)

With one step it is the VAE. Chung et al. 2015, arXiv:1506.02216.
"""

import keras

from zoo.models.sequence import SequenceModel, concat
from zoo.networks.mlp import Chain, dense_layers
from zoo.posteriors.conditional import ConditionalGaussian
from zoo.registry import register


@register("vrnn", "prior, posterior and emission conditioned on a recurrent state", "Chung et al. 2015")
@keras.saving.register_keras_serializable("zoo")
class VRNN(SequenceModel):
    """A variational recurrent neural network; arguments as `SequenceModel`."""

    def make_parts(self):
        self.cell = self.make_cell()
        self.prior_head = ConditionalGaussian(self.latent_dim, dense_layers(self.hidden_units))
        self.posterior_head = ConditionalGaussian(self.latent_dim, dense_layers(self.hidden_units))
        self.latent_features = Chain(dense_layers(self.hidden_units), name="latent_features")
        self.from_data = keras.layers.Dense(self.cell.gates, name="from_data", dtype="float32")
        self.from_latent = keras.layers.Dense(self.cell.gates, use_bias=False, name="from_latent", dtype="float32")

    @property
    def code_size(self):
        return self.hidden_units[-1] + self.state_dim

    def start(self, rows):
        return self.cell.start(rows)

    def see(self, x):
        features = self.encoder(x)
        return {"features": concat(features), "gates": self.from_data(features)}

    def transition(self, state):
        return self.prior_head(state["h"])

    def infer(self, state, prior, evidence):
        return self.posterior_head(concat(evidence["features"], state["h"])), state

    def emit(self, state, z):
        features = concat(self.latent_features(z))
        return concat(features, state["h"]), {**state, "gates": self.from_latent(features)}

    def advance(self, state, z, seen):
        return self.cell(seen["gates"] + state["gates"], state)
