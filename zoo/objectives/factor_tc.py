"""The total correlation of the code, by a discriminator: FactorVAE.

    TC(z) = KL(q(z) || prod_j q(z_j))          q(z) = mean over x of q(z | x)
    d(z) ~ log q(z) / prod_j q(z_j)            the logit of a discriminator between codes and codes of shuffled units

The model pays E d(z). Kim & Mnih 2018, arXiv:1802.05983; there the discriminator learns from a second batch, here from
the pass that the model learns from.
"""

import tensorflow as tf

from zoo.networks.mlp import Chain, dense_layers
from zoo.objectives.adversaries import Adversary
from zoo.objectives.penalties import draws_by_latent
from zoo.registry import PENALTIES
from zoo.replicas import drawn, gathered, mean, own_rows


@PENALTIES.register("factor_tc")
class FactorTC(Adversary):
    """Total correlation of the code in nats, as a discriminator estimates it.

    The latents of a hierarchy are one code, side by side; of an enumerated label one value is drawn.

    Args:
        weight: of the penalty, gamma in the paper.
        hidden_units: widths of the discriminator, a leaky ReLU perceptron.
        learning_rate, clipnorm: of the adversary's own optimiser.
    """

    registry_name = "factor_tc"

    def __init__(self, weight=1.0, hidden_units=(256, 256), learning_rate=1e-4, clipnorm=None, **kwargs):
        super().__init__(weight, learning_rate, clipnorm, **kwargs)
        self.discriminator = Chain([*dense_layers(hidden_units), *dense_layers([1], None)], name="discriminator")

    def value(self, p, model):
        return self.logit(code(p, model))

    def cost(self, p, model):
        z = tf.stop_gradient(code(p, model))
        shuffled = own_rows(shuffled_units(gathered(z), tf.random.fold_in(p.seed, 277, alg="philox")))
        return 0.5 * mean(tf.math.softplus(-self.logit(z)) + tf.math.softplus(self.logit(shuffled)))

    def logit(self, z):
        """d(z) [B] of codes [B, D]."""
        return tf.cast(self.discriminator(z)[:, 0], tf.float32)


def code(p, model):
    """[B, D]: the first draw of all continuous latents, side by side."""
    seed = tf.random.fold_in(p.seed, 281, alg="philox")
    size = tf.shape(p.trace.log_mass[0])
    uniform = drawn(lambda size: tf.random.stateless_uniform(size, seed, 1e-20, alg="philox"), size, axis=-1)
    scores = tf.math.log(uniform)
    chosen = tf.argmax(p.trace.log_mass[0] - tf.math.log(-scores), 0)
    parts = [tf.gather(tf.transpose(z, [1, 0, 2]), chosen, batch_dims=1) for z, _ in draws_by_latent(p, model).values()]
    return tf.concat(parts, -1)


def shuffled_units(z, seed):
    """z [B, D], each unit in an order of its own, as if the units were independent with the same marginals."""
    order = tf.argsort(tf.random.stateless_uniform(tf.shape(z), seed, alg="philox"), 0, stable=True)
    return tf.transpose(tf.gather(tf.transpose(z), tf.transpose(order), batch_dims=1))
