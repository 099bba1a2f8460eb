"""The stochastic recurrent network: a deterministic layer below a chain of latents, inferred by a backward smoother.

    d_t = cell(encoder(x_t-1), d_t-1)                              the deterministic layer
    p(z_t | z_t-1, d_t) = N(loc(z_t-1, d_t), scale(z_t-1, d_t)^2)
    p(x_t | z_t, d_t) = likelihood(decoder(z_t, d_t))
    q(z_t | z_t-1, x) = N(loc(z_t-1, d_t) + loc'(z_t-1, a_t), scale'(z_t-1, a_t)^2),   a_t = cell'(d_t, x_t, a_t+1)

The posterior's location is a correction of the prior's. Fraccaro et al. 2016, arXiv:1605.07571.
"""

import keras
import tensorflow as tf

from zoo.distributions import independent_normal
from zoo.models.sequence import LatentSequenceModel, concat
from zoo.networks.mlp import dense_layers
from zoo.posteriors.conditional import ConditionalGaussian
from zoo.registry import register


@register("srnn", "deterministic and stochastic layers apart, a backward smoother", "Fraccaro et al. 2016")
@keras.saving.register_keras_serializable("zoo")
class SRNN(LatentSequenceModel):
    """A stochastic recurrent network; arguments as `LatentSequenceModel`."""

    def make_parts(self):
        self.cell, self.backward_cell = self.make_cell("d"), self.make_cell("a")
        self.prior_head = ConditionalGaussian(self.latent_dim, dense_layers(self.hidden_units))
        self.posterior_head = ConditionalGaussian(self.latent_dim, dense_layers(self.hidden_units))
        self.from_data = keras.layers.Dense(self.cell.gates, name="from_data", dtype="float32")
        self.to_past = keras.layers.Dense(self.backward_cell.gates, name="to_past", dtype="float32")

    @property
    def code_size(self):
        return self.latent_dim + self.state_dim

    def start(self, rows):
        return {**self.cell.start(rows), "z": tf.zeros([rows, self.latent_dim])}

    def see(self, x):
        features = self.encoder(x)
        return {"features": concat(features), "gates": self.from_data(features)}

    def evidence(self, seen, real, state):
        states = self.sweep(self.cell, seen["gates"], real, state=state, before=True)
        gates = self.by_row(self.to_past, concat(states, seen["features"]))
        return {"gates": seen["gates"], "smoothed": self.sweep(self.backward_cell, gates, real, reverse=True)}

    def transition(self, state):
        return self.prior_head(concat(state["z"], state["d"]))

    def infer(self, state, prior, evidence):
        q = self.posterior_head(concat(state["z"], evidence["smoothed"])).distribution
        return independent_normal(prior.mean() + q.loc, q.scale), state

    def emit(self, state, z):
        return concat(z, state["d"]), {**state, "z": z}

    def advance(self, state, z, seen):
        return {**state, **self.cell(seen["gates"], state)}
