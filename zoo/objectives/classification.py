"""The cost of wrong labels: how q(y | x) learns from the labels that are known."""

import tensorflow as tf

from zoo.objectives.penalties import Penalty
from zoo.registry import PENALTIES
from zoo.replicas import over_replicas


@PENALTIES.register("classification")
class Classification(Penalty):
    """-log q(y | x), nats, averaged over the labelled rows. Kingma et al. 2014, arXiv:1406.5298, equation 9.

    Models with labels have it already, with the weight alpha. The rows are those of the whole batch, on all replicas.
    """

    registry_name, needs = "classification", ("classifier",)

    def value(self, p, model):
        (field,) = model.fields_of("label")
        target = model.targets(p.inputs)
        log_q = tf.nn.log_softmax(p.posterior[field].logits)
        known = tf.reduce_sum(target, -1)
        size, labelled = tf.unstack(over_replicas(tf.stack([tf.reduce_sum(tf.ones_like(known)), tf.reduce_sum(known)])))
        share = tf.math.divide_no_nan(size, labelled)
        return -share * tf.reduce_sum(target * log_q, -1)
