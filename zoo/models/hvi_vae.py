"""The VAE with Hamiltonian variational inference: leapfrog steps towards the posterior inside the bound.

    p(z) = prior,   p(x | z) = likelihood(decoder(z))
    z0 ~ posterior(encoder(x));   v0 ~ q(v | z0, x);   (zT, vT) = leapfrog steps of H = -log p(x, z) + |v|^2 / 2
    log w = log p(x, zT) + log r(vT | zT, x) - log q(z0 | x) - log q(v0 | z0, x)

Leapfrog steps keep the volume, so that exp(log w) has the mean p(x), whatever the reverse model r is. Salimans, Kingma
& Welling 2015, arXiv:1410.6460; tempered as Caterini, Doucet & Sejdinovic 2018, arXiv:1805.11328.
"""

import math

import keras
import tensorflow as tf

from zoo.distributions import Cycle, HamiltonianPosterior, independent_normal
from zoo.errors import InvalidInput, check_positive
from zoo.models.inputs import checked
from zoo.models.vae import VAE
from zoo.networks.conditioners import UNIT
from zoo.networks.momentum import MomentumNetwork
from zoo.numerics import elu, leaky_relu, relu, soft_scale
from zoo.randomness import seeded
from zoo.registry import register

ACTIVATIONS = keras.activations.relu, keras.activations.leaky_relu, keras.activations.elu
SPELT = dict(zip(ACTIVATIONS, (relu, leaky_relu, elu), strict=True))


@register("hvi_vae", "Hamiltonian dynamics inside the bound", "Salimans et al. 2015; Caterini et al. 2018")
@keras.saving.register_keras_serializable("zoo")
class HamiltonianVAE(VAE):
    """A VAE whose posterior is the end of a Hamiltonian trajectory from where another posterior puts z.

    A trajectory that diverges is left out, so that z stays where it was: `fit` and `zoo.evaluate` give their share as
    `diverged`. The bound is one as long as that is rare, for a map that is the identity in places is no longer one to
    one.

    Args:
        leapfrog_steps: of each trajectory; 0 is a VAE.
        cycles: how often a momentum is drawn and a trajectory follows.
        step_size: of each dimension at the start; trained.
        max_step_size: that no step size reaches.
        tempering: None, or the inverse temperature in (0, 1) at which a trajectory starts; trained.
        momentum_units: hidden units of the networks of q(v | z, x) and r(v | z, x); None has N(0, I) for both, as
            Caterini et al.
        inference: False has z0 from N(0, I), whose means and scales are trained but the same for all x.
        **kwargs: as `VAE`; `posterior` is that of z0.
    """

    capabilities = (VAE.capabilities - {"path"}) | {"trajectories"}

    def __init__(
        self,
        leapfrog_steps=4,
        cycles=1,
        step_size=0.05,
        max_step_size=0.5,
        tempering=None,
        momentum_units=300,
        inference=True,
        **kwargs,
    ):
        check_dynamics(leapfrog_steps, step_size, max_step_size, tempering)
        check_positive(cycles=cycles, **({} if momentum_units is None else {"momentum_units": momentum_units}))
        if not isinstance(inference, bool):
            raise InvalidInput(f"inference is true or false, got {inference!r}")
        if not inference and "posterior" in kwargs:
            raise InvalidInput("without inference z0 is the same for all x: leave out posterior")
        super().__init__(**kwargs)
        if not self.own_decoder:
            for layer in self.decoder._flatten_layers():
                if getattr(layer, "activation", None) in SPELT:
                    layer.activation = SPELT[layer.activation]
        self.leapfrog_steps, self.max_step_size, self.tempering = leapfrog_steps, max_step_size, tempering
        if not inference:
            del self.posterior_head  # so that Keras forgets its weights
            self.posterior_head = FreeGaussian(self.latent_dim)
        self.momentum, self.reverse, self.raw_step_sizes, self.raw_temperings = [], [], [], []
        for index in range(cycles if leapfrog_steps else 0):
            for networks, name in ((self.momentum, "momentum"), (self.reverse, "reverse")) if momentum_units else ():
                with seeded(self.seed + 5 + index):  # r starts as q
                    networks.append(MomentumNetwork(self.latent_dim, momentum_units, name=f"{name}_{index}"))
            start = logit(step_size / max_step_size)
            self.raw_step_sizes.append(self.raw([self.latent_dim], start, f"raw_step_size_{index}"))
            if tempering is not None:
                self.raw_temperings.append(self.raw([], logit(tempering), f"raw_tempering_{index}"))
        self.print_terms("diverged")

    def raw(self, shape, start, name):
        """A trained variable that starts at one number."""
        start = keras.initializers.Constant(start)
        return self.add_weight(shape=shape, initializer=start, autocast=False, name=name)

    @classmethod
    def examples(cls):
        mlp, *_, conv = super().examples().values()
        few = {"leapfrog_steps": 2, "momentum_units": 6}
        tempered = {"cycles": 2, "tempering": 0.5, "masked": True, "posterior": "full_covariance"}
        return {
            "mlp": {**mlp, **few},
            "tempered, masked": {**mlp, **few, **tempered},
            "no inference": {**mlp, **few, "inference": False},
            "conv": {**conv, **few},
        }

    @property
    def cpu_endpoints(self):
        return ("reconstruct", "encode") if self.leapfrog_steps else ()  # gradients are in them

    @property
    def inference_layers(self):
        return []  # the trajectories follow the generative model

    @property
    def parts(self):
        """As every VAE's; the networks of the momentum are layers by the names momentum_0, reverse_0, ..."""
        return {**super().parts, **{layer.name: layer for layer in (*self.momentum, *self.reverse)}}

    @checked
    def posterior(self, x):
        """q of trajectories' ends, a `HamiltonianPosterior`, of x [B, *data_shape]."""
        return self.posteriors({"x": x})["z"]

    def posteriors(self, inputs):
        features = self.encoder(self.image(inputs))
        initial = self.posterior_head(features)
        cycles = [self.cycle(index, features) for index in range(len(self.raw_step_sizes))]

        def slope(z):
            with tf.GradientTape() as tape:
                tape.watch(z)
                likelihood, prior = self.log_joint({"z": tf.expand_dims(z, 1)}, inputs)
                total = sum(likelihood.values()) + prior["z"]
            return tape.gradient(total, z)

        return {"z": HamiltonianPosterior(initial, cycles, slope, self.leapfrog_steps)}

    def cycle(self, index, features):
        """The `Cycle` of features [B, ...]."""
        step_size = self.max_step_size * tf.sigmoid(tf.convert_to_tensor(self.raw_step_sizes[index]))
        cooling = 1.0
        if self.tempering is not None:
            cooling = tf.sqrt(tf.sigmoid(tf.convert_to_tensor(self.raw_temperings[index])))
        if not self.momentum:
            return Cycle(*[lambda z: independent_normal(tf.zeros_like(z), 1.0)] * 2, step_size, cooling)
        momentum, reverse = self.momentum[index], self.reverse[index]
        return Cycle(lambda z: momentum(z, features), lambda z: reverse(z, features), step_size, cooling)

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        posterior = self.posteriors(inputs)["z"]
        draws = posterior.draw(num_samples, seed)
        passed = self.passed(inputs, posterior, draws.z, draws.log_prob, seed)
        return passed._replace(paid={"diverged": tf.reduce_mean(draws.diverged, 0)})


class FreeGaussian(keras.layers.Layer):
    """Features [N, ...] -> N(loc, diag(scale^2)) over z [D], the same for each, N(0, I) at the start."""

    rows_apart = True

    def __init__(self, latent_dim):
        super().__init__(name="posterior")
        start = keras.initializers.Constant(UNIT)
        self.loc = self.add_weight(shape=[latent_dim], initializer="zeros", autocast=False, name="loc")
        self.raw_scale = self.add_weight(shape=[latent_dim], initializer=start, autocast=False, name="raw_scale")

    def call(self, features):
        rows = tf.zeros([tf.shape(features)[0], 1])
        loc, raw_scale = (rows + tf.convert_to_tensor(weight) for weight in (self.loc, self.raw_scale))
        return independent_normal(loc, soft_scale(raw_scale, 1e-4))


def check_dynamics(leapfrog_steps, step_size, max_step_size, tempering):
    """Raise `InvalidInput` for numbers that make no trajectory."""
    if not isinstance(leapfrog_steps, int) or isinstance(leapfrog_steps, bool) or leapfrog_steps < 0:
        raise InvalidInput(f"leapfrog_steps is a whole number from 0, got {leapfrog_steps!r}")
    numbers = [value for value in (step_size, max_step_size, tempering) if value is not None]
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in numbers):
        raise InvalidInput(f"step sizes and tempering are numbers, got {step_size!r}, {max_step_size!r}, {tempering!r}")
    if not 0 < step_size < max_step_size < math.inf:
        raise InvalidInput(f"step_size lies between 0 and max_step_size ({max_step_size!r}), got {step_size!r}")
    if tempering is not None and not 0 < tempering < 1:
        raise InvalidInput(f"tempering is None or an inverse temperature between 0 and 1, got {tempering!r}")


def logit(share):
    return math.log(share / (1 - share))
