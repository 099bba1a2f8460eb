"""The cost of wrong labels: how q(y | x) learns from the labels that are known."""

import tensorflow as tf

from zoo.objectives.penalties import Penalty
from zoo.registry import PENALTIES


@PENALTIES.register("classification")
class Classification(Penalty):
    """-log q(y | x), nats, averaged over the labelled rows. Kingma et al. 2014, arXiv:1406.5298, equation 9.

    Models with labels have it already, with the weight alpha.
    """

    registry_name, needs = "classification", ("classifier",)

    def value(self, p, model):
        (field,) = model.fields_of("label")
        target = model.targets(p.inputs)
        log_q = tf.nn.log_softmax(p.posterior[field].logits)
        known = tf.reduce_sum(target, -1)
        share = tf.math.divide_no_nan(tf.cast(tf.size(known), tf.float32), tf.reduce_sum(known))
        return -share * tf.reduce_sum(target * log_q, -1)
