"""M1: a classifier of a VAE's features.

    p(z) = prior      p(x | z) = likelihood(decoder(z))      q(z | x) = posterior(encoder(x))      as in a VAE
    q(y | x) = softmax(classifier(z)), in training at a drawn z, else at the posterior's location

The VAE learns from all examples and knows nothing of labels; the classifier learns from the labelled ones alone. For
other classifiers take `zoo.features(model, dataset)`.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298; there the classifier is a (transductive) SVM.
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.distributions import location
from zoo.errors import InvalidInput
from zoo.models.labels import Labelled
from zoo.models.vae import VAE
from zoo.probability import tfp
from zoo.randomness import seeded
from zoo.registry import ENCODERS, register


@register("m1", "a VAE and a classifier of its features, from few labels", "Kingma et al. 2014")
@keras.saving.register_keras_serializable("zoo")
class M1(Labelled, VAE):
    """A VAE with a classifier of its latent; labels steer nothing but the classifier.

    Args:
        classifier: a network of z [D], as `encoder`.
        **kwargs: `num_classes`, `alpha`, `labelled_fraction`: see `Labelled`; the rest as `VAE`.
    """

    conditions = ()

    def __init__(self, classifier="mlp", **kwargs):
        super().__init__(**kwargs)
        with seeded(self.seed + 1):
            self.classifier = ENCODERS.create(classifier, data_shape=(self.latent_dim,))
            self.classifier_output = keras.layers.Dense(self.num_classes, name="label_logits")

    @classmethod
    def examples(cls):
        return {"mlp": {**super().examples()["mlp"], "classifier": {"name": "mlp", "hidden_units": [8]}}}

    def logits_of(self, z):
        """[B, C]: log q(y | z) up to a constant, for z [B, D]."""
        return tf.cast(self.classifier_output(self.classifier(z)), tf.float32)

    def label_logits(self, x):
        return self.logits_of(location(self.posterior(x)))

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        p = super().run(inputs, num_samples=num_samples, training=training, seed=seed)
        features = p.trace.latents["z"][0, 0] if training else location(p.posterior["z"])
        q = tfp.distributions.OneHotCategorical(logits=self.logits_of(tf.stop_gradient(features)))
        trace = p.trace._replace(row_weight=self.row_weight(inputs))
        return p._replace(trace=trace, posterior={**p.posterior, self.label: q})

    def given(self, n, condition):
        y = condition.get(self.label)
        if y is not None and np.any(np.asarray(y) >= 0):
            raise InvalidInput("the labels of an m1 do not steer its images: use m2 or m1_m2")
        return super().given(n, condition)
