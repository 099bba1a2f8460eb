"""M1+M2: a VAE of the images whose prior is another, semi-supervised VAE of its latent.

    p(y) = uniform over num_classes      p(z) = N(0, I)
    p(z1 | z, y) = N(m2's decoder)       dropped units of z1 keep N(0, 1)
    p(x | z1) = likelihood(decoder(z1))
    q(z1 | x) = posterior(encoder(x))
    q(y | x) = m2's q(y | z1)            at the draw of z1 where there is one draw, else at its location
    q(z | x, y) = m2's q(z | z1, y)

By default as the paper trains it: the VAE (M1) is trained first and kept as it is, its z1 drawn anew in each step, and
the units whose location hardly varies over the data are dropped. `joint` trains all of it together.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import InvalidInput
from zoo.likelihoods.normal import Normal
from zoo.models.labels import LabelledGenerator
from zoo.models.m2 import M2, centred, expected_kl
from zoo.models.vae import VAE
from zoo.objectives.trace import Trace
from zoo.randomness import as_seed, seeded
from zoo.registry import LIKELIHOODS, register

VARIES = 0.1  # standard deviation of a unit's location over the data, above which it is kept


@LIKELIHOODS.register("kept_normal")
@keras.saving.register_keras_serializable("zoo")
class KeptNormal(Normal):
    """Independent normal units with learned scales, of which those with `kept` = 0 are N(0, 1) whatever is decoded."""

    def __init__(self, data_shape):
        super().__init__(data_shape, scale="per_pixel")
        self.kept = self.add_weight(shape=self.data_shape, initializer="ones", trainable=False, name="kept")

    def distribution(self, loc, raw_scale=None):
        normal = super().distribution(loc, raw_scale)
        kept = tf.convert_to_tensor(self.kept)
        return tfp.distributions.Normal(kept * normal.loc, kept * normal.scale + (1 - kept))


@keras.saving.register_keras_serializable("zoo")
class LatentM2(M2):
    """An M2 of the kept units of a latent."""

    def seen(self, x):
        return x * tf.convert_to_tensor(self.likelihood_head.kept)


@register("m1_m2")
@keras.saving.register_keras_serializable("zoo")
class M1M2(LabelledGenerator, VAE):
    """M2 on top of M1. Its code is (z, y); `z1` lies between the code and the image.

    Args:
        m2: arguments of the M2 of z1, such as {"latent_dim": 50, "hidden_units": 500}.
        m1: a pretrained name or a folder: the `vae` or `m1` whose networks `adapt` takes over. Give the same
            data_shape, latent_dim, encoder, decoder, posterior and likelihood as it has.
        joint: train the image's networks too, instead of keeping those of `m1`.
        **kwargs: `num_classes`, `alpha`, `labelled_fraction`: see `Labelled`; the rest as `VAE`, for z1.
    """

    latent_names = ("z", "z1")

    def __init__(self, m2=None, m1=None, joint=False, **kwargs):
        super().__init__(**kwargs)
        self.m1, self.joint = m1, joint
        inner = {"latent_dim": 50, "seed": self.seed, **(m2 or {})}
        with seeded(self.seed + 2):
            self.m2 = LatentM2(
                data_shape=(self.latent_dim,), num_classes=self.num_classes, likelihood="kept_normal", **inner
            )
        if self.m2.treatment == "sampled":
            raise InvalidInput("the labels of an m1_m2 are enumerated or top, not sampled")
        self.noise_units = self.latent_dim
        for layer in self.of_m1:
            layer.trainable = joint

    @property
    def of_m1(self):
        """The layers that M1 has too."""
        return (self.encoder, self.decoder, self.posterior_head, self.likelihood_head)

    @property
    def metrics(self):
        return [*self.term_metrics.values(), *self.unit_metrics.values(), self.skipped]  # and not the m2's

    def adapt(self, dataset):
        """Take over the networks of `m1`, and drop the units of z1 whose location hardly varies over `dataset`.

        Raises:
            InvalidInput: an `m1` of other sizes, or one that uses no unit.
        """
        if self.m1 is not None:
            from zoo import pretrained

            self.take(pretrained.load(self.m1))
        elif self.joint:
            super().adapt(dataset)
        if self.joint:
            return
        batches = [VAE.posterior(self, self.fields(batch)["x"]).mean().numpy() for batch in dataset]
        kept = np.concatenate(batches).std(0) > VARIES
        if not kept.any():
            raise InvalidInput("no unit of z1 varies over the data: train an m1 first and name it, m1='...'")
        self.m2.likelihood_head.kept.assign(kept.astype("float32"))

    def take(self, model):
        """Copy the networks of another VAE of the same sizes."""
        for name in ("encoder", "decoder", "posterior_head", "likelihood_head"):
            ours, theirs = getattr(self, name), getattr(model, name, None)
            if [w.shape for w in ours.weights] != [w.shape for w in getattr(theirs, "weights", [None])]:
                raise InvalidInput(f"the {name} of {self.m1} has other sizes: give m1_m2 the arguments of its card")
            ours.set_weights(theirs.get_weights())

    # p and q

    def label_logits(self, x):
        return self.m2.label_logits(VAE.posterior(self, x).mean())

    def posterior(self, x, y=None):
        """q(z | z1, y) at the location of z1; where y is unknown, at the probabilities q(y | x)."""
        return self.m2.posterior(VAE.posterior(self, x).mean(), y)

    def prior(self):
        """p(z), over m2's units."""
        return self.m2.prior()

    def likelihood(self, z, y=None):
        """p(x | z1) at the location of p(z1 | z, y)."""
        return VAE.likelihood(self, self.m2.likelihood(z, y).mean())

    def generate(self, z, y, noise):
        normal = self.m2.likelihood(z, y).distribution
        return VAE.likelihood(self, normal.mean() + normal.stddev() * noise)

    # The contract

    def call(self, inputs, num_samples=None, training=None, seed=None):
        inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
        draws, target = num_samples or self.num_samples, self.targets(inputs)
        seeds = tf.unstack(tf.random.split(as_seed(seed), 3, alg="philox"))
        first = VAE.posterior(self, inputs["x"])
        z1, log_posterior1 = first.experimental_sample_and_log_prob(draws, seed=seeds[0])
        log_q = tf.nn.log_softmax(self.m2.label_logits(z1[0] if draws == 1 else first.mean()))
        y, log_mass, log_posterior_y = self.m2.values(log_q, target, draws, seeds[2], training)
        z, log_posterior, kl = self.m2.draw(z1, y, 1, seeds[1])
        label = {} if y is None else {"y": y}
        log_likelihood, log_prior = self.log_joint({"z": z, "z1": z1[:, None], **label}, inputs)
        zeros = tf.zeros_like(log_posterior)
        row_weight, penalty = self.weigh(inputs, log_q)
        trace = Trace(
            latents={"z": z, "z1": z1[:, None] + zeros[..., None], **label},
            log_likelihood=log_likelihood + zeros,
            log_prior=log_prior,
            log_posterior={"z": log_posterior, "z1": log_posterior1[:, None] + zeros, "y": log_posterior_y + zeros},
            log_mass=log_mass,
            penalty=penalty,
            kl_per_unit={name: expected_kl(units, log_mass) for name, units in kl.items()},
            row_weight=row_weight,
        )
        return centred(trace) if y is not None else trace

    def log_joint(self, latents, inputs):
        log_likelihood = VAE.likelihood(self, latents["z1"]).log_prob(inputs["x"])
        of_m2 = {name: value for name, value in latents.items() if name != "z1"}
        log_prior1, log_prior = self.m2.log_joint(of_m2, {"x": latents["z1"]})
        return log_likelihood, {"z": log_prior["z"], "z1": log_prior1, "y": log_prior["y"]}

    def locations(self, inputs):
        z1 = VAE.posterior(self, inputs["x"]).mean()
        return {"z": self.m2.posterior(z1, inputs.get("y")).mean(), "z1": z1}

    @property
    def values_per_pixel(self):
        # Per draw and image, m2's layers for every label are wider than the image.
        width = self.num_classes * self.m2.decoder_label.features.units
        return max(super().values_per_pixel, width // self.data_spec["x"].shape[0] + 1)

    @property
    def latent_spec(self):
        return self.m2.latent_spec
