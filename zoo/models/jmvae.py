"""The joint multimodal VAE: an image and its label as two observed fields of one latent.

    p(z) = prior
    p(x | z) = likelihood(decoder(z))      p(y | z) = softmax(label_decoder(z))
    q(z | x, y) = posterior(f(W encoder(x) + V onehot(y)))      V y = 0 where the label is missing

What is observed is explained: a missing label (-1) adds nothing to the bound, and `masked` images take part as they
are. Suzuki, Nakayama & Matsuo 2016, arXiv:1611.01891; there further networks are trained for q(z | x) and q(z | y).
"""

import keras
import tensorflow as tf

from zoo.data.spec import FieldSpec
from zoo.distributions import Label
from zoo.errors import check_positive
from zoo.models.inputs import checked
from zoo.models.vae import VAE
from zoo.networks.labelled import LabelledDense
from zoo.networks.mlp import Dense
from zoo.randomness import seeded
from zoo.registry import register


@register("jmvae", "an image and its label as two observed fields of one latent", "Suzuki et al. 2016")
@keras.saving.register_keras_serializable("zoo")
class JMVAE(VAE):
    """A joint multimodal VAE of {"x", "y"}, y int [B], -1 where it is missing. Verbs give dicts by field.

    Args:
        num_classes: how many labels there are, 0 to num_classes - 1.
        hidden_units: width of the layer that joins image and label.
        **kwargs: as `VAE`.
    """

    def __init__(self, num_classes=10, hidden_units=256, **kwargs):
        check_positive(num_classes=num_classes, hidden_units=hidden_units)
        self.num_classes = num_classes
        super().__init__(**kwargs)
        with seeded(self.seed + 1):
            self.flatten = keras.layers.Flatten()
            self.joint = LabelledDense(hidden_units, "leaky_relu", "joint")
            self.label_decoder = Dense(num_classes, name="label_decoder", dtype="float32")

    @classmethod
    def examples(cls):
        return {"mlp": {**super().examples()["mlp"], "num_classes": 3, "hidden_units": 8}}

    @property
    def data_spec(self):
        y = FieldSpec((), "int32", -1, self.num_classes - 1, optional=True)
        return {**super().data_spec, "y": y}

    @property
    def inference_layers(self):
        return [*super().inference_layers, self.joint]

    @checked
    def posterior(self, x, y):
        """q(z | x, y), y int [B] or probabilities [B, num_classes], zeros where it is missing."""
        label = tf.one_hot(y, self.num_classes) if y.dtype.is_integer else y
        return self.posterior_head(self.joint(self.flatten(self.encoder(x)), label))

    def posteriors(self, inputs):
        image, label = self.fields_of("data")
        y = inputs.get(label, tf.fill([tf.shape(inputs[image])[0]], -1))
        return {"z": self.posterior(inputs[image], y)}

    def likelihoods(self, latents, condition):
        image, label = self.fields_of("data")
        z = latents["z"]
        return {image: self.likelihood(z), label: Label(self.label_decoder(z))}
