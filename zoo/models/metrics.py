"""Metrics of the latents, for Keras' training loop."""

import keras
import tensorflow as tf

ACTIVE_KL = 0.01


class ActiveUnits(keras.metrics.Metric):
    """How many units of a latent carry a mean KL above 0.01 nats; `kl_per_unit()` is the mean itself, [D].

    A step adds the sum of its rows' KL to `total`, and their weight to `count`.
    Without `build` it has no result, and the model leaves it out of its logs.
    """

    def __init__(self, name):
        super().__init__(name=name)
        self.total = None

    def build(self, num_units):
        self.total = self.add_variable((num_units,), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def kl_per_unit(self):
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.total), tf.convert_to_tensor(self.count))

    def result(self):
        if self.total is None:
            return None
        return tf.reduce_sum(tf.cast(self.kl_per_unit() > ACTIVE_KL, tf.float32))


class Tally(keras.metrics.Metric):
    """Counts batches, up to one that does not fit, and rows of each field whose values do not; printed nowhere."""

    def __init__(self):
        super().__init__(name="tally")

    def build(self, fields):
        self.batches = self.add_variable((), "zeros", dtype="int32", name="batches")
        self.unfit = self.add_variable((fields,), "zeros", name="unfit")

    def update_state(self, unfit):
        self.batches.assign_add(tf.cast(tf.reduce_sum(self.unfit) == 0, tf.int32))
        self.unfit.assign_add(unfit)

    def result(self):
        return None
