"""Layers that know a label."""

import keras

from zoo.networks.mlp import Dense, activation_function


class LabelledDense(keras.layers.Layer):
    """activation(W h + V y + b) of features h [..., F] and label probabilities y [..., C] -> [..., units].

    The leading axes of h and y are broadcast against each other, so W h is computed once for all labels of an example,
    and V y once for all examples of a label. V starts near 0, so that at first no label fits an image better than
    another by chance, and classifiers learn from known labels what the labels mean.
    """

    rows_apart = True

    def __init__(self, units, activation, name):
        super().__init__(name=name)
        self.features = Dense(units, name="features")
        small = keras.initializers.RandomNormal(stddev=1e-3)
        self.label = Dense(units, use_bias=False, kernel_initializer=small, name="label")
        self.activation = activation_function(activation)

    def build(self, features_shape, label_shape):
        self.features.build(features_shape)
        self.label.build(label_shape)

    def call(self, features, label):
        return self.activation(self.features(features) + self.label(label))
