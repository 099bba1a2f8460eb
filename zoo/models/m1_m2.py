"""M1+M2: a VAE of the images whose prior is another, semi-supervised VAE of its latent.

    p(y) = uniform over num_classes      p(z) = N(0, I)
    p(z1 | z, y) = N(m2's decoder)       dropped units of z1 keep N(0, 1)
    p(x | z1) = likelihood(decoder(z1))
    q(z1 | x) = posterior(encoder(x))
    q(y | x) = m2's q(y | z1)            at the draw of z1 where there is one draw, else at its location
    q(z | x, y) = m2's q(z | z1, y)

By default as the paper trains it: the VAE (M1) is trained first, `take(m1)` takes over its networks, which stay as they
are, z1 is drawn anew in each step, and `adapt` drops the units whose location hardly varies over the data. `joint`
trains all of it together.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298.
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.distributions import location
from zoo.errors import InvalidInput
from zoo.likelihoods.normal import Normal
from zoo.models.inputs import checked
from zoo.models.labels import LabelledGenerator
from zoo.models.m2 import M2, expected_kl
from zoo.models.one_latent import copy_layers
from zoo.models.vae import VAE
from zoo.objectives.trace import Pass, Trace
from zoo.probability import tfp
from zoo.randomness import seeded
from zoo.registry import LIKELIHOODS, register
from zoo.rows import normal_rows, split_rows

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
        return x * tf.cast(self.likelihood_head.kept, x.dtype)


@register("m1_m2", "an M2 of an M1's latent", "Kingma et al. 2014")
@keras.saving.register_keras_serializable("zoo")
class M1M2(LabelledGenerator, VAE):
    """M2 on top of M1. Its code is (z, y); `z1` lies between the code and the image.

    Args:
        m2: arguments of the M2 of z1, such as {"latent_dim": 50, "hidden_units": 500}.
        joint: train the image's networks too, instead of keeping those that were taken over.
        **kwargs: `num_classes`, `alpha`, `labelled_fraction`: see `Labelled`; the rest as `VAE`, for z1. Where an m1 is
            taken over: its data_shape, latent_dim, encoder, decoder, posterior and likelihood.
    """

    latent_names = ("z", "z1")
    retired = {"m1": "take over a model by take(zoo.load(name)), or by a preset's 'from'"}

    def __init__(self, m2=None, joint=False, **kwargs):
        super().__init__(**kwargs)
        self.joint = joint
        inner = {"latent_dim": 50, "seed": self.seed, **(m2 or {})}
        with seeded(self.seed + 2):
            self.m2 = LatentM2(
                data_shape=(self.latent_dim,), num_classes=self.num_classes, likelihood="kept_normal", **inner
            )
        if self.m2.treatment == "sampled":
            raise InvalidInput("the labels of an m1_m2 are enumerated or top, not sampled")
        for layer in self.of_m1:
            layer.trainable = joint

    @classmethod
    def examples(cls):
        inner = {"latent_dim": 2, "hidden_units": 8}
        small = {**super().examples()["mlp"], "m2": inner}
        top = {**small, "num_classes": 4, "joint": True, "m2": {**inner, "labels": {"name": "top", "count": 2}}}
        return {"mlp": small, "joint, top": top}

    def build(self, input_shape=None):
        super().build(input_shape)
        self.m2.built = True  # its layers are, by the pass; Keras would trace it once more on several devices

    @property
    def top(self):
        return self.m2.top

    @property
    def of_m1(self):
        """The layers that M1 has too."""
        return (self.encoder, self.decoder, self.posterior_head, self.likelihood_head)

    @property
    def metrics(self):
        return [metric for metric in super().metrics if metric not in self.m2.metrics]

    def take(self, model):
        """Copy the networks of a VAE or M1 of the same sizes."""
        pair = [[m.encoder, m.decoder, m.posterior_head, m.likelihood_head] for m in (self, model)]
        copy_layers(*pair, model.registry_name)
        self.taken = True

    def adapt(self, dataset):
        """Drop the units of z1 whose location hardly varies over `dataset`; a joint model that took nothing: as `VAE`.

        Raises:
            InvalidInput: where no unit does.
        """
        if self.joint:
            super().adapt(dataset)
            return
        batches = [location(VAE.posterior(self, self.image(fields))).numpy() for fields in self.batches(dataset)]
        kept = np.concatenate(batches).std(0) > VARIES
        if not kept.any():
            raise InvalidInput("no unit of z1 varies over the data: train an m1 first, and take it over by take(m1)")
        self.m2.likelihood_head.kept.assign(kept.astype("float32"))

    # p and q

    def label_logits(self, x):
        return self.m2.label_logits(location(VAE.posterior(self, x)))

    @checked
    def posterior(self, x, y=None):
        """q(z | z1, y) at the location of z1; where y is unknown, at the probabilities q(y | x)."""
        return self.m2.posterior(location(VAE.posterior(self, x)), y)

    def prior(self):
        """p(z), over m2's units."""
        return self.m2.prior()

    @property
    def code_prior(self):
        return self.m2.prior_head

    @checked
    def likelihood(self, z, y=None):
        """p(x | z1) at the location of p(z1 | z, y)."""
        return self.decoded(self.m2.likelihood(z, y).mean())

    # The contract

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        target, seeds = self.targets(inputs), tf.unstack(tf.random.split(seed, 3, alg="philox"))
        first = VAE.posterior(self, self.image(inputs))
        z1, log_posterior1 = first.experimental_sample_and_log_prob(num_samples, seed=seeds[0])
        log_q = tf.nn.log_softmax(self.m2.label_logits(z1[0] if num_samples == 1 else location(first)))
        y, log_mass, log_posterior_y = self.m2.values(log_q, target, num_samples, seeds[2], training)
        z, log_posterior, kl, posterior = self.m2.infer(z1, y, 1, seeds[1])
        label = {} if y is None else {self.label: y}
        latents = {"z": z, "z1": z1[:, None], **label}
        likelihood, of_m2, log_likelihood, log_prior = self.explain(latents, inputs)
        zeros = tf.zeros_like(log_posterior)
        trace = Trace(
            latents={**latents, "z1": z1[:, None] + zeros[..., None]},
            log_likelihood={name: value + zeros for name, value in log_likelihood.items()},
            log_prior=log_prior,
            log_posterior={
                "z": log_posterior,
                "z1": log_posterior1[:, None] + zeros,
                self.label: log_posterior_y + zeros,
            },
            log_mass=log_mass,
            kl_per_unit={name: expected_kl(units, log_mass) for name, units in kl.items()},
            row_weight=self.row_weight(inputs),
        )
        q = {"z": posterior, "z1": first, self.label: tfp.distributions.OneHotCategorical(logits=log_q)}
        return Pass(inputs, trace, seed, q, {"z": self.prior(), "z1": of_m2}, likelihood)

    def explain(self, latents, inputs):
        """({data field: p(field | z1)}, p(z1 | z, y), log densities of the data, log densities of the latents)."""
        rest = {name: value for name, value in latents.items() if name != "z1"}
        of_m2, log_prior1, log_prior = self.m2.explain(rest, {"x": latents["z1"]})
        likelihood = {self.fields_of("data")[0]: self.decoded(latents["z1"])}
        priors = {"z": log_prior["z"], "z1": log_prior1["x"], self.label: log_prior[self.m2.label]}
        return likelihood, of_m2["x"], self.score(likelihood, inputs), priors

    def log_joint(self, latents, inputs):
        return self.explain(latents, inputs)[2:]

    def posteriors(self, inputs):
        first = VAE.posterior(self, self.image(inputs))
        return {"z": self.m2.posterior(location(first), **self.condition_of(inputs)), "z1": first}

    def likelihoods(self, latents, condition):
        if "z1" in latents:
            return {self.fields_of("data")[0]: self.decoded(latents["z1"])}
        return super().likelihoods(latents, condition)

    def draw(self, seeds, condition, temperature=1.0):
        """z [N, D], y int [N] as the m2 draws them, and z1 [N, D1] given them."""
        drawn = super().draw(seeds, condition, temperature)
        normal = self.m2.likelihood(drawn["z"], drawn[self.label]).distribution
        noise = normal_rows(split_rows(seeds, 3)[1], [self.latent_dim])
        return {**drawn, "z1": normal.mean() + temperature * normal.stddev() * noise}

    @property
    def latent_spec(self):
        return self.m2.latent_spec
