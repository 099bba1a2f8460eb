"""The total correlation of the code, estimated from the posteriors of a batch: beta-TCVAE.

    q(z) = mean over the N examples of q(z | x)
    KL(q(z | x) || p(z)), mean over x  =  I(x, z)  +  TC(z)  +  sum_j KL(q(z_j) || p(z_j))
    TC(z) = KL(q(z) || prod_j q(z_j))

With the weight w the bound's beta stays 1 and the total correlation counts 1 + w times: beta in the paper. Chen et al.
2018, arXiv:1802.04942. What a batch of B tells of q(z) at a draw of example i: "stratified" takes q(z | x_i) once of N
and the others for the rest, which is unbiased for q(z) and for each q(z_j); "weighted" is the paper's other estimate,
the sum over N B, which is too small.
"""

import math

import tensorflow as tf

from zoo.distributions import location, scale
from zoo.errors import InvalidInput, check_positive, choose
from zoo.objectives.penalties import Penalty, by_value, draws_by_latent
from zoo.probability import tfp
from zoo.registry import PENALTIES
from zoo.replicas import gathered, own_rows

ESTIMATES = {"stratified": True, "weighted": False}  # name -> whether it has no bias


@PENALTIES.register("tc")
class TotalCorrelation(Penalty):
    """Total correlation of the code in nats, as the posteriors of a batch estimate it; they must factorise over units.

    Args:
        weight: what the penalty is multiplied with beside the bound: beta - 1 in the paper.
        num_examples: N, how many examples the data have; None takes the batch as all of them.
        estimate: "stratified" or "weighted".
    """

    registry_name, needs = "tc", ("one_latent",)

    def __init__(self, weight=1.0, num_examples=None, estimate="stratified", **kwargs):
        super().__init__(weight, **kwargs)
        self.unbiased = choose("estimate of the total correlation", estimate, ESTIMATES)
        if num_examples is not None:
            check_positive(num_examples=num_examples)
        self.num_examples = num_examples

    def value(self, p, model):
        ((name, (z, mass)),) = draws_by_latent(p, model).items()
        posterior = p.posterior[name]
        if not isinstance(posterior, tfp.distributions.Independent):
            raise InvalidInput(f"tc: the posterior of {name!r} does not factorise over its units: take factor_tc")
        parts = [z, *(by_value(of(posterior), name, p)[0] for of in (location, scale))]
        if z.shape[1] == 1:
            raise InvalidInput("tc compares the examples of a batch with each other: give batches of at least 2")
        joint, units = self.aggregate(*(gathered(part, 1) for part in (*parts, mass)))
        return tf.reduce_sum(mass * own_rows(joint - tf.reduce_sum(units, -1), 1), 0)

    def aggregate(self, z, loc, deviation, mass):
        """(log q(z) [C, B], log q(z_j) [C, B, D]) at draws z of posteriors N(loc, deviation^2), all [C, B, D].

        Args:
            mass: [C, B], of the C values that an example's posterior has.
        """
        away = (z[:, :, None, None] - loc) / deviation
        density = -0.5 * (tf.square(away) + math.log(2 * math.pi)) - tf.math.log(deviation)  # [C, B, C, B, D]
        weight = tf.math.log(mass + 1e-30) + self.log_shares(tf.shape(z)[1])[:, None]  # [B, C, B]
        joint = tf.reduce_logsumexp(tf.reduce_sum(density, -1) + weight, [2, 3])
        return joint, tf.reduce_logsumexp(density + weight[..., None], [2, 3])

    def log_shares(self, rows):
        """[B, B]: how much the posterior of each example counts at a draw of another."""
        rows = tf.cast(rows, tf.float32)
        own = 1.0 / (rows if self.num_examples is None else float(self.num_examples))
        same = tf.eye(tf.cast(rows, tf.int32))
        if not self.unbiased:
            return tf.math.log(own / rows) + 0.0 * same
        others = (1.0 - own) / tf.maximum(rows - 1.0, 1.0)
        return tf.math.log(same * own + (1.0 - same) * tf.maximum(others, 1e-30))
