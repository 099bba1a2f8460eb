"""The conditional VAE: everything but the prior knows the label.

    p(z) = N(0, I)
    p(x | z, y) = likelihood(decoder([z, onehot(y)]))
    q(z | x, y) = posterior(encoder([x, plane(y)]))      plane: a learned image per label, one more channel

Sohn, Lee & Yan 2015 (NeurIPS); there the prior sees the condition too, here a class label leaves z standard normal.
"""

import keras
import tensorflow as tf

from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, check_positive
from zoo.models.inputs import checked
from zoo.models.vae import VAE
from zoo.randomness import seeded
from zoo.registry import register


@register("conditional_vae", "p(x given a label)", "Sohn et al. 2015")
@keras.saving.register_keras_serializable("zoo")
class ConditionalVAE(VAE):
    """A VAE of p(x | y), y int [B] in 0..num_classes - 1, or float [B, num_classes] as probabilities.

    Args:
        num_classes: how many labels there are, 0 to num_classes - 1.
        **kwargs: as `VAE`. An encoder of your own takes one more channel than data_shape, a decoder D + num_classes.
    """

    def __init__(self, num_classes=10, **kwargs):
        check_positive(num_classes=num_classes)
        self.num_classes = num_classes
        super().__init__(**kwargs)
        with seeded(self.seed + 1):
            self.plane_layer = keras.layers.Dense(
                tf.TensorShape(self.data_shape[:-1]).num_elements() or 1, name="plane"
            )

    @classmethod
    def examples(cls):
        return {name: {**config, "num_classes": 3} for name, config in super().examples().items()}

    @property
    def encoder_input_shape(self):
        return (*self.data_shape[:-1], self.data_shape[-1] + 1)

    @property
    def inference_layers(self):
        return [*super().inference_layers, self.plane_layer]

    @property
    def data_spec(self):
        return {**super().data_spec, "y": FieldSpec((), "int32", 0, self.num_classes - 1, role="condition")}

    def inputs(self, **fields):
        if fields.get("y") is None:
            raise InvalidInput("a conditional_vae needs labels y")
        return super().inputs(**fields)

    def one_hot(self, y):
        """[B, num_classes] of labels; probabilities stay what they are."""
        return tf.one_hot(y, self.num_classes) if y.dtype.is_integer else y

    @checked
    def posterior(self, x, y):
        """q(z | x, y)."""
        plane = tf.reshape(self.plane_layer(self.one_hot(y)), [-1, *self.data_shape[:-1], 1])
        return self.posterior_head(self.encoder(tf.concat([x, tf.cast(plane, x.dtype)], -1)))

    @checked
    def likelihood(self, z, y):
        """p(x | z, y) of z [..., B, D]."""
        y = self.one_hot(y)
        if z.shape.rank > 2:
            y = tf.broadcast_to(y, tf.concat([tf.shape(z)[:-1], [self.num_classes]], 0))
        return self.decoded(tf.concat([z, y], -1))

    def given(self, n, condition):
        """The labels of n draws; None goes through the classes in turn."""
        y = condition.get("y")
        return super().given(n, {"y": tf.range(n) % self.num_classes if y is None else y})
