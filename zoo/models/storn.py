"""The stochastic recurrent network of independent latents: what is drawn at every step enters the recurrent state.

    p(z_t) = N(0, I)
    h_t = cell(encoder(x_t-1), f(z_t), h_t-1),   p(x_t | past, z_t) = likelihood(decoder(h_t))
    r_t = cell'(encoder(x_t), r_t-1),            q(z_t | x_1..t) = N(loc(r_t), scale(r_t)^2)

Bayer & Osendorfer 2014, arXiv:1411.7610; there a recognition network may look both ways.
"""

import keras
import tensorflow as tf

from zoo.models.hierarchy import standard_normal
from zoo.models.sequence import LatentSequenceModel, concat
from zoo.networks.mlp import Chain, dense_layers
from zoo.posteriors.conditional import ConditionalGaussian
from zoo.registry import register


@register("storn", "independent latents that enter a recurrent state", "Bayer & Osendorfer 2014")
@keras.saving.register_keras_serializable("zoo")
class STORN(LatentSequenceModel):
    """A stochastic recurrent network; arguments as `LatentSequenceModel`."""

    def make_parts(self):
        self.cell, self.recognition_cell = self.make_cell(), self.make_cell("r")
        self.posterior_head = ConditionalGaussian(self.latent_dim, dense_layers(self.hidden_units))
        self.latent_features = Chain(dense_layers(self.hidden_units), name="latent_features")
        self.from_data = keras.layers.Dense(self.cell.gates, name="from_data", dtype="float32")
        self.from_latent = keras.layers.Dense(self.cell.gates, use_bias=False, name="from_latent", dtype="float32")
        self.to_recognition = keras.layers.Dense(self.cell.gates, name="to_recognition", dtype="float32")

    @property
    def code_size(self):
        return self.state_dim

    def start(self, rows):
        before = {"gates": tf.zeros([rows, self.cell.gates])}
        return {**self.cell.start(rows), **self.recognition_cell.start(rows), **before}

    def see(self, x):
        features = self.encoder(x)
        return {"gates": self.from_data(features), "recognised": self.to_recognition(features)}

    def transition(self, state):
        return standard_normal([tf.shape(state["h"])[0]], self.latent_dim)

    def infer(self, state, prior, evidence):
        recognised = self.recognition_cell(evidence["recognised"], state)
        return self.posterior_head(recognised["r"]), {**state, **recognised}

    def emit(self, state, z):
        gates = state["gates"] + self.from_latent(concat(self.latent_features(z)))
        state = {**state, **self.cell(gates, state)}
        return state["h"], state

    def advance(self, state, z, seen):
        return {**state, "gates": seen["gates"]}
