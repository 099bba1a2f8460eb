"""The metrics of sequences: bounds on log p(x) for each of their steps, in nats."""

import tensorflow as tf

from zoo.evaluation.importance import real_steps
from zoo.evaluation.metrics import mean_and_error
from zoo.registry import METRICS

PARTICLES = 128


def steps(model, batch):
    """[B]: how many steps each sequence has."""
    return {"steps": real_steps(model, batch.fields).sum(1)}


def filtered(model, batch):
    """[B]: the log of a particle filter's estimate of p(x)."""
    found = model.log_marginal(batch.fields, tf.constant([37, batch.start]), PARTICLES, resample=True)
    return {"filtered": found.numpy()}


def per_step(scores, values, **extra):
    """The entry of a bound [N] a step: the mean over the sequences of each one's mean over its steps.

    "pooled" is the sum over all sequences by the sum of their steps, in which long ones count for more.
    """
    length = scores.values["steps"]
    return {**mean_and_error(values / length, **extra), "pooled": float(values.sum() / length.sum())}


@METRICS.register("elbo_per_step", needs=["steps", "bound"], measure=steps, higher_is_better=True)
def elbo_per_step(scores):
    """The evidence lower bound a step."""
    return {"elbo_per_step": per_step(scores, scores.values["elbo"])}


@METRICS.register("iwae_per_step", needs=["steps", "bound"], higher_is_better=True)
def iwae_per_step(scores):
    """The importance-weighted bound a step; log p(x) itself of a model without latents."""
    return {"iwae_per_step": per_step(scores, -scores.values["nll"], num_samples=scores.num_samples)}


@METRICS.register("fivo_per_step", needs=["steps", "resampling"], measure=filtered, higher_is_better=True)
def fivo_per_step(scores):
    """The filtering bound of a particle filter a step. Maddison et al. 2017, arXiv:1705.09279."""
    return {"fivo_per_step": per_step(scores, scores.values["filtered"], num_samples=PARTICLES)}
