"""Annealed importance sampling: log p(x) from Markov chains that move from the prior to the posterior.

    p_t(z) proportional to p(z) p(x | z)^beta_t,   beta from 0 to 1

Each chain starts at a draw of p_0 = p(z), and its weight is the product of p(x | z_t)^(beta_{t+1} - beta_t) on its way,
an unbiased estimate of p(x); the steps are Hamiltonian and leave p_t as it is. Neal 2001, arXiv:physics/9803008. The
same chain run backwards from a draw of the posterior estimates 1 / p(x). On data that the model itself has drawn such
a draw is known, so that there the truth is bracketed: in expectation it lies between the two. Bidirectional Monte
Carlo: Grosse, Ghahramani & Adams 2015, arXiv:1511.02543; for decoders, Wu et al. 2017, arXiv:1611.04273.

The step sizes, one for each image and temperature, come from a few chains that go first and are thrown away, so that
the steps of those that count do not depend on their own past, and forward and backward are the same kernels.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive
from zoo.evaluation.importance import size_of
from zoo.evaluation.metrics import examples, mean_and_error, per_example
from zoo.probability import tfp
from zoo.randomness import whole

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

TARGET_ACCEPTANCE = 0.65
FIRST_STEP, ADAPTATION = 0.1, 0.2
PILOT_CHAINS = 4
STEEPNESS = 4.0
PIECE = 20


def annealed_importance(
    model: "LatentVariableModel",
    dataset: Any = None,
    num_chains: int = 16,
    num_temperatures: int = 1000,
    num_leapfrog_steps: int = 10,
    limit: int = 100,
    num_samples: int | None = None,
    simulated: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """The negative log-likelihood of images by annealed importance sampling, and its bracket on simulated ones.

    Args:
        model: any model of the zoo whose latents are all continuous.
        dataset: a `tf.data.Dataset` of batches, or arrays; None leaves only the simulated images.
        num_chains: S, chains for each image.
        num_temperatures: T, steps from the prior to the posterior.
        num_leapfrog_steps: of each step's trajectory.
        limit: how many images, of the data and simulated.
        num_samples: also evaluate the same images with so many importance samples.
        simulated: also bracket the truth on images that the model draws (with the conditions of the data's).
        seed: of all draws.
        progress: called as progress(done, total) in temperatures.

    Returns:
        Name -> {"value", "standard_error", "num_examples", "num_chains", "num_temperatures", "acceptance"}, nats:
        "nll_ais" of the data, in expectation at least the truth; "nll_excess", the importance-weighted estimate minus
        it on the same images; on simulated images "nll_ais_lower" and "nll_ais_upper", between which the truth lies
        in expectation, and "nll_ais_gap", upper minus lower.

    Raises:
        InvalidInput: models without a bound or with an enumerated latent, sizes that are not positive.
    """
    sizes = {"num_chains": num_chains, "num_temperatures": num_temperatures}
    check_positive(**sizes, num_leapfrog_steps=num_leapfrog_steps, limit=limit)
    if dataset is None and not simulated:
        raise InvalidInput("there is nothing to evaluate: give a data set, or simulated=True")
    model.require("annealed importance sampling", ["bound", "prior", "decoder"])
    batches = [batch.fields for batch in examples(model, dataset, limit)] if dataset is not None else []
    conditions = [condition_of(model, fields) for fields in batches] or [{}]
    counts = [size_of(fields) for fields in batches] or [limit]
    total = num_temperatures * (2 * len(batches) + 3 * len(counts) * simulated)
    annealer = Annealer(model, num_chains, num_temperatures, num_leapfrog_steps, progress, total)
    metrics = {}
    if batches:
        seeds = [(seed, 1, index) for index in range(len(batches))]
        nll = -np.concatenate([annealer.forward(*pair) for pair in zip(batches, seeds, strict=True)])
        metrics["nll_ais"] = mean_and_error(nll, **sizes, acceptance=annealer.acceptance())
        if num_samples:
            weighted = per_example(model, dataset, num_samples, limit, seed)["nll"]
            metrics["nll_excess"] = mean_and_error(weighted - nll, **sizes, num_samples=num_samples)
    if simulated:
        pairs = [annealer.bracket(n, c, (seed, 2, i)) for i, (n, c) in enumerate(zip(counts, conditions, strict=True))]
        lower, upper = (-np.concatenate(side) for side in zip(*pairs, strict=True))
        extra = {**sizes, "acceptance": annealer.acceptance(), "data": "simulated"}
        for name, values in {"lower": lower, "upper": upper, "gap": upper - lower}.items():
            metrics[f"nll_ais_{name}"] = mean_and_error(values, **extra)
    return metrics


def condition_of(model, fields):
    """The fields of a batch that its images are drawn with."""
    return {name: fields[name] for name in model.fields_of("condition", "label") if name in fields}


def schedule(num_temperatures):
    """[T + 1] inverse temperatures from 0 to 1: a sigmoid, slow at both ends."""
    value = 1 / (1 + np.exp(-STEEPNESS * np.linspace(-1, 1, num_temperatures + 1)))
    return ((value - value[0]) / (value[-1] - value[0])).astype("float32")


def log_mean_exp(log_weight):
    """[S, B] -> [B], in float64."""
    values = log_weight.numpy().astype("float64")
    return np.logaddexp.reduce(values, 0) - math.log(len(values))


class Annealer:
    """Runs S chains for each image of a batch at once.

    Args:
        model, num_chains, num_temperatures, num_leapfrog_steps, progress: as in `annealed_importance`.
        total: what `progress` is told.
    """

    def __init__(self, model, num_chains, num_temperatures, num_leapfrog_steps, progress=None, total=None):
        self.model, self.num_chains, self.num_leapfrog_steps = model, num_chains, num_leapfrog_steps
        self.betas = schedule(num_temperatures)
        self.progress, self.total, self.done = progress, total, 0
        self.accepted = []
        self.compiled = tf.function(self.piece, jit_compile=xla_helps(model))

    def acceptance(self):
        """The mean acceptance of the chains that counted since the last call."""
        accepted, self.accepted = float(np.mean(self.accepted)), []
        return accepted

    def forward(self, fields, seed):
        """[B]: estimates of log p(x), in expectation at most the truth."""
        return self.chains_of(fields, as_key(seed))[0]

    def bracket(self, n, condition, seed):
        """([n], [n]): for n images drawn from the model, estimates of log p(x) above and below the truth."""
        key = as_key(seed)
        latents, data = self.model.simulate(n, seed=fold(key, 1), **condition)
        fields = {**self.model.named(data), **condition}
        below, steps = self.chains_of(fields, fold(key, 2))
        start = {name: tf.repeat(value[None], self.num_chains, 0) for name, value in latents.items()}
        # A backward step at beta_t is the forward one's kernel; the last, at beta_0, changes no weight.
        backwards = tf.concat([steps[:-1][::-1], steps[:1]], 0)
        above = -log_mean_exp(self.run(fields, start, self.betas[::-1], backwards, fold(key, 3))[0])
        return above, below

    def chains_of(self, fields, key):
        """([B] log p(x), [T, B] step sizes) of chains from the prior, after the pilot's."""
        size = size_of(fields)
        first = tf.fill([len(self.betas) - 1, size], FIRST_STEP)
        pilot = self.from_prior(PILOT_CHAINS, fields, fold(key, 1))
        latents = {name: part[:, None] for name, part in pilot.items()}
        if any(term.shape[1] != 1 for term in self.model.log_joint(latents, fields)[0].values()):
            raise InvalidInput("annealed importance sampling cannot move an enumerated latent")
        steps = self.run(fields, pilot, self.betas, first, fold(key, 2), adapt=True)[1]
        start = self.from_prior(self.num_chains, fields, fold(key, 3))
        log_weight, steps = self.run(fields, start, self.betas, steps, fold(key, 4))
        return log_mean_exp(log_weight), steps

    def from_prior(self, chains, fields, key):
        """Name -> [S, B, ...] draws of p(z)."""
        size = size_of(fields)
        seeds = tf.random.split(key, chains * size, alg="philox")
        condition = {k: tf.concat([v] * chains, 0) for k, v in condition_of(self.model, fields).items()}
        draws = self.model.draw(seeds, condition)
        if not all(value.dtype.is_floating for value in draws.values()):
            raise InvalidInput("annealed importance sampling moves continuous latents only; this model has others")
        return {name: tf.reshape(value, [chains, size, *value.shape[1:]]) for name, value in draws.items()}

    def run(self, fields, state, betas, steps, key, adapt=False):
        """([S, B] log weights, [T, B] step sizes) of chains along `betas` [T + 1], the steps adapted or as given."""
        chains, size = next(iter(state.values())).shape[:2]
        log_weight, accepted = tf.zeros([chains, size]), tf.zeros([size])
        last = len(betas) - 1
        for start in range(0, last, PIECE):
            stop = min(start + PIECE, last)
            bounds = tf.constant(start), tf.constant(stop)
            carry = (state, log_weight, steps, accepted)
            state, log_weight, steps, accepted = self.compiled(fields, carry, tf.constant(betas), key, *bounds, adapt)
            self.done += stop - start
            if self.progress:
                self.progress(self.done, self.total)
        if not adapt:
            self.accepted.append(accepted.numpy() / last)
        return log_weight, steps

    def piece(self, fields, carry, betas, key, start, stop, adapt):
        """The steps from `start` to `stop` of `run`, compiled."""

        def body(t, state, log_weight, steps, accepted):
            log_weight += (betas[t + 1] - betas[t]) * log_terms(self.model, state, fields)[0]
            state, acceptance = self.step(state, fields, betas[t + 1], steps[t], fold(key, t))
            if adapt:
                following = steps[t] * tf.exp(ADAPTATION * (acceptance - TARGET_ACCEPTANCE))
                place = tf.minimum(t + 1, tf.shape(steps)[0] - 1)
                steps = tf.tensor_scatter_nd_update(steps, [[place]], following[None])
            return t + 1, state, log_weight, steps, accepted + acceptance

        return tf.while_loop(lambda t, *_: t < stop, body, (start, *carry))[1:]

    def step(self, state, fields, beta, size, key):
        """(state, [B] acceptance) after one Hamiltonian step of the sizes [B] at one temperature."""
        jitter_key, kernel_key = fold(key, 1), fold(key, 2)

        def target(*parts):
            likelihood, prior = log_terms(self.model, dict(zip(state, parts, strict=True)), fields)
            return prior + beta * likelihood

        # A trajectory of fixed length may come back to where it began; shorter ones are drawn too.
        size *= tf.random.stateless_uniform([], jitter_key, 0.4, 1.0)
        parts = list(state.values())
        sizes = [tf.reshape(size, [-1] + [1] * (part.shape.rank - 2)) for part in parts]
        kernel = tfp.mcmc.HamiltonianMonteCarlo(target, sizes, self.num_leapfrog_steps)
        parts, results = kernel.one_step(parts, kernel.bootstrap_results(parts), seed=kernel_key)
        acceptance = tf.reduce_mean(tf.exp(tf.minimum(results.log_accept_ratio, 0.0)), 0)
        return dict(zip(state, parts, strict=True)), acceptance


def log_terms(model, state, fields):
    """(log p(x | z), log p(z)), [S, B], of latents [S, B, ...]."""
    terms = model.log_joint({name: part[:, None] for name, part in state.items()}, fields)
    return tuple(sum(term.values())[:, 0] for term in terms)


def xla_helps(model):
    """Whether the chains are compiled: on the CPU, XLA's convolutions are slower than TensorFlow's."""
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    convolves = any(isinstance(layer, kinds) for layer in model._flatten_layers())
    return model.supports_jit and (not convolves or bool(tf.config.list_logical_devices("GPU")))


def as_key(numbers):
    """int32 [2] of several whole numbers."""
    key = tf.constant([41, whole(numbers[0])], tf.int32)
    for number in numbers[1:]:
        key = fold(key, number)
    return key


def fold(key, number):
    return tf.random.fold_in(key, number, alg="philox")
