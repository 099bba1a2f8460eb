"""Layers of Keras that look at more than a row, so that several devices do what one does with the whole batch."""

import keras
import tensorflow as tf

from zoo.replicas import drawn, share


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer; on several devices its statistics are those of the whole batch."""

    def call(self, inputs, training=None, mask=None):
        self.synchronized = share() is not None
        return super().call(inputs, training=training, mask=mask)


class Dropout(keras.layers.Dropout):
    """Keras' layer; on several devices it drops what one would."""

    def call(self, inputs, training=False):
        if share() is None or not training:
            return super().call(inputs, training=training)
        dropped = super().call
        return inputs * drawn(lambda shape: dropped(tf.ones(shape, inputs.dtype), training), tf.shape(inputs), axis=0)
