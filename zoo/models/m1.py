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

from zoo.errors import InvalidInput
from zoo.models.labels import Labelled
from zoo.models.vae import VAE
from zoo.randomness import seeded
from zoo.registry import ENCODERS, register


@register("m1")
@keras.saving.register_keras_serializable("zoo")
class M1(Labelled, VAE):
    """A VAE with a classifier of its latent; labels steer nothing but the classifier.

    Args:
        classifier: a network of z [D], as `encoder`.
        **kwargs: `num_classes`, `alpha`, `labelled_fraction`: see `Labelled`; the rest as `VAE`.
    """

    def __init__(self, classifier="mlp", **kwargs):
        super().__init__(**kwargs)
        with seeded(self.seed + 1):
            self.classifier = ENCODERS.create(classifier, data_shape=(self.latent_dim,))
            self.classifier_output = keras.layers.Dense(self.num_classes, name="label_logits")

    def logits_of(self, z):
        """[B, C]: log q(y | z) up to a constant, for z [B, D]."""
        return self.classifier_output(self.classifier(z))

    def label_logits(self, x):
        return self.logits_of(self.posterior(x).mean())

    def posterior(self, x, y=None):
        """q(z | x); the label is not looked at."""
        return super().posterior(x)

    def likelihood(self, z, y=None):
        """p(x | z); the label is not looked at."""
        return super().likelihood(z)

    def call(self, inputs, num_samples=None, training=None, seed=None):
        inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
        known = {name: value for name, value in inputs.items() if name in ("x", "y")}
        trace = super().call(known, num_samples=num_samples, training=training, seed=seed)
        features = trace.latents["z"][0, 0] if training else self.posterior(inputs["x"]).mean()
        log_q = tf.nn.log_softmax(self.logits_of(tf.stop_gradient(features)))
        row_weight, penalty = self.weigh(inputs, log_q)
        return trace._replace(row_weight=row_weight, penalty=penalty)

    def sample(self, n, seed=None, mean=False, y=None):
        """[n, *data_shape]: draws of p(x), as `VAE.sample`."""
        if y is not None and np.any(np.asarray(y) >= 0):
            raise InvalidInput("the labels of an m1 do not steer its images: use m2 or m1_m2")
        return super().sample(n, seed=seed, mean=mean)

    @property
    def endpoints(self):
        return {name: (f, [i for i in inputs if i != "y"]) for name, (f, inputs) in super().endpoints.items()}
