"""Bounds on log p(x): functions of a trace, [S, C, B] -> [B], in nats. Models maximise their mean."""

import functools

import tensorflow as tf

from zoo.errors import InvalidInput, check_positive
from zoo.registry import BOUNDS


@BOUNDS.register("elbo")
def elbo(trace):
    """Evidence lower bound: reconstruction - KL, the KL in closed form where the trace has it.

    The expectation is that of `trace.elbo`, the variance is lower. Kingma & Welling 2014, arXiv:1312.6114.
    """
    return trace.reconstruction + trace.entropy - sum(trace.kl.values())


@BOUNDS.register("iwae")
def iwae(trace):
    """Importance-weighted bound, log of the mean weight over the draws, *inside* each enumerated value.

    `trace.log_marginal` itself never trains a classifier, because q(y | x) cancels in it.
    With one draw it is the ELBO of the draws. Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519.
    """
    draws = tf.cast(tf.shape(trace.log_weight)[0], trace.log_weight.dtype)
    inside = tf.reduce_logsumexp(trace.log_weight, 0, keepdims=True) - tf.math.log(draws)
    return trace.expect(inside) + trace.entropy


@BOUNDS.register("free_bits")
def free_bits(trace, nats=0.5, num_groups=1):
    """ELBO whose KL is free up to `nats` in each group of units of each latent.

    The KL of a group is its mean over the batch, as in the paper, so the value is one number for the batch, in [B].
    Kingma et al. 2016, arXiv:1606.04934, appendix C.8.

    Args:
        nats: lambda, the KL a group may have for free.
        num_groups: into how many groups of neighbouring units a latent is divided; 1 takes it as a whole.

    Raises:
        InvalidInput: groups asked for where the KL has no closed form per unit, or that do not divide the units.
    """
    total = 0.0
    for name, kl in trace.kl.items():
        if num_groups == 1:
            groups = tf.reduce_mean(kl)[None]
        else:
            units = trace.kl_per_unit.get(name)
            if units is None or units.shape[-1] % num_groups:
                size = "no KL per unit" if units is None else f"{units.shape[-1]} units"
                raise InvalidInput(f"free_bits: latent {name!r} has {size}, which {num_groups} groups cannot divide")
            groups = tf.reduce_sum(tf.reshape(tf.reduce_mean(units, 0), [num_groups, -1]), -1)
        total += tf.reduce_sum(tf.maximum(groups, nats))
    return trace.reconstruction + trace.entropy - total


def get(bound):
    """The function `trace -> [B]` that a name or a dict `{"name": ..., argument: value}` stands for."""
    function, arguments, _ = BOUNDS.parse(bound, context=["trace"])
    check_positive(**{name: value for name, value in arguments.items() if name == "num_groups"})
    return functools.partial(function, **arguments)
