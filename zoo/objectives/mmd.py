"""Maximum mean discrepancy between the posterior of all data and the prior.

    MMD^2(q, p) = E k(z, z') + E k(w, w') - 2 E k(z, w),   z, z' from q(z) = mean over x of q(z | x), w, w' from p(z)
    k(a, b) = exp(-|a - b|^2 / (2 s^2))

With `beta=0` it is the WAE-MMD, with beta = 1 - alpha and a large weight the InfoVAE. The estimator has no bias: pairs
of an example with itself are left out, so that it may be negative. Zhao, Song & Ermon 2019, arXiv:1706.02262; Gretton
et al. 2012; Tolstikhin et al. 2018, arXiv:1711.01558.
"""

import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.objectives.penalties import Penalty, draws_by_latent
from zoo.registry import PENALTIES
from zoo.replicas import gathered, over_replicas


@PENALTIES.register("mmd")
class MMD(Penalty):
    """Maximum mean discrepancy between q(z) and p(z), without unit; latents of a hierarchy are summed over.

    Args:
        weight: what the penalty is multiplied with beside the bound.
        scale: s of the kernel; None takes sqrt(D), about the distance between two draws of the prior.
    """

    registry_name, unit, needs = "mmd", "squared MMD", ("prior",)

    def __init__(self, weight=1.0, scale=None, **kwargs):
        super().__init__(weight, **kwargs)
        if scale is not None and not scale > 0:
            raise InvalidInput(f"mmd: scale must be positive, got {scale!r}")
        self.scale = scale

    def value(self, p, model):
        rows = over_replicas(tf.shape(p.trace.log_mass)[2])
        seeds = tf.random.split(tf.random.fold_in(p.seed, 271, alg="philox"), rows, alg="philox")
        drawn = model.draw(seeds, {name: gathered(p.inputs[name]) for name in model.conditions if name in p.inputs})
        total = 0.0
        for name, (z, mass) in draws_by_latent(p, model).items():
            total += self.squared(gathered(z, 1), gathered(mass, 1), tf.reshape(drawn[name], [rows, z.shape[-1]]))
        return total

    def squared(self, z, mass, w):
        """The squared MMD of z [C, B, D], whose C values weigh mass [C, B], and w [B, D]."""
        within = tf.einsum("cb,dk,cbdk->bk", mass, mass, self.kernel(z[:, :, None, None], z[None, None]))
        across = tf.einsum("cb,cbk->bk", mass, self.kernel(z[:, :, None], w[None, None]))
        return pairs(within) + pairs(self.kernel(w[:, None], w[None])) - 2 * tf.reduce_mean(across)

    def kernel(self, a, b):
        width = tf.cast(a.shape[-1], tf.float32) if self.scale is None else self.scale**2
        return tf.exp(-0.5 * tf.reduce_sum(tf.math.squared_difference(a, b), -1) / width)


def pairs(values):
    """The mean of values [B, B] over pairs of two different rows."""
    size = tf.cast(tf.shape(values)[0], tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(values) - tf.linalg.trace(values), size * (size - 1))
