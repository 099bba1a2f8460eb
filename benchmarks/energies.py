"""Flows in the plane: the four energies of Rezende & Mohamed 2015, arXiv:1505.05770, and flows fitted to them.

A density proportional to exp(-U(z)) is fitted by a free flow q through KL(q || p) = E_q[log q + U] + log Z, whose
gradient needs no samples of p. U2, U3 and U4 have no finite integral along z1, so that each energy here has walls
at |z1| = 4; with them log Z is a quadrature, and the divergence a number.
"""

import math

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import zoo.posteriors  # noqa: F401  (registers the flows)
from zoo.bijectors import Planar, Radial
from zoo.errors import InvalidInput, check_positive, choose
from zoo.randomness import seeded
from zoo.registry import POSTERIORS

tfd = tfp.distributions
LIMIT, WALL = 4.0, 0.2
WIDTH = 8.0  # beyond this no energy leaves any mass
CHUNK = 100  # updates in one call into TensorFlow


def waves(z1):
    """w1, w2, w3 of the paper."""
    return (
        tf.sin(2 * math.pi * z1 / 4),
        3 * tf.exp(-0.5 * tf.square((z1 - 1) / 0.6)),
        3 * tf.sigmoid((z1 - 1) / 0.3),
    )


def either(first, second):
    """-log(exp(-first^2 / 2) + exp(-second^2 / 2))."""
    return -tf.reduce_logsumexp(tf.stack([-0.5 * tf.square(first), -0.5 * tf.square(second)]), 0)


def ring(z1, z2):
    radius = tf.sqrt(tf.maximum(tf.square(z1) + tf.square(z2), 1e-12))
    return 0.5 * tf.square((radius - 2) / 0.4) + either((z1 - 2) / 0.6, (z1 + 2) / 0.6)


def wave(z1, z2):
    return 0.5 * tf.square((z2 - waves(z1)[0]) / 0.4)


def split_wave(z1, z2):
    w1, w2, _ = waves(z1)
    return either((z2 - w1) / 0.35, (z2 - w1 + w2) / 0.35)


def forked_wave(z1, z2):
    w1, _, w3 = waves(z1)
    return either((z2 - w1) / 0.4, (z2 - w1 + w3) / 0.35)


ENERGIES = {"U1": ring, "U2": wave, "U3": split_wave, "U4": forked_wave}


def energy(name, z):
    """U(z) [...] of z [..., 2], in nats, with its walls."""
    function = choose("energy", name, ENERGIES)
    z1, z2 = z[..., 0], z[..., 1]
    return function(z1, z2) + 0.5 * tf.square(tf.maximum(tf.abs(z1) - LIMIT, 0) / WALL)


def plane(count, width=LIMIT):
    """[count, count, 2], double: the centres of a grid's cells over (-width, width)^2; z1 is the second axis."""
    places = ((np.arange(count) + 0.5) / count * 2 - 1) * width
    return np.stack(np.meshgrid(places, places), -1)


def log_normalizer(name, count=1600):
    """log Z = log of the integral of exp(-U), by the midpoint rule in double precision."""
    cell = 2 * math.log(2 * WIDTH / count)
    return float(tf.reduce_logsumexp(-energy(name, tf.constant(plane(count, WIDTH)))) + cell)


class Fit:
    """A flow fitted to an energy.

    Args:
        name: of the energy.
        posterior: name or dict of a flow posterior, such as {"name": "planar", "num_layers": 8}; its parameters are
            free, the base too.
        steps: updates of Adam, the rate falling along a half cosine; over the first half the energy's weight rises
            from 0.01 to 1, as in the paper, so that the flow finds all of the mass.
        batch_size: draws an update.
        learning_rate: at the start.
        seed: of the flow's start and the draws.

    Raises:
        InvalidInput: unknown names, sizes that are not positive.
    """

    def __init__(self, name, posterior, steps=8000, batch_size=500, learning_rate=5e-3, seed=0):
        check_positive(steps=steps, batch_size=batch_size)
        choose("energy", name, ENERGIES)
        spec = {"name": posterior} if isinstance(posterior, str) else dict(posterior)
        self.name, self.steps, self.batch_size, self.seed = name, steps, batch_size, seed
        with seeded(seed):
            self.head = POSTERIORS.create({**spec, "amortized": False}, latent_dim=2)
        if not hasattr(self.flow(), "push"):
            raise InvalidInput(f"{spec['name']} is not a flow; choose planar, radial, spline, ...")
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.01)
        self.optimizer = keras.optimizers.Adam(rate, global_clipnorm=10.0)
        self.optimizer.build(self.head.trainable_weights)
        self.compiled = tf.function(self.updates, jit_compile=True)

    def flow(self):
        """The fitted distribution: batch [1], event [2]."""
        return self.head(tf.zeros([1, 1]))

    def free_energy(self, seed, weight, draws):
        """[draws]: log q(z) + weight U(z) at draws of q."""
        z, log_prob = self.flow().experimental_sample_and_log_prob(draws, seed=seed)
        return (log_prob + weight * energy(self.name, z))[:, 0]

    def updates(self, first, count):
        """`count` updates, a Python number or XLA compiles each call anew, from number `first` on; the last loss."""
        loss = tf.constant(0.0)
        weights = self.head.trainable_weights
        for place in tf.range(count):
            step = first + place
            weight = tf.minimum(1.0, 0.01 + tf.cast(step, tf.float32) / (0.5 * self.steps))
            seed = tf.random.fold_in(tf.constant([31, self.seed]), step, alg="philox")
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self.free_energy(seed, weight, self.batch_size))
            self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    def run(self, progress=None):
        """Do all updates; `progress(done, steps, loss)` is called now and then."""
        for first in range(0, self.steps, CHUNK):
            count = min(CHUNK, self.steps - first)
            loss = self.compiled(tf.constant(first), count)
            if progress:
                progress(first + count, self.steps, float(loss))
        return self

    def kl(self, draws=100_000):
        """(KL(q || p), its standard error), nats, from `draws` draws of q."""
        score = tf.function(lambda seed: self.free_energy(seed, 1.0, 10_000))
        chunks = [score(tf.constant([37, i])).numpy().astype("float64") for i in range(math.ceil(draws / 10_000))]
        values = np.concatenate(chunks)[:draws] + log_normalizer(self.name)
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))

    def density(self, count=200):
        """[count, count]: q on `plane(count)`, through the inverses of the layers."""
        score = tf.function(lambda z: self.flow().log_prob(z))
        points = plane(count).reshape(-1, 1, 2).astype("float32")
        parts = [score(points[i : i + 10_000]).numpy() for i in range(0, len(points), 10_000)]
        return np.exp(np.concatenate(parts)).reshape(count, count)


def true_density(name, count=200):
    """[count, count]: p on `plane(count)`."""
    return np.exp(-energy(name, tf.constant(plane(count))).numpy() - log_normalizer(name))


def random_layers(kind, count, seed=0):
    """`count` planar or radial layers in the plane with drawn parameters that show what such layers do.

    The more planar layers, the less each of them moves, so that the density stays in sight.
    """
    draws = np.random.RandomState(seed)

    def planar():
        u, w = draws.normal(size=(2, 2))
        return Planar(*map(double, (2 * u / count**0.5, w, draws.normal())))

    def radial():
        center, alpha = draws.normal(size=2), 0.3 + abs(draws.normal())
        return Radial(*map(double, (center, alpha, draws.uniform(-4.0, 4.0))))

    def double(value):
        return tf.constant(value, tf.float64)

    make = choose("kind of layer", kind, {"planar": planar, "radial": radial})
    return [make() for _ in range(count)]


BASES = {
    "Gaussian": lambda: tfd.Normal(tf.zeros([2], tf.float64), tf.ones([2], tf.float64)),
    "uniform": lambda: tfd.Uniform(-2 * tf.ones([2], tf.float64), 2 * tf.ones([2], tf.float64)),
}


def base(name):
    """A density of the plane, double precision: "Gaussian" or "uniform"."""
    return tfd.Independent(choose("base", name, BASES)(), 1)
