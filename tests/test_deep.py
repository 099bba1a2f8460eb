"""The deep hierarchy: one level is the VAE, levels of any size and number, what is computed again, bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import random_batch, seed, shaken, small, step_gradients

import zoo
from zoo import pictures
from zoo.errors import InvalidInput
from zoo.models.deep_vae import UNIT
from zoo.networks.residual import convolved_doubled, doubled
from zoo.training import run as training

tfd = tfp.distributions


class Encoder(keras.layers.Layer):
    """x -> location and raw scale of a deep_vae's one level, side by side; `deep` is put in from outside."""

    def call(self, x):
        deep = self.deep[0]
        state = deep.start([tf.shape(x)[0]])
        parameters = deep.posterior_head.layers[0](tf.concat([state, deep.encoder(x)[0]], -1))
        loc, raw = parameters[..., : deep.latent_channels], parameters[..., deep.latent_channels :] + UNIT
        return tf.concat([keras.ops.reshape(part, (-1, 32)) for part in (loc, raw)], -1)


class Decoder(keras.layers.Layer):
    """z -> what the likelihood of a deep_vae of one level takes."""

    def call(self, z):
        deep = self.deep[0]
        state = deep.descend(0, deep.start([tf.shape(z)[0]]), tf.reshape(z, [-1, 4, 4, 2]))
        return deep.decoder.output(state)


@pytest.mark.parametrize("filters", [1, 3])
@pytest.mark.parametrize("sizes", [[(8, 6)], [(7, 5)], [(8, 6), (15, 11)], [(7, 6), (13, 12)]])
def test_a_convolution_of_doubled_maps_is_made_before_they_are_doubled(sizes, filters):
    random = np.random.RandomState(0)
    convolution, x = keras.layers.Conv2D(filters, 3, padding="same"), tf.constant(random.normal(size=(2, 4, 3, 8)))
    convolution.build((None, None, None, 8))
    convolution.set_weights([random.normal(size=w.shape) for w in convolution.weights])
    x, found = tf.cast(x, tf.float32), []
    for function in (lambda x: convolved_doubled(convolution, x, sizes), lambda x: convolution(largest(x, sizes))):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
            cost = tf.reduce_sum(y**2)
        found.append((y, *tape.gradient(cost, [x, convolution.kernel.value, convolution.bias.value])))
    for ours, plain in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5 * np.max(np.abs(plain)))


def largest(x, sizes):
    for size in sizes:
        x = doubled(x, size)
    return x


def test_one_level_with_a_plain_prior_is_the_vae():
    for cls in (Encoder, Decoder):
        keras.saving.register_keras_serializable("test_deep")(cls)
    deep = shaken(small("deep_vae", num_blocks=(1,)), 0.05)
    for weight in deep.decoder.priors[0].weights:
        weight.assign(tf.zeros_like(weight))
    encoder, decoder = Encoder(), Decoder()
    encoder.deep = decoder.deep = (deep,)
    vae = zoo.create("vae", data_shape=(4, 4, 1), latent_dim=32, encoder=encoder, decoder=decoder)
    vae.posterior_head.dense.set_weights([np.eye(64), np.zeros(64)])
    x = random_batch(vae)["x"]
    trace = deep(x, num_samples=3, seed=seed(1))
    z = tf.reshape(trace.latents["z1"], [3, 1, 5, 32])
    ours, theirs = deep.log_joint(trace.latents, {"x": x}), vae.log_joint({"z": z}, {"x": x})
    np.testing.assert_allclose(ours[0]["x"], theirs[0]["x"], rtol=1e-5)
    np.testing.assert_allclose(ours[1]["z1"], theirs[1]["z"], rtol=1e-5)
    np.testing.assert_allclose(trace.log_posterior["z1"][:, 0], vae.posterior(x).log_prob(z[:, 0]), rtol=1e-4)
    np.testing.assert_allclose(trace.kl["z1"], vae(x, num_samples=1).kl["z"], rtol=1e-4)
    np.testing.assert_allclose(tf.reshape(deep.encode(x), [5, 32]), vae.encode(x), atol=1e-5)
    np.testing.assert_allclose(deep.reconstruct(x), vae.reconstruct(x), atol=1e-5)


def test_the_kl_of_each_latent_is_that_of_its_draws():
    model, draws = shaken(small("deep_vae", num_blocks=(2, 1)), 0.05), 20000
    trace = model(random_batch(model, 2), num_samples=draws, seed=seed(1))
    for name, units in trace.kl_per_unit.items():
        drawn = (trace.log_posterior[name] - trace.log_prior[name])[:, 0]
        error = tf.math.reduce_std(drawn, 0) / np.sqrt(draws)
        assert np.all(abs(tf.reduce_mean(drawn, 0) - tf.reduce_sum(units, -1)) < 4.5 * error)
        assert np.all(units >= 0)


def start(num_blocks):
    """(root mean square of the last state, KL, norm of the gradient) of an untrained model."""
    model = zoo.create("deep_vae", data_shape=(8, 8, 1), num_blocks=num_blocks, width=16, latent_channels=2, seed=0)
    batch = random_batch(model, 4)
    model.compile("adam")
    trace = model(batch, num_samples=1, seed=seed(1))
    state = model.top_down(model.given_pick(trace.latents), [1, 1, 4])
    _, gradients = step_gradients(model, batch, seed(1))
    return [
        float(v)
        for v in (tf.norm(state) / 64, tf.reduce_mean(sum(trace.kl.values())), tf.linalg.global_norm(gradients))
    ]


@pytest.mark.slow
def test_an_untrained_model_is_as_steady_with_48_levels_as_with_3():
    shallow, deep = start((1, 1, 1)), start((24, 16, 8))
    for few, many in zip(shallow, deep, strict=True):
        assert many < 3 * few


@pytest.mark.slow
def test_what_is_computed_again_gives_the_same_gradients_in_a_graph():
    found = []
    for again in (False, True):
        model = small("deep_vae", num_blocks=(2, 1), rematerialize=again)
        model.compile("adam")
        found.append(tf.function(step_gradients)(model, random_batch(model), seed(1)))
    np.testing.assert_allclose(found[0][0]["model"], found[1][0]["model"], rtol=1e-6)
    for plain, again in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(plain, again, rtol=1e-4, atol=1e-6)


SIZES = {(28, 28, 1): (1, 0, 1), (27, 20, 3): (0, 1, 1), (64, 48, 3): (0, 0, 1), (256, 256, 3): (0, 0, 0, 1, 0, 1)}


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_images_of_any_size_are_scored_reconstructed_and_drawn(shape):
    model = small("deep_vae", data_shape=shape, num_blocks=SIZES[shape], likelihood="normal")
    x = random_batch(model, 2)["x"]
    assert np.all(np.isfinite(model(x, seed=seed(1)).elbo))
    assert model.reconstruct(x).shape == model.sample(2, seed=1).shape == (2, *shape)


def test_latents_are_maps_at_their_resolution_from_the_image_up():
    model = small("deep_vae", data_shape=(7, 5, 1), num_blocks=(1, 2, 0, 1))
    shapes = {name: spec.shape for name, spec in model.latent_spec.items()}
    assert shapes == {"z1": (7, 5, 2), "z2": (4, 3, 2), "z3": (4, 3, 2), "z4": (1, 1, 2)}


def test_pixels_are_doubled_and_what_is_too_much_is_cut_off():
    x = np.arange(2 * 2 * 3 * 4, dtype="float32").reshape(2, 2, 3, 4)
    np.testing.assert_array_equal(doubled(tf.constant(x), (3, 5)), x.repeat(2, 1).repeat(2, 2)[:, :3, :5])


def test_levels_keep_the_top_of_the_posterior_and_draw_the_rest():
    model = shaken(small("deep_vae", num_blocks=(2, 1)), 0.2)
    x = random_batch(model, 2)["x"]
    np.testing.assert_allclose(model.reconstruct(x, levels=3), model.reconstruct(x), atol=1e-6)
    np.testing.assert_array_equal(model.reconstruct(x, levels=0, seed=1), model.reconstruct(x[::-1], levels=0, seed=1))
    np.testing.assert_allclose(model.decode(model.encode(x)), model.reconstruct(x), atol=1e-6)
    assert model.decode({"z3": model.encode(x)["z3"]}).shape == x.shape


BAD = [
    ({"num_blocks": ()}, "num_blocks is a list of whole numbers, the last of them not 0"),
    ({"num_blocks": (2, 0)}, "the last of them not 0"),
    ({"num_blocks": (2, -1)}, "whole numbers"),
    ({"num_blocks": "32x2"}, "whole numbers"),
    ({"num_blocks": (1, 1, 1, 1)}, "3 stages halve \\(4, 4\\) below one pixel"),
    ({"data_shape": (256, 256, 3), "num_blocks": (2, 2)}, "images \\(256, 256, 3\\) are larger .* 2 more numbers"),
    ({"data_shape": (16,)}, "images \\[height, width, channels\\]"),
    ({"width": 0}, "width must be positive"),
    ({"width": 6}, "width must be a multiple of 4"),
    ({"data_shape": (0, 4, 1)}, "data_shape must be positive"),
    ({"likelihood": "normal_mixture"}, "a deep_vae needs a likelihood of pixels"),
    ({"blocks": (1,)}, "did you mean num_blocks"),
]


@pytest.mark.parametrize(("config", "message"), BAD, ids=[m for _, m in BAD])
def test_what_a_deep_vae_cannot_be_is_one_line(config, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        small("deep_vae", **config)
    assert "\n" not in str(caught.value)


def test_images_of_another_size_and_verbs_that_it_has_not_are_one_line():
    model = small("deep_vae")
    x = random_batch(model)["x"]
    for call, message in (
        (lambda: model.reconstruct(tf.zeros([2, 8, 8, 1])), r"\(8, 8, 1\)|\[2, 8, 8, 1\]"),
        (lambda: model.likelihood(tf.zeros([2, 3])), "use decode"),
        (lambda: model.prior(), "use draw"),
        (lambda: model.posterior(x), "use encode"),
    ):
        with pytest.raises(InvalidInput, match=message):
            call()


@pytest.mark.slow
def test_a_trained_one_has_pictures_of_its_levels(tmp_path):
    preset = {
        "model": "deep_vae",
        "config": {"data_shape": [8, 8, 1], "num_blocks": [1, 1], "width": 8, "latent_channels": 2},
        "data": {"name": "digits", "split": "train", "limit": 64},
        "recipe": {"epochs": 1, "batch_size": 32},
    }
    training.train(tmp_path / "run", preset, verbose=0)
    for kind in ("levels", "latents", "kl"):
        pictures.draw(tmp_path / "run", kind, tmp_path / f"{kind}.png")
        assert (tmp_path / f"{kind}.png").stat().st_size > 1000
