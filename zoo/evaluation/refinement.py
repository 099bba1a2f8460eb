"""The posterior p(z | x) by Hamiltonian Monte Carlo: chains that an encoder starts and the model alone steers.

Each image has several chains, which begin at draws of q(z | x) in units of their standard deviations. Dual averaging
fits one step size an image while they warm up (Hoffman & Gelman 2014, arXiv:1111.4246). Where the chains agree, R-hat
is near 1 (Gelman & Rubin 1992), and what an encoder has missed is gone: Hoffman 2017, "Learning deep latent Gaussian
models with Markov chain Monte Carlo".
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive
from zoo.evaluation.annealing import as_key, fold, log_terms, xla_helps
from zoo.evaluation.metrics import examples, mean_and_error
from zoo.probability import tfp
from zoo.quiet import quiet_logger
from zoo.registry import Registry

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

REFINEMENTS = Registry("refinement")
TARGET_ACCEPTANCE, FIRST_STEP = 0.8, 0.2
DIVERGENT = -1000.0  # nats of energy lost on a trajectory
SPREAD_DRAWS = 32  # of q(z | x), whose standard deviation is the unit of length
NARROWEST = 1e-3


class PosteriorSamples(NamedTuple):
    """Draws of p(z | x) for N images, from C chains of S draws each, and how far they can be trusted.

    Attributes:
        latents: name -> [S, C, N, ...].
        log_likelihood: [S, C, N], log p(x | z), nats.
        acceptance: [N], the mean probability of acceptance.
        diverged: [N], the share of the trajectories on which the energy rose by more than 1000 nats; never accepted.
    """

    latents: dict
    log_likelihood: np.ndarray
    acceptance: np.ndarray
    diverged: np.ndarray

    @property
    def effective_sample_size(self):
        """[N]: independent draws that the C * S are worth, of the unit with the fewest."""
        return self.worst(tfp.mcmc.effective_sample_size, np.min, cross_chain_dims=1)

    @property
    def r_hat(self):
        """[N]: the potential scale reduction over the chains, of the unit with the largest."""
        return self.worst(tfp.mcmc.potential_scale_reduction, np.max, independent_chain_ndims=1)

    def worst(self, statistic, extreme, **settings):
        """[N]: a statistic of the chains, of each image's worst unit."""
        size = self.log_likelihood.shape[2]
        with quiet_logger():  # of a cast from complex numbers that TFP means
            each = [statistic(tf.constant(z), **settings).numpy().reshape(size, -1) for z in self.latents.values()]
        return extreme(np.concatenate(each, 1), 1)


class JitteredHMC(tfp.mcmc.HamiltonianMonteCarlo):
    """HMC whose step sizes, a list, are shortened at random, by one factor in [0.4, 1] a trajectory.

    A trajectory of fixed length may come back to where it began.
    """

    def one_step(self, current_state, previous_kernel_results, seed=None):
        sizes = previous_kernel_results.accepted_results.step_size
        jitter = tf.random.stateless_uniform([], fold(seed, 1), 0.4, 1.0, alg="philox")
        shortened = with_sizes(previous_kernel_results, [jitter * size for size in sizes])
        state, results = super().one_step(current_state, shortened, seed=fold(seed, 2))
        return state, with_sizes(results, sizes)


def with_sizes(results, sizes):
    """The kernel's results with other step sizes."""
    return results._replace(accepted_results=results.accepted_results._replace(step_size=sizes))


@REFINEMENTS.register("hmc")
class HMC:
    """Chains of Hamiltonian Monte Carlo for a batch at a time, compiled once.

    Args:
        model: any model of the zoo whose latents are all continuous.
        num_chains: C, at least 2, that they can be compared.
        num_draws: S, at least 4.
        num_warmup: steps of each chain before its first draw; in the first 80 % of them the step size is fitted.
        num_leapfrog_steps: of each trajectory.
    """

    def __init__(self, model, num_chains=4, num_draws=200, num_warmup=200, num_leapfrog_steps=10):
        check_positive(num_chains=num_chains, num_draws=num_draws, num_warmup=num_warmup)
        check_positive(num_leapfrog_steps=num_leapfrog_steps)
        if num_chains < 2 or num_draws < 4:
            raise InvalidInput(f"R-hat takes 2 chains of 4 draws at least, got {num_chains} of {num_draws}")
        model.require("refinement by HMC", ["bound"])
        self.model, self.num_chains, self.num_draws = model, num_chains, num_draws
        self.num_warmup, self.num_leapfrog_steps = num_warmup, num_leapfrog_steps
        self.begin = tf.function(self.encoder_draws, autograph=False)
        self.sample = tf.function(self.chains, autograph=False, jit_compile=xla_helps(model))

    def __call__(self, fields, seed):
        """`PosteriorSamples` of a model's inputs; the seed is several whole numbers."""
        key = as_key(seed)
        start, unit = self.begin(fields, fold(key, 1))
        latents, likelihood, acceptance, diverged = self.sample(fields, start, unit, fold(key, 2))
        latents = {name: value.numpy() for name, value in latents.items()}
        return PosteriorSamples(latents, *(value.numpy() for value in (likelihood, acceptance, diverged)))

    def encoder_draws(self, fields, key):
        """({name: [C, B, ...]} draws of q(z | x), {name: [B, ...]} their standard deviations)."""
        draws = max(SPREAD_DRAWS, self.num_chains)
        trace = self.model.run(fields, num_samples=draws, training=False, seed=key).trace
        drawn = {name: trace.latents[name][:, 0] for name in self.model.latent_names if name in trace.latents}
        if trace.log_mass.shape[1] != 1 or not all(value.dtype.is_floating for value in drawn.values()):
            raise InvalidInput("HMC moves continuous latents only; this model has others")
        unit = {name: tf.maximum(tf.math.reduce_std(value, 0), NARROWEST) for name, value in drawn.items()}
        return {name: value[: self.num_chains] for name, value in drawn.items()}, unit

    def chains(self, fields, start, unit, key):
        """(latents, log p(x | z) [S, C, B], acceptance [B], share of divergent trajectories [B]) after the warm-up."""

        def of_units(parts):
            return {name: part * unit[name] for name, part in zip(start, parts, strict=True)}

        def target(*parts):
            return sum(log_terms(self.model, of_units(parts), fields))

        def traced(parts, results):
            ratio = results.inner_results.log_accept_ratio
            likelihood = log_terms(self.model, of_units(parts), fields)[0]
            return likelihood, tf.exp(tf.minimum(ratio, 0.0)), tf.cast(~(ratio > DIVERGENT), tf.float32)

        parts = [value / unit[name] for name, value in start.items()]
        sizes = [tf.fill([1, part.shape[1], *[1] * (part.shape.rank - 2)], FIRST_STEP) for part in parts]
        kernel = tfp.mcmc.DualAveragingStepSizeAdaptation(
            JitteredHMC(target, sizes, self.num_leapfrog_steps),
            int(0.8 * self.num_warmup),
            target_accept_prob=TARGET_ACCEPTANCE,
        )
        found, (likelihood, acceptance, diverged) = tfp.mcmc.sample_chain(
            self.num_draws, parts, kernel=kernel, num_burnin_steps=self.num_warmup, trace_fn=traced, seed=key
        )
        acceptance, diverged = (tf.reduce_mean(value, (0, 1)) for value in (acceptance, diverged))
        return of_units(found), likelihood, acceptance, diverged


def batches_refined(sampler, dataset, limit=None, seed=0, progress=None):
    """`PosteriorSamples`, batch by batch."""
    for batch in examples(sampler.model, dataset, limit, progress):
        yield sampler(batch.fields, (seed, 3, batch.start))


def sample_posterior(
    model: "LatentVariableModel",
    dataset: Any,
    refine: str | dict[str, Any] = "hmc",
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> "PosteriorSamples":
    """`PosteriorSamples` of p(z | x), whose chains the encoder starts. From models that infer labels these are hidden.

    Args:
        model: any model of the zoo whose latents are all continuous.
        dataset: a `tf.data.Dataset` of batches, or arrays.
        refine: "hmc", or a dict with its arguments, as `{"name": "hmc", "num_chains": 8, "num_draws": 500}`.
        limit: only the first examples.
        seed: of all draws.
        progress: called as progress(done, total or None) after each batch.

    Raises:
        InvalidInput: data that do not fit the model, models without a bound or with an enumerated latent, bad sizes.
    """
    parts = list(batches_refined(REFINEMENTS.create(refine, model=model), dataset, limit, seed, progress))
    latents = {name: np.concatenate([part.latents[name] for part in parts], 2) for name in parts[0].latents}
    likelihood = np.concatenate([part.log_likelihood for part in parts], 2)
    means = (np.concatenate([getattr(part, name) for part in parts]) for name in ("acceptance", "diverged"))
    return PosteriorSamples(latents, likelihood, *means)


def refined(sampler, dataset, reconstruction, limit=None, seed=0, progress=None):
    """The metrics of refined posteriors: name -> entry, beside the encoder's `reconstruction` [N] of the same images.

    "reconstruction_refined" is E log p(x | z) over p(z | x), "reconstruction_gain" what it gains over the encoder's,
    nats; "posterior_sample_size" and "r_hat" are those of `PosteriorSamples`.
    """
    found = {name: [] for name in ("reconstruction", "size", "r_hat", "acceptance", "diverged")}
    for part in batches_refined(sampler, dataset, limit, seed, progress):
        found["reconstruction"].append(part.log_likelihood.mean((0, 1)))
        found["size"].append(part.effective_sample_size)
        for name in ("r_hat", "acceptance", "diverged"):
            found[name].append(getattr(part, name))
    values = {name: np.concatenate(each).astype("float64") for name, each in found.items()}
    draws, chains, _ = part.log_likelihood.shape
    sizes = {"num_chains": chains, "num_draws": draws}
    extra = {**sizes, **{name: float(values[name].mean()) for name in ("acceptance", "diverged")}}
    return {
        "reconstruction_refined": mean_and_error(values["reconstruction"], **extra),
        "reconstruction_gain": mean_and_error(values["reconstruction"] - reconstruction, **sizes),
        "posterior_sample_size": mean_and_error(values["size"], **sizes),
        "r_hat": {**mean_and_error(values["r_hat"], **sizes), "largest": float(values["r_hat"].max())},
    }
