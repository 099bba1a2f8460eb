"""Bounds on log p(x): functions of a trace, [S, C, B] -> [B], in nats. Models maximise their mean.

A bound says by `needs` what a model must offer for its gradient ("path") or its value, and by `for_inference` which
other bound the inference model's weights maximise, where that is not the same.
"""

import functools
import math

import tensorflow as tf

from zoo.errors import InvalidInput, check_positive
from zoo.registry import BOUNDS
from zoo.replicas import over_replicas


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
    return trace.expect(log_mean_exp(trace.log_weight)) + trace.entropy


def log_mean_exp(values, axis=0):
    """The logarithm of the mean of exponentials along one axis, which is kept."""
    count = tf.cast(tf.shape(values)[axis], values.dtype)
    return tf.reduce_logsumexp(values, axis, keepdims=True) - tf.math.log(count)


def check_groups(num_groups, num_samples):
    """Raise `InvalidInput` unless M groups divide the draws, where their number is known."""
    check_positive(num_groups=num_groups)
    if num_samples is not None and num_samples % num_groups:
        raise InvalidInput(
            f"{num_samples} draws do not make {num_groups} groups: num_samples must be num_groups (M) times K"
        )


@BOUNDS.register("stl", needs=("path",))
def stl(trace):
    """The ELBO with the gradient of its draws' path alone: the posterior's parameters are held in log q(z | x).

    Unbiased for the ELBO, without variance where the posterior is exact. "Sticking the landing": Roeder, Wu & Duvenaud
    2017, arXiv:1703.09194. A flow's own parameters are treated as the generative model's.
    """
    return trace.expect(trace.log_weight + trace.along_path) + trace.entropy


@BOUNDS.register("dreg", needs=("path",))
def dreg(trace):
    """The importance-weighted bound with the doubly reparameterised gradient, which does not fade with the draws.

    Unbiased for `iwae`'s bound. Tucker et al. 2019, arXiv:1810.04152; there beta = 1. Where log q weighs beta, so does
    its score, of which a draw's share v of the weights takes beta v (1 - v) from v along the path.
    """
    share = tf.stop_gradient(tf.nn.softmax(trace.log_weight, 0))
    path = tf.reduce_sum(share * (1 - trace.beta * (1 - share)) * trace.along_path, 0, keepdims=True)
    return trace.expect(log_mean_exp(trace.log_weight) + path) + trace.entropy


@BOUNDS.register("miwae")
def miwae(trace, num_groups=1):
    """The mean of M = `num_groups` importance-weighted bounds of K draws each; the draws are M K.

    M = 1 is `iwae`, M = S the ELBO of the draws. Rainforth et al. 2018, arXiv:1802.04537.

    Args:
        num_groups: M, into which the draws are divided evenly.
    """
    check_groups(num_groups, trace.log_weight.shape[0])
    groups = tf.reshape(trace.log_weight, [num_groups, -1, *tf.unstack(tf.shape(trace.log_weight))[1:]])
    return trace.expect(log_mean_exp(groups, 1)[:, 0]) + trace.entropy


@BOUNDS.register("piwae", needs=("inference",), for_inference=miwae)
def piwae(trace, num_groups=1):
    """`iwae` of all draws for the generative model, `miwae` of `num_groups` for the inference model.

    Its value is that of `iwae`. Rainforth et al. 2018, arXiv:1802.04537.

    Args:
        num_groups: M, into which the draws are divided evenly.
    """
    check_groups(num_groups, trace.log_weight.shape[0])
    return iwae(trace)


@BOUNDS.register("ciwae")
def ciwae(trace, elbo_weight=0.5):
    """`elbo_weight` (beta in the paper) times the ELBO of the draws and the rest times `iwae`.

    Rainforth et al. 2018, arXiv:1802.04537.

    Args:
        elbo_weight: between 0, which is `iwae`, and 1, the ELBO of the draws.

    Raises:
        InvalidInput: a weight outside of [0, 1].
    """
    if not 0 <= elbo_weight <= 1:
        raise InvalidInput(f"ciwae: elbo_weight lies between 0 and 1, got {elbo_weight!r}")
    return elbo_weight * trace.elbo + (1 - elbo_weight) * iwae(trace)


@BOUNDS.register("fivo", needs=("resampling",))
def fivo(trace, threshold=0.5):
    """The filtering bound: the logarithm of a particle filter's estimate of the likelihood of a sequence.

    The draws are the particles. No gradient goes through whom resampling chooses. With one draw it is the ELBO of the
    draws, with threshold 0 `iwae`. Maddison et al. 2017, arXiv:1705.09279. In training beta tempers weights, those of
    resampling too: it then bounds the logarithm of the integral of p(x | z) p(z)^beta q(z | x)^(1 - beta).

    Args:
        threshold: the share of the draws below which the effective sample size has them resampled; 1 resamples at
            every step.

    Raises:
        InvalidInput: a share outside of [0, 1], or a trace without resampling.
    """
    check_share(threshold)
    if not trace.blocks:
        raise InvalidInput('fivo takes a pass with resampling: model(x, needs=("resampling",)).trace')
    return trace.log_marginal


def check_share(threshold):
    """Raise `InvalidInput` unless the threshold of resampling is a share."""
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise InvalidInput(f"fivo: threshold is a share of the draws, from 0 to 1, got {threshold!r}")


@BOUNDS.register("renyi")
def renyi(trace, alpha=0.5):
    """The variational Renyi bound of order `alpha`: 1 is the ELBO of the draws, 0 is `iwae`, -inf is VR-max.

    It falls with alpha; below 0 it is an upper bound with infinitely many draws. Li & Turner 2016, arXiv:1602.02311.

    Args:
        alpha: the order, any number or -inf.
    """
    if alpha == 1:
        return trace.elbo
    if alpha == -math.inf:
        inside = tf.reduce_max(trace.log_weight, 0, keepdims=True)
    else:
        inside = log_mean_exp((1 - alpha) * trace.log_weight) / (1 - alpha)
    return trace.expect(inside) + trace.entropy


@BOUNDS.register("kl_balancing")
def kl_balancing(trace):
    """The ELBO, but while the KL is warmed up (beta < 1) a level's KL weighs as much as its share in the nats per unit.

    So levels that carry little are cheap to use. The weights are constants with the mean 1 over the levels, from the
    whole batch's mean KL. After Vahdat & Kautz 2020, arXiv:2007.03898, appendix A.
    """
    kl = trace.kl
    if not kl:
        return elbo(trace)
    units = {name: math.prod(latent.shape[3:]) for name, latent in trace.latents.items()}
    density = {name: batch_mean(value, trace) / units.get(name, 1) + 1e-3 for name, value in kl.items()}
    mean = sum(density.values()) / len(density)
    warming = tf.cast(tf.convert_to_tensor(trace.beta) < 1, mean.dtype)
    total = sum(value * (1 + warming * (density[name] / mean - 1)) for name, value in kl.items())
    return trace.reconstruction + trace.entropy - total


@BOUNDS.register("free_bits")
def free_bits(trace, nats=0.5, num_groups=1):
    """ELBO whose KL is free up to `nats` in each group of units of each latent; with 0 it is the ELBO.

    The KL of a group is its mean over the whole batch, as in the paper, in which a row counts by its `row_weight`;
    where that is free each row pays beta `nats` in its place. Kingma et al. 2016, arXiv:1606.04934, appendix C.8.

    Args:
        nats: lambda, the KL a group may have for free, before it is weighted by beta.
        num_groups: into how many groups of neighbouring units a latent is divided; 1 takes it as a whole.

    Raises:
        InvalidInput: nats below 0, or groups asked for where the KL has no closed form per unit, or that do not divide
            the units.
    """
    if not 0 <= nats < math.inf:
        raise InvalidInput(f"free_bits: nats is a number from 0, got {nats!r}")
    if nats == 0:
        return elbo(trace)
    total, allowed = 0.0, nats * trace.beta
    for name, kl in trace.kl.items():
        groups = kl[:, None]
        if num_groups > 1:
            units = trace.kl_per_unit.get(name)
            if units is None or units.shape[-1] % num_groups:
                size = "no KL per unit" if units is None else f"{units.shape[-1]} units"
                raise InvalidInput(f"free_bits: latent {name!r} has {size}, which {num_groups} groups cannot divide")
            groups = tf.reduce_sum(tf.reshape(units, [-1, num_groups, units.shape[-1] // num_groups]), -1)
        total += tf.reduce_sum(tf.where(batch_mean(groups, trace) > allowed, groups, allowed), -1)
    return trace.reconstruction + trace.entropy - total


def batch_mean(values, trace):
    """The mean of values [B, ...] over the rows of all replicas, as they are weighted, as a constant."""
    weight = tf.broadcast_to(trace.row_weight, tf.shape(values)[:1])
    summed = tf.tensordot(weight, values, 1)
    return tf.stop_gradient(tf.math.divide_no_nan(over_replicas(summed), over_replicas(tf.reduce_sum(weight))))


def get(bound, num_samples=None):
    """The function `trace -> [B]` that a name or a dict `{"name": ..., argument: value}` stands for.

    Raises:
        InvalidInput: unknown names, or groups that do not divide `num_samples`.
    """
    function, arguments, _ = BOUNDS.parse(bound, context=["trace"])
    if "threshold" in arguments:
        check_share(arguments["threshold"])
    if "num_groups" in arguments:
        check_groups(arguments["num_groups"], num_samples if miwae in (function, function.for_inference) else None)
    return functools.partial(function, **arguments)
