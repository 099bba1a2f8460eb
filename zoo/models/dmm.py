"""The deep Markov model: a chain of latents with a gated transition, inferred from the future by a backward network.

    p(z_t | z_t-1) = N(loc, scale^2)       loc = (1 - g) (A z_t-1 + b) + g m,  g a gate and m a perceptron of z_t-1;
                                           scale = softplus(C relu(m) + d)
    p(x_t | z_t) = likelihood(decoder(z_t))
    q(z_t | z_t-1, x_t..T) = posterior((tanh(W z_t-1 + w) + r_t) / 2),   r_t = cell(encoder(x_t), r_t+1)

z_0 is learned, one for p and q. Krishnan, Shalit & Sontag 2017, arXiv:1609.09869 (their structured inference from the
future, ST-R); a flow as posterior as in Pyro's example.
"""

import keras
import tensorflow as tf

from zoo.distributions import independent_normal
from zoo.errors import InvalidInput
from zoo.models.sequence import LatentSequenceModel, concat
from zoo.networks.mlp import Chain, dense_layers
from zoo.numerics import soft_scale
from zoo.posteriors.flow import FlowHead
from zoo.posteriors.gaussian import DiagonalGaussian
from zoo.registry import POSTERIORS, register


class GatedTransition(keras.layers.Layer):
    """z [N, D] -> N(loc, scale^2) over [D], which starts near z itself: the layer adds A - 1 times z."""

    rows_apart = True

    def __init__(self, latent_dim, hidden_units):
        super().__init__(name="transition", dtype="float32")
        self.gate = Chain([*dense_layers(hidden_units), keras.layers.Dense(latent_dim, "sigmoid")], name="gate")
        self.proposal = Chain([*dense_layers(hidden_units), keras.layers.Dense(latent_dim)], name="proposal")
        near_zero = keras.initializers.VarianceScaling(0.01)
        self.linear = keras.layers.Dense(latent_dim, kernel_initializer=near_zero, name="linear")
        self.scale = keras.layers.Dense(latent_dim, name="scale")

    def build(self, shape):
        for layer in (self.gate, self.proposal, self.linear, self.scale):
            layer.build(shape)

    def call(self, z):
        gate, proposed = concat(self.gate(z)), concat(self.proposal(z))
        loc = (1 - gate) * (z + concat(self.linear(z))) + gate * proposed
        return independent_normal(loc, soft_scale(self.scale(tf.nn.relu(proposed)), 1e-4))


@register("dmm", "a deep Markov chain of latents, inferred by a backward network", "Krishnan et al. 2017")
@keras.saving.register_keras_serializable("zoo")
class DMM(LatentSequenceModel):
    """A deep Markov model; arguments as `LatentSequenceModel`, whose state is that of the inference network, and

    Args:
        posterior: of a step: "diagonal", or a flow such as `{"name": "iaf", "num_layers": 2}`.
    """

    def __init__(self, posterior="diagonal", **kwargs):
        self.posterior_part = posterior
        super().__init__(**kwargs)

    @classmethod
    def examples(cls):
        examples = super().examples()
        flow = {"name": "iaf", "num_layers": 2, "hidden_units": [4]}
        return {**examples, "iaf": {**next(iter(examples.values())), "posterior": flow}}

    def make_parts(self):
        self.move = GatedTransition(self.latent_dim, self.hidden_units)
        self.first = self.add_weight(name="first", shape=(self.latent_dim,), initializer="zeros", autocast=False)
        self.backward_cell = self.make_cell()
        self.from_data = keras.layers.Dense(self.backward_cell.gates, name="from_data", dtype="float32")
        self.combine = keras.layers.Dense(self.state_dim, "tanh", name="combine", dtype="float32")
        self.posterior_head = POSTERIORS.create(self.posterior_part, latent_dim=self.latent_dim)
        if not isinstance(self.posterior_head, (DiagonalGaussian, FlowHead)):
            raise InvalidInput(f"dmm: posterior is 'diagonal' or a flow, got {self.posterior_part!r}")

    @property
    def code_size(self):
        return self.latent_dim

    @property
    def normal_posterior(self):
        return isinstance(self.posterior_head, DiagonalGaussian)

    def start(self, rows):
        return {"z": tf.tile(tf.convert_to_tensor(self.first)[None], [rows, 1])}

    def see(self, x):
        return {"gates": self.from_data(self.encoder(x))}

    def evidence(self, seen, real, state):
        return {"future": self.sweep(self.backward_cell, seen["gates"], real, reverse=True)}

    def transition(self, state):
        return self.move(state["z"])

    def infer(self, state, prior, evidence):
        return self.posterior_head(0.5 * (self.combine(state["z"]) + evidence["future"])), state

    def emit(self, state, z):
        return z, {"z": z}

    def advance(self, state, z, seen):
        return state
