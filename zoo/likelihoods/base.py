"""What likelihoods share: the decoder's numbers become the parameters of every value of x."""

import keras
import tensorflow as tf

from zoo.numerics import cut
from zoo.probability import tfp

tfd = tfp.distributions


class LikelihoodHead(keras.layers.Layer):
    """The decoder's output [..., *shape[:-1], channels * num_parameters] -> a distribution over x of `data_shape`.

    Attributes:
        num_parameters: how many numbers the decoder gives for each value of x.
        minimum, maximum: the range of x, None where it is unbounded.
        discrete: whether log p(x | z) is a log probability, so that bits per dimension have a meaning.
        factorized: whether the values of x are independent given z, so that some may be missing.
    """

    rows_apart = True

    num_parameters = 1
    minimum, maximum = 0.0, 1.0
    discrete = True
    factorized = True
    independent = tfd.Independent

    def __init__(self, data_shape):
        super().__init__(name="likelihood", dtype="float32")
        self.data_shape = tuple(data_shape)

    @property
    def decoder_shape(self):
        """The shape the decoder gives each example."""
        return (*self.data_shape[:-1], self.data_shape[-1] * self.num_parameters)

    def call(self, parameters):
        parts = cut(tf.cast(parameters, tf.float32), *[self.data_shape[-1]] * self.num_parameters)
        return self.independent(self.distribution(*parts), len(self.data_shape))

    @property
    def output_shape(self):
        """Of what the distribution is over, for `model.summary()`."""
        return (None, *self.data_shape)

    def initial_bias(self, mean):
        """The decoder's output bias [*decoder_shape] at which the mean of x is `mean` [*data_shape]."""
        return tf.concat([mean] + [tf.zeros_like(mean)] * (self.num_parameters - 1), -1)
