"""Posteriors that are the ends of Hamiltonian trajectories."""

from typing import NamedTuple

import tensorflow as tf

from zoo.bijectors.leapfrog import leapfrog
from zoo.distributions.flow import location, scale


class Cycle(NamedTuple):
    """One refreshment of the momentum and the trajectory that follows.

    Attributes:
        momentum: z [..., D] -> q(v | z, x) over [..., D].
        reverse: z [..., D] -> r(v | z, x) over [..., D], which guesses the momentum from where the trajectory ended.
        step_size: [D].
        cooling: in (0, 1], see `leapfrog`.
    """

    momentum: object
    reverse: object
    step_size: tf.Tensor
    cooling: tf.Tensor


class Draws(NamedTuple):
    """Ends of trajectories.

    Attributes:
        z: [S, B, D].
        log_prob: [S, B], log q(z0 | x) + sum over the cycles of log q(v0 | z0, x) - log r(vT | zT, x).
        diverged: [S, B], the share of the cycles in which the trajectory diverged, and was left out.
    """

    z: tf.Tensor
    log_prob: tf.Tensor
    diverged: tf.Tensor


class HamiltonianPosterior:
    """z0 ~ q(z0 | x), then cycles of a new momentum and `num_steps` leapfrog steps towards larger p(x, z).

    It gives draws of z together with a log density of all that was drawn, in which the reverse model stands for the
    momentum's posterior; log q(z | x) itself is an integral that nobody knows. A tempered momentum is heated before
    the trajectory as much as it is cooled on its way, so that every cycle keeps the volume.

    Args:
        initial: q(z0 | x), batch [B], over [D].
        cycles: `Cycle`s.
        gradient: z [S, B, D] -> d log p(x, z) / dz [S, B, D].
        num_steps: leapfrog steps of each cycle.
    """

    def __init__(self, initial, cycles, gradient, num_steps):
        self.distribution = self.initial = initial
        self.cycles, self.gradient, self.num_steps = list(cycles), gradient, num_steps

    def draw(self, num_samples, seed):
        """`Draws` of `num_samples` trajectories an example."""
        z, log_prob = self.initial.experimental_sample_and_log_prob(num_samples, seed=seed)
        total = tf.zeros_like(log_prob)
        for index, cycle in enumerate(self.cycles):
            key = tf.random.fold_in(seed, index + 1, alg="philox")
            v, log_momentum = cycle.momentum(z).experimental_sample_and_log_prob(seed=key)
            z, v, diverged = self.move(cycle, z, v)
            log_prob += log_momentum - cycle.reverse(z).log_prob(v)
            total += tf.cast(diverged, log_prob.dtype)
        return Draws(z, log_prob, total / max(1, len(self.cycles)))

    def move(self, cycle, z, v):
        """The end (z, v, diverged) of one cycle's trajectory."""
        return leapfrog(self.gradient, z, v / cycle.cooling, cycle.step_size, self.num_steps, cycle.cooling)

    def experimental_sample_and_log_prob(self, sample_shape=(), seed=None):
        """(z, log density) of [S] draws, as of a distribution of TFP."""
        return self.draw(sample_shape, seed)[:2]

    def location(self):
        """[B, D]: the end of the trajectory from the location of q(z0 | x) with the mean of each momentum."""
        z = location(self.initial)[None]
        for cycle in self.cycles:
            z = self.move(cycle, z, cycle.momentum(z).mean())[0]
        return tf.squeeze(z, 0)

    def scale(self):
        """[B, D]: that of q(z0 | x)."""
        return scale(self.initial)
