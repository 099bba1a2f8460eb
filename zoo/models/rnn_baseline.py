"""A recurrent network without latents, the contrast that the others are measured against; its log p(x) is exact.

p(x_t | past) = likelihood(decoder(h_t-1)),   h_t = cell(encoder(x_t), h_t-1)
"""

import keras
import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.models.hierarchy import standard_normal
from zoo.models.sequence import SequenceModel
from zoo.registry import register


@register("rnn_baseline", "a recurrent network without latents: the contrast")
@keras.saving.register_keras_serializable("zoo")
class RNNBaseline(SequenceModel):
    """A recurrent network; arguments as `SequenceModel`. For the loop it has latents of no units."""

    def make_parts(self):
        self.cell = self.make_cell()
        self.from_data = keras.layers.Dense(self.cell.gates, name="from_data", dtype="float32")

    @property
    def code_size(self):
        return self.state_dim

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        p = super().run(inputs, 1, training, seed, needs)  # all draws are the same
        everywhere = {name: tf.repeat(value, num_samples, 0) for name, value in p.trace.log_likelihood.items()}
        return p._replace(trace=p.trace._replace(log_likelihood=everywhere))

    def log_joint(self, latents, inputs):
        return self.run(inputs, 1, seed=tf.zeros(2, tf.int32)).trace.log_likelihood, {}

    def likelihoods(self, latents, condition):
        raise InvalidInput("a recurrent network has no latents that would say what x is: use sample or predict_next")

    def start(self, rows):
        return self.cell.start(rows)

    def see(self, x):
        return {"gates": self.from_data(self.encoder(x))}

    def transition(self, state):
        return standard_normal([tf.shape(state["h"])[0]], 0)

    def infer(self, state, prior, evidence):
        return prior, state

    def emit(self, state, z):
        return state["h"], state

    def advance(self, state, z, seen):
        return self.cell(seen["gates"], state)
