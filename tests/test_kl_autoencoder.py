"""The KL autoencoder: its map is the vector of a VAE, its adversary finds a known ratio and sharpens; bad input."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import random_batch, seed, shaken, small

import zoo
from zoo.errors import InvalidInput
from zoo.objectives.trace import Pass, Trace
from zoo.registry import PENALTIES

tfd = tfp.distributions
PICTURES = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], "float32").reshape(2, 2, 2, 1)


def passed(x, made, mass=None):
    """A pass of pictures [B, ...] whose reconstructions are `made` [C, B, ...], of mass [C, B]."""
    log_mass = tf.zeros([1, 1, len(x)]) if mass is None else tf.math.log(mass)[None]
    trace = Trace({}, {}, {}, {}, log_mass, {})
    return Pass({"x": tf.constant(x)}, trace, seed(1), {}, {}, {"x": tfd.Deterministic(tf.constant(made)[None])})


def test_a_map_is_the_vector_of_a_vae():
    model = shaken(small("kl_autoencoder", data_shape=(7, 5, 1), filters=(4, 4), penalties=(), likelihood="bernoulli"))
    assert model.latent_spec["z"].shape == (2, 2, 2)
    x, whole = random_batch(model)["x"], tfd.MultivariateNormalDiag(tf.zeros(8), tf.ones(8))
    trace = model(x, num_samples=3, seed=seed(1))
    z, q = trace.latents["z"], model.posterior(x)
    flat = tfd.MultivariateNormalDiag(tf.reshape(q.mean(), [5, 8]), tf.reshape(q.stddev(), [5, 8]))
    np.testing.assert_allclose(trace.log_prior["z"], whole.log_prob(tf.reshape(z, [3, 1, 5, 8])), rtol=1e-5)
    np.testing.assert_allclose(trace.log_posterior["z"][:, 0], flat.log_prob(tf.reshape(z[:, 0], [3, 5, 8])), rtol=1e-4)
    np.testing.assert_allclose(trace.kl["z"], tfd.kl_divergence(flat, whole), rtol=1e-4)
    assert trace.kl_per_unit["z"].shape == (5, 2)


def test_the_discriminator_finds_the_ratio_of_two_densities():
    """At best d(x) = log p(x) / r(x)."""
    penalty = PENALTIES.create({"name": "patch_gan", "filters": [16], "learning_rate": 1e-2})
    real, made = np.repeat(PICTURES, [80, 20], 0), np.repeat(PICTURES, [30, 70], 0)
    p, model = passed(real, made[None]), small("kl_autoencoder", data_shape=(2, 2, 1))
    penalty(p, model)
    penalty.compile(mixed=False)
    (player,) = penalty.players(model)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = player.cost(p)
        player.optimizer.apply(tape.gradient(value, player.variables), player.variables)

    for _ in range(600):
        step()
    found = penalty.logits(tf.constant(PICTURES))[:, 0, 0]
    np.testing.assert_allclose(found, np.log([0.8 / 0.3, 0.2 / 0.7]), atol=0.05)
    divergence = 0.3 * math.log(0.3 / 0.8) + 0.7 * math.log(0.7 / 0.2)
    assert np.mean(penalty(p, model)) == pytest.approx(4 * divergence, abs=0.2)  # 4 values of x


def test_of_an_enumerated_latent_the_expected_patches_are_judged():
    penalty, model = PENALTIES.create({"name": "patch_gan", "filters": [4]}), small("kl_autoencoder")
    made = np.random.RandomState(0).uniform(size=(3, 5, 4, 4, 1)).astype("float32")
    mass = np.random.RandomState(1).dirichlet([1.0, 1.0, 1.0], 5).T.astype("float32")
    found = penalty(passed(made[0], made, mass), model)
    each = np.stack([penalty(passed(one, one[None]), model) for one in made])
    np.testing.assert_allclose(found, (mass * each).sum(0), rtol=1e-4)


@pytest.mark.slow
def test_the_adversary_makes_reconstructions_as_contrasted_as_pictures():
    """Of noise that no code can hold, the mean is grey; the adversary knows grey from noise."""
    x = np.random.RandomState(0).randint(0, 2, (256, 8, 8, 1)).astype("float32")
    found = {}
    for weight in (0.0, 3.0):
        adversary = {"name": "patch_gan", "weight": weight, "filters": [16], "learning_rate": 1e-3}
        model = small("kl_autoencoder", data_shape=(8, 8, 1), filters=(8,), latent_channels=1, penalties=[adversary])
        model.compile(keras.optimizers.Adam(1e-3, 0.5))
        model.fit(x, batch_size=64, epochs=60, verbose=0)
        found[weight] = float(tf.reduce_mean(tf.abs(model.reconstruct(x) - 0.5)))
    assert found[3.0] > 1.1 * found[0.0]


BAD = [
    ({"data_shape": (28,)}, "convolutional networks take and give images"),
    ({"data_shape": (3, 3, 1), "filters": (4, 4, 4)}, "use fewer filters"),
    ({"latent_channels": 0}, "latent_channels must be positive"),
    ({"filters": (0,)}, "filters must be positive"),
    ({"masked": True}, "'patch_gan' compares whole pictures: leave out masked"),
    ({"penalties": [{"name": "patch_gan", "filters": [4, 4, 4, 4]}]}, "use fewer filters"),
    ({"latent_dim": 3}, "takes no argument 'latent_dim'"),
]


@pytest.mark.parametrize(("config", "message"), BAD, ids=[message for _, message in BAD])
def test_what_a_kl_autoencoder_cannot_be_is_one_line(config, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        small("kl_autoencoder", **config)
    assert "\n" not in str(caught.value)


def test_the_adversary_judges_pictures_alone():
    with pytest.raises(InvalidInput, match="convolutional networks take and give images"):
        zoo.create("vae", data_shape=(6,), latent_dim=2, penalties=["patch_gan"])
