"""M2: a VAE with the class label as a second latent, learnt from labelled and unlabelled examples.

    p(y) = uniform over num_classes      p(z) = prior
    p(x | z, y) = likelihood(decoder(f(W z + V y)))      f: activation; W z is computed once for all labels
    q(y | x) = softmax(classifier(x))
    q(z | x, y) = posterior(f(W encoder(x) + V y))

An observed label is a point mass; an unknown one is summed out (`labels="enumerated"`), or drawn as a relaxed one-hot
vector (`"sampled"`), whose cost does not grow with the classes.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298; there the networks see z and y side by side, which is the
same first layer. The relaxation: Jang, Gu & Poole 2017, arXiv:1611.01144; Maddison, Mnih & Teh 2017, arXiv:1611.00712.
"""

import math

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive, choose
from zoo.models.labels import LabelledGenerator
from zoo.models.vae import VAE, closed_form_kl
from zoo.networks.labelled import LabelledDense
from zoo.randomness import as_seed, seeded
from zoo.registry import ENCODERS, register
from zoo.trace import Trace

DIRECT = {"name": "mlp", "hidden_units": []}


@register("m2")
@keras.saving.register_keras_serializable("zoo")
class M2(LabelledGenerator, VAE):
    """The semi-supervised VAE of {"x", "y"}, y int [B] and -1 where unknown.

    Args:
        hidden_units: width of the layer of each network that sees the label.
        activation: of that layer and of the classifier.
        classifier: as `encoder`, the network of q(y | x); None takes one layer of `hidden_units`.
        encoder: what precedes that layer in q(z | x, y); by default nothing.
        decoder: what follows that layer in p(x | z, y), without its first layer; None mirrors `encoder`.
        labels: "enumerated", "sampled", or {"name": "sampled", "temperature": 0.5}. Outside of training a sampled
            label is a hard one.
        **kwargs: `num_classes`, `alpha`, `labelled_fraction`: see `Labelled`; the rest as `VAE`.
    """

    def __init__(
        self, hidden_units=500, activation="softplus", classifier=None, labels="enumerated", encoder=DIRECT, **kwargs
    ):
        super().__init__(encoder=encoder, **kwargs)
        check_positive(hidden_units=hidden_units)
        self.temperature = relaxation(labels)
        if classifier is None:
            classifier = {"name": "mlp", "hidden_units": [hidden_units], "activation": activation}
        with seeded(self.seed + 1):
            self.classifier = ENCODERS.create(classifier, data_shape=self.data_shape)
            self.flatten = keras.layers.Flatten()
            self.classifier_output = keras.layers.Dense(self.num_classes, name="label_logits")
            self.encoder_label = LabelledDense(hidden_units, activation, "encoder_label")
            self.decoder_label = LabelledDense(hidden_units, activation, "decoder_label")

    # p and q

    def seen(self, x):
        """What the inference networks see of x."""
        return x

    def label_logits(self, x):
        return self.classifier_output(self.flatten(self.classifier(self.seen(x))))

    def posterior(self, x, y=None):
        """q(z | x, y), y int [B] or probabilities; where it is unknown, at the probabilities q(y | x)."""
        features = self.flatten(self.encoder(self.seen(x)))
        return self.posterior_head(self.encoder_label(features, self.probabilities(x, y)))

    def likelihood(self, z, y=None):
        """p(x | z, y) of z [..., D], y int [B] or probabilities [..., C]; where unknown, equal parts of each label."""
        y = tf.zeros([1, self.num_classes]) if y is None else y
        code = self.decoder_label(z, self.filled(y, 1 / self.num_classes))
        return self.likelihood_head(self.decode_parameters(code))

    # The contract

    def call(self, inputs, num_samples=None, training=None, seed=None):
        inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
        draws, target = num_samples or self.num_samples, self.targets(inputs)
        seeds = tf.unstack(tf.random.split(as_seed(seed), 2, alg="philox"))
        log_q = tf.nn.log_softmax(self.label_logits(inputs["x"]))
        zeros = tf.zeros_like(log_q[None, :, :1])
        if self.temperature is None:
            y, latents, log_posterior_y = self.every_label, {}, tf.transpose(tf.zeros_like(log_q))[None]
            log_mass = point_or_mass(target, log_q)
        else:
            y = self.draw_label(log_q, target, draws, seeds[0], training)
            latents, log_mass = {"y": y}, tf.transpose(zeros, [0, 2, 1])
            log_posterior_y = tf.reduce_sum(y * log_q, -1) * (1 - tf.reduce_sum(target, -1))
        z, log_posterior, kl = self.draw(inputs["x"][None], y, draws // y.shape[0], seeds[1])
        latents["z"] = z
        log_likelihood, log_prior = self.log_joint(latents, inputs)
        row_weight, penalty = self.weigh(inputs, log_q)
        return Trace(
            latents=latents,
            log_likelihood=log_likelihood,
            log_prior=log_prior,
            log_posterior={"z": log_posterior, "y": log_posterior_y + tf.zeros_like(log_posterior)},
            log_mass=log_mass,
            penalty=penalty,
            kl_per_unit={name: expected_kl(units, log_mass) for name, units in kl.items()},
            row_weight=row_weight,
        )

    @property
    def every_label(self):
        """[1, C, 1, C]: the values of an enumerated label, one-hot."""
        return tf.eye(self.num_classes)[None, :, None]

    def draw_label(self, log_q, target, draws, seed, training):
        """[S, 1, B, C]: the label where it is known, else one drawn from q(y | x), in training relaxed."""
        uniform = tf.random.stateless_uniform([draws, 1, *tf.unstack(tf.shape(log_q))], seed, minval=1e-20)
        scores = tf.ensure_shape(log_q - tf.math.log(-tf.math.log(uniform)), [draws, 1, None, self.num_classes])
        soft = tf.nn.softmax(scores / self.temperature)
        drawn = soft if training else tf.one_hot(tf.argmax(scores, -1), self.num_classes)
        return self.filled(target, drawn)

    def draw(self, x, y, draws, seed):
        """`draws` of z for each x [L, B, *data_shape] and label probabilities y, broadcast to [L, C, B, num_classes].

        Returns:
            z [draws L, C, B, D], log q(z | x, y) [draws L, C, B], {"z": KL [L, C, B, D]} where it has a closed form.
        """
        count, batch = tf.unstack(tf.shape(x)[:2])
        features = self.flatten(self.encoder(self.seen(tf.reshape(x, [-1, *self.data_shape]))))
        joint = self.encoder_label(tf.reshape(features, [count, 1, batch, features.shape[-1]]), y)
        lead = tf.shape(joint)[:3]
        posterior = self.posterior_head(tf.reshape(joint, [-1, joint.shape[-1]]))
        z, log_q = posterior.experimental_sample_and_log_prob(draws, seed=seed)
        shape = tf.concat([[-1], lead[1:]], 0)
        kl = closed_form_kl(posterior, self.prior())
        units = {name: tf.reshape(v, tf.concat([lead, [self.latent_dim]], 0)) for name, v in kl.items()}
        return tf.reshape(z, tf.concat([shape, [self.latent_dim]], 0)), tf.reshape(log_q, shape), units

    def log_joint(self, latents, inputs):
        z = latents["z"]
        log_likelihood = self.likelihood(z, latents.get("y", self.every_label)).log_prob(inputs["x"])
        log_prior = self.prior().log_prob(z)
        return log_likelihood, {"z": log_prior, "y": tf.fill(tf.shape(log_prior), -math.log(self.num_classes))}

    def locations(self, inputs):
        return {"z": self.posterior(inputs["x"], inputs.get("y")).mean()}

    @property
    def values_per_pixel(self):
        return super().values_per_pixel * (self.num_classes if self.temperature is None else 1)


def relaxation(labels):
    """None for "enumerated", else the temperature of "sampled"."""
    arguments = {"name": labels} if isinstance(labels, str) else dict(labels)
    if choose("treatment of labels", arguments.pop("name", None), {"enumerated": False, "sampled": True}):
        temperature = arguments.pop("temperature", 0.5)
        if not temperature > 0:
            raise InvalidInput(f"temperature must be positive, got {temperature!r}")
    else:
        temperature = None
    if arguments:
        raise InvalidInput(f"labels take no argument {next(iter(arguments))!r}; only sampled ones a temperature")
    return temperature


def point_or_mass(target, log_q):
    """[1, C, B]: log q(y | x) of log_q [B, C]; 0 on an observed label of target [B, C] and -inf on the others."""
    point = tf.where(target > 0.5, 0.0, -math.inf)
    known = tf.reduce_sum(target, -1, keepdims=True) > 0.5
    return tf.transpose(tf.where(known, point, log_q))[None]


def expected_kl(units, log_mass):
    """[B, D]: the mean over the draws and enumerated values of KL per unit [L, C, B, D]."""
    return tf.reduce_sum(tf.reduce_mean(units, 0) * tf.exp(log_mass[0])[..., None], 0)
