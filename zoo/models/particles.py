"""A particle filter along a sequence: draws that explain the past badly give their place to those that do it well.

The weights of a block of steps, from one resampling to the next, give the estimate of the likelihood a factor. Gordon,
Salmond & Smith 1993; as a bound Maddison et al. 2017, arXiv:1705.09279, there with multinomial resampling.
"""

import tensorflow as tf

from zoo.probability import tfp

tfd = tfp.distributions

BLOCK = ("log_likelihood", "kl")


def blocks_of(value):
    """What the filter carries beside a model's state [N, ...]: both log terms since the last resampling, [N, 1]."""
    return dict.fromkeys(BLOCK, tf.zeros([tf.shape(value)[0], 1]))


def particle_body(model, step, draws, threshold, beta):
    """(a body for `scan` that steps, weighs and resamples, the outputs it adds).

    Args:
        model: a `SequenceModel`.
        step: (state, the step's elements) -> (the next state, what is said).
        draws: how many particles each example has.
        threshold: the share of them that the effective sample size must reach, or they are resampled.
        beta: what the KL counts in the weights; the factors are of these weights where they have its KL too.
    """

    def body(state, each):
        new, said = step({name: state[name] for name in state if name not in BLOCK}, each)
        score = model.score_steps(model.decoded(said["code"]), each, each["real"])
        log_p = tf.reduce_sum(tfd.Normal(said["p_loc"], said["p_scale"]).log_prob(said["z"]), -1)
        kl = each["real"] * (said["log_q"] - log_p)
        block = {"log_likelihood": state["log_likelihood"] + score[:, None], "kl": state["kl"] + kl[:, None]}
        weight = tf.reshape(block["log_likelihood"] - beta * block["kl"], [draws, -1])
        more = each["more"][: tf.shape(weight)[1]] > 0
        poor = more & (effective_size(weight) < threshold * draws)
        rows = ancestors(tf.stop_gradient(weight), each["uniform"], poor)
        new = {name: tf.gather(value, rows) for name, value in new.items()}
        ends = tf.tile(poor | ~more, [draws])
        carried = {name: tf.where(ends[:, None], 0.0, value) for name, value in block.items()}
        said |= {name: value[:, 0] for name, value in block.items()}
        return {**new, **carried}, {**said, "ends": each["real"] * tf.cast(ends, tf.float32)}

    return body, dict.fromkeys((*BLOCK, "ends"), ())


def effective_size(weight):
    """[B]: (sum w)^2 / sum w^2 of log weights [S, B]: how many equal weights vary as little. Kong 1992."""
    return tf.exp(2 * tf.reduce_logsumexp(weight, 0) - tf.reduce_logsumexp(2 * weight, 0))


def ancestors(weight, uniform, poor):
    """int32 [S * B]: whose row each row becomes, drawn systematically by log weights [S, B] where `poor` [B].

    The S points (uniform + s) / S fall on the particles' shares of the weight, each of which expects S times its share.
    """
    draws, batch = tf.unstack(tf.shape(weight))
    reached = tf.cumsum(tf.nn.softmax(weight, 0), 0)
    points = (uniform + tf.cast(tf.range(draws), tf.float32)[:, None]) / tf.cast(draws, tf.float32)
    below = tf.reduce_sum(tf.cast(reached[:-1, None] <= points[None], tf.int32), 0)
    chosen = tf.where(poor, below, tf.range(draws)[:, None])
    return tf.reshape(chosen * batch + tf.range(batch), [-1])
