"""M2: a VAE with the class label as a second latent, learnt from labelled and unlabelled examples.

    p(y) = uniform over num_classes      p(z) = prior
    p(x | z, y) = likelihood(decoder(f(W z + V y)))      f: activation; W z is computed once for all labels
    q(y | x) = softmax(classifier(x))
    q(z | x, y) = posterior(f(W encoder(x) + V y))

An observed label is a point mass; an unknown one is summed out (`labels="enumerated"`). Where that costs too much,
training can sum over the likeliest labels and draw one of the rest (`"top"`, without bias), or draw a relaxed one-hot
vector (`"sampled"`): their cost does not grow with the classes.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298; there the networks see z and y side by side, which is the
same first layer. "top": Liu et al. 2019, arXiv:1810.04777. "sampled": Jang, Gu & Poole 2017, arXiv:1611.01144;
Maddison, Mnih & Teh 2017, arXiv:1611.00712.
"""

import math

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive, choose
from zoo.models.inputs import checked
from zoo.models.labels import LabelledGenerator
from zoo.models.one_latent import closed_form_kl
from zoo.models.vae import VAE
from zoo.networks.labelled import LabelledDense
from zoo.objectives.trace import Pass, Trace
from zoo.probability import tfp
from zoo.randomness import seeded
from zoo.registry import ENCODERS, register
from zoo.replicas import drawn, seed_for

DIRECT = {"name": "mlp", "hidden_units": []}
SETTINGS = {"top": ("count", 2), "sampled": ("temperature", 0.5)}


@register("m2", "the label as a second latent, known in few examples", "Kingma et al. 2014")
@keras.saving.register_keras_serializable("zoo")
class M2(LabelledGenerator, VAE):
    """The semi-supervised VAE of {"x", "y"}, y int [B] and -1 where unknown.

    `log_prob(x, y=y)` is log p(x, y), so log p(x | y) is that plus log num_classes; where y is -1 it is log p(x).

    The defaults are the paper's sizes. Of a hundred labels more is learnt with a layer in `encoder`, the "pooled_conv"
    classifier and a larger alpha: see the preset m2_mnist_100.

    Args:
        hidden_units: width of the layer of each network that sees the label.
        activation: of that layer and of the classifier.
        classifier: as `encoder`, the network of q(y | x); None takes one layer of `hidden_units`.
        encoder: what precedes that layer in q(z | x, y); by default nothing.
        decoder: what follows that layer in p(x | z, y), without its first layer; None mirrors `encoder`.
        labels: "enumerated"; {"name": "top", "count": 2}, the number of labels that are summed, enumerated outside of
            training; or {"name": "sampled", "temperature": 0.5}, drawn as hard labels outside of training.
        **kwargs: `num_classes`, `alpha`, `labelled_fraction`: see `Labelled`; the rest as `VAE`.
    """

    def __init__(
        self, hidden_units=500, activation="softplus", classifier=None, labels="enumerated", encoder=DIRECT, **kwargs
    ):
        super().__init__(encoder=encoder, **kwargs)
        check_positive(hidden_units=hidden_units)
        self.treatment, setting = treatment_of(labels, self.num_classes)
        self.top, self.temperature = setting if self.treatment == "top" else None, None
        if self.treatment == "sampled":
            start = keras.initializers.Constant(setting)
            self.temperature = self.add_weight(name="temperature", shape=(), initializer=start, trainable=False)
        if classifier is None:
            classifier = {"name": "mlp", "hidden_units": [hidden_units], "activation": activation}
        with seeded(self.seed + 1):
            self.classifier = ENCODERS.create(classifier, data_shape=self.data_shape)
            self.flatten = keras.layers.Flatten()
            self.classifier_output = keras.layers.Dense(self.num_classes, name="label_logits")
            self.encoder_label = LabelledDense(hidden_units, activation, "encoder_label")
            self.decoder_label = LabelledDense(hidden_units, activation, "decoder_label")

    @classmethod
    def examples(cls):
        classifier = {"name": "mlp", "hidden_units": [8]}
        small = {**super().examples()["mlp"], "hidden_units": 8, "classifier": classifier}
        return {"mlp": small, "sampled": {**small, "labels": "sampled"}}

    @property
    def scalars(self):
        moved = {} if self.temperature is None else {"temperature": self.temperature}
        return {**super().scalars, **moved}

    def load_own_variables(self, store):
        """The temperature stays as given where a file was written before it was a variable."""
        if self.temperature is not None and len(store.keys()) == 2:
            store = {"0": store["0"], "1": store["1"], "2": self.temperature.numpy()}
        super().load_own_variables(store)

    # p and q

    def seen(self, x):
        """What the inference networks see of x."""
        return x

    def label_logits(self, x):
        logits = self.classifier_output(self.flatten(self.classifier(self.seen(x))))
        return tf.cast(logits, tf.float32)

    @checked
    def posterior(self, x, y=None):
        """q(z | x, y), y int [B] or probabilities; where it is unknown, at the probabilities q(y | x)."""
        features = self.flatten(self.encoder(self.seen(x)))
        return self.posterior_head(self.encoder_label(features, self.probabilities(x, y)))

    @checked
    def likelihood(self, z, y=None):
        """p(x | z, y) of z [..., D], y int [B] or probabilities [..., C]; where unknown, equal parts of each label."""
        y = tf.zeros([1, self.num_classes]) if y is None else y
        code = self.decoder_label(z, self.filled(y, 1 / self.num_classes))
        return self.decoded(code)

    # The contract

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        x, target = self.image(inputs), self.targets(inputs)
        seeds = tf.unstack(tf.random.split(seed, 2, alg="philox"))
        log_q = tf.nn.log_softmax(self.label_logits(x))
        y, log_mass, log_posterior_y = self.values(log_q, target, num_samples, seeds[0], training)
        draws = num_samples if self.temperature is None else 1
        z, log_posterior, kl, posterior = self.infer(x[None], y, draws, seeds[1])
        latents = {"z": z} if y is None else {"z": z, self.label: y}
        likelihood, log_likelihood, log_prior = self.explain(latents, inputs)
        trace = Trace(
            latents=latents,
            log_likelihood=log_likelihood,
            log_prior=log_prior,
            log_posterior={"z": log_posterior, self.label: log_posterior_y + tf.zeros_like(log_posterior)},
            log_mass=log_mass,
            kl_per_unit={name: expected_kl(units, log_mass) for name, units in kl.items()},
            row_weight=self.row_weight(inputs),
        )
        q = {"z": posterior, self.label: tfp.distributions.OneHotCategorical(logits=log_q)}
        return Pass(inputs, trace, seed, q, {"z": self.prior()}, likelihood)

    @property
    def every_label(self):
        """[1, C, 1, C]: the values of an enumerated label, one-hot."""
        return tf.eye(self.num_classes)[None, :, None]

    def values(self, log_q, target, draws, seed, training):
        """(values y [1 or S, fewer than C, B, num_classes] of the label or None for all, their log_mass, log q).

        The last is what the values were drawn by, for `log_posterior`: log q(y | x) where labels are sampled; of the
        values of "top" the log probability of being among them.
        """
        if self.temperature is not None:
            y = self.draw_label(log_q, target, draws, seed, training)
            unknown = 1 - tf.reduce_sum(target, -1)
            return y, tf.zeros_like(log_q[None, None, :, 0]), tf.reduce_sum(y * log_q, -1) * unknown
        log_mass = point_or_mass(target, log_q)
        if self.top is None or not training:
            return None, log_mass, tf.zeros_like(log_mass)
        return top_values(log_mass[0], self.top, seed)

    def draw_label(self, log_q, target, draws, seed, training):
        """[S, 1, B, C]: the label where it is known, else one drawn from q(y | x), in training relaxed."""
        scores = tf.ensure_shape(log_q + gumbel([draws, 1, *tf.unstack(tf.shape(log_q))], seed), [draws, 1, None, None])
        drawn = tf.one_hot(tf.argmax(scores, -1), self.num_classes)
        return self.filled(target, tf.nn.softmax(scores / self.temperature) if training else drawn)

    def infer(self, x, y, draws, seed):
        """`draws` of z for each x [L, B, *data_shape] and label y (None: each), broadcast to [L, C, B, num_classes].

        Returns:
            z [draws L, C, B, D], log q(z | x, y) [draws L, C, B], {"z": KL [L, C, B, D]} where it has a closed form,
            and q(z | x, y) with the batch [L C B].
        """
        count, batch = tf.unstack(tf.shape(x)[:2])
        features = self.flatten(self.encoder(self.seen(tf.reshape(x, [-1, *self.data_shape]))))
        y = self.every_label if y is None else y
        joint = self.encoder_label(tf.reshape(features, [count, 1, batch, features.shape[-1]]), y)
        lead = tf.shape(joint)[:3]
        posterior = self.posterior_head(tf.reshape(joint, [-1, joint.shape[-1]]))
        z, log_q = posterior.experimental_sample_and_log_prob(draws, seed=seed_for(posterior, seed))
        shape = tf.concat([[-1], lead[1:]], 0)
        kl = closed_form_kl(posterior, self.prior())
        units = {name: tf.reshape(v, tf.concat([lead, [self.latent_dim]], 0)) for name, v in kl.items()}
        return tf.reshape(z, tf.concat([shape, [self.latent_dim]], 0)), tf.reshape(log_q, shape), units, posterior

    def explain(self, latents, inputs):
        """({data field: p(field | latents)}, and their and the latents' log densities); labels not given are all."""
        likelihood = self.likelihoods({self.label: self.every_label, **latents}, {})
        log_prior = self.prior().log_prob(latents["z"])
        uniform = tf.fill(tf.shape(log_prior), -math.log(self.num_classes))
        return likelihood, self.score(likelihood, inputs), {"z": log_prior, self.label: uniform}

    def log_joint(self, latents, inputs):
        return self.explain(latents, inputs)[1:]


def treatment_of(labels, num_classes):
    """(name, its setting) of the argument `labels`."""
    arguments = {"name": labels} if isinstance(labels, str) else dict(labels)
    name = arguments.pop("name", None)
    setting, default = choose("treatment of labels", name, {"enumerated": (None, None), **SETTINGS})
    value = arguments.pop(setting, default)
    if arguments:
        takes = f"the argument {setting}" if setting else "no argument"
        raise InvalidInput(f"{name} labels take {takes}, got {next(iter(arguments))!r}")
    if name == "sampled" and not value > 0:
        raise InvalidInput(f"temperature must be positive, got {value!r}")
    if name == "top":
        check_positive(count=value)
        if value > num_classes - 2:
            raise InvalidInput(f"the {value} likeliest labels and one more are no fewer than {num_classes}: enumerate")
    return name, value


def gumbel(shape, seed):
    """Standard Gumbel noise [..., B, C]: the argmax of log q + noise is a draw from q."""
    uniform = drawn(lambda shape: tf.random.stateless_uniform(shape, seed, minval=1e-20), shape)
    return -tf.math.log(-tf.math.log(uniform))


def top_values(log_mass, count, seed):
    """The `count` likeliest values and one of the others, drawn by its mass, so that a sum over all has no bias.

    Args:
        log_mass: [C, B].

    Returns:
        one-hot values [1, count + 1, B, C]; their log_mass [1, count + 1, B], that of the drawn one divided by the
        probability of being drawn; the logs of these probabilities [1, count + 1, B], 0 for the likeliest.
    """
    log_mass = tf.transpose(log_mass)
    size, classes = tf.shape(log_mass)[0], log_mass.shape[1]
    scores = tf.stop_gradient(tf.maximum(log_mass, -1e6))
    likeliest = tf.one_hot(tf.math.top_k(scores, count).indices, classes)
    rest = tf.nn.log_softmax(scores - 1e9 * tf.reduce_sum(likeliest, 1))
    drawn = tf.one_hot(tf.argmax(rest + gumbel([size, classes], seed), -1), classes)
    y = tf.transpose(tf.concat([likeliest, drawn[:, None]], 1), [1, 0, 2])
    log_drawn = tf.concat([tf.zeros([count, size]), tf.reduce_sum(drawn * rest, -1)[None]], 0)
    mass = tf.reduce_sum(tf.math.multiply_no_nan(log_mass, y), -1) - log_drawn
    return y[None], mass[None], log_drawn[None]


def point_or_mass(target, log_q):
    """[1, C, B]: log q(y | x) of log_q [B, C]; 0 on an observed label of target [B, C] and -inf on the others."""
    point = tf.where(target > 0.5, 0.0, -math.inf)
    known = tf.reduce_sum(target, -1, keepdims=True) > 0.5
    return tf.transpose(tf.where(known, point, log_q))[None]


def expected_kl(units, log_mass):
    """[B, D]: the mean over the draws and enumerated values of KL per unit [L, C, B, D]."""
    return tf.reduce_sum(tf.reduce_mean(units, 0) * tf.exp(log_mass[0])[..., None], 0)
