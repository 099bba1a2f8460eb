"""Networks, likelihoods, layers of one's own, wrong input and binarisation: what conformance does not ask."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import assert_same, numbers, random_batch, seed, small

import zoo
from zoo.errors import InvalidInput
from zoo.priors import Prior
from zoo.randomness import noise_of_image

# ---------------------------------------------------------------- networks and likelihoods


@pytest.mark.parametrize("shape", [(28, 20, 1), (32, 32, 3), (64, 64, 3), (8, 8, 1), (27, 15, 1), (40, 3, 2)])
def test_convolutional_models_take_images_of_any_size(shape):
    model = small("vae", data_shape=shape, encoder={"name": "conv", "hidden_units": [8]}, likelihood="normal")
    x = random_batch(model, 2)["x"]
    assert np.all(np.isfinite(model(x, seed=seed(1)).elbo))
    assert model.reconstruct(x).shape == model.sample(2, seed=1).shape == (2, *shape)


LIKELIHOODS = ["bernoulli", "normal", "discretized_logistic", "categorical"]
LIKELIHOODS += [{"name": "normal", "scale": "learned"}, {"name": "normal", "scale": "per_pixel"}]


@pytest.mark.parametrize("encoder", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=str)
def test_likelihoods_and_networks_combine_on_images_of_several_channels(likelihood, encoder):
    sizes = {"hidden_units": [8], **({"filters": [4]} if encoder == "conv" else {})}
    model = small("vae", data_shape=(6, 5, 3), encoder={"name": encoder, **sizes}, likelihood=likelihood)
    x = random_batch(model, 2)["x"]
    trace = model(x, num_samples=3, seed=seed(1))
    assert trace.log_likelihood["x"].shape == (3, 1, 2)
    assert np.all(np.isfinite(trace.log_likelihood["x"]))
    # A channel's parameters are its own: changing the third channel of x leaves the terms of the others alone.
    z = trace.latents["z"][0, 0]
    terms = [model.likelihood(z).distribution.log_prob(value).numpy() for value in (x, x * [1, 1, 0])]
    np.testing.assert_array_equal(terms[0][..., :2], terms[1][..., :2])
    assert np.any(terms[0][..., 2] != terms[1][..., 2])
    assert model.likelihood(z).mean().shape == model.likelihood(z).sample(seed=seed(2)).shape == (2, 6, 5, 3)


NETWORKS = [
    {"name": "mlp", "hidden_units": [6, 4], "gated": True},
    {"name": "mlp", "hidden_units": [6, 4], "batch_norm": True},
    {"name": "conv", "filters": [4, 6], "gated": True},
    {"name": "conv", "filters": [4], "batch_norm": True, "num_blocks": 1, "hidden_units": []},
]


@pytest.mark.parametrize("encoder", NETWORKS, ids=str)
def test_every_option_of_a_network_trains_every_weight(encoder):
    model = small("vae", data_shape=(6, 5, 1), encoder=encoder, posterior="full_covariance")
    model.compile("sgd")
    ((_, gradients, variables),) = model.gradients(random_batch(model), seed(1))[2]
    idle = [v.path for v, g in zip(variables, gradients, strict=True) if g is None or not np.any(g)]
    assert not idle, f"no gradient reaches {idle}"


def test_batch_normalisation_learns_its_statistics_in_training_alone():
    model = small("vae", encoder=NETWORKS[1])
    moving = [w for w in model.weights if "moving" in w.path]
    before = [w.numpy() for w in moving]
    x = random_batch(model)
    model(x, seed=seed(1)), model.reconstruct(x["x"]), model.sample(3)
    assert all(np.array_equal(b, w.numpy()) for b, w in zip(before, moving, strict=True))
    model.compile("adam")
    model.fit(x["x"], verbose=0)
    assert moving
    assert not any(np.array_equal(b, w.numpy()) for b, w in zip(before, moving, strict=True))


def test_adapt_makes_the_untrained_mean_that_of_the_data():
    for likelihood in ("bernoulli", "normal", "discretized_logistic"):
        model = small("vae", likelihood=likelihood)
        data = random_batch(model, 50)["x"]
        model.adapt(tf.data.Dataset.from_tensor_slices(data).batch(16))
        for weight in model.decoder.output_layer.trainable_weights[:1]:
            weight.assign(tf.zeros_like(weight))
        np.testing.assert_allclose(model.decode(tf.zeros([1, 3]))[0], tf.reduce_mean(data, 0), atol=0.01)


# ---------------------------------------------------------------- a user's own layers


@keras.saving.register_keras_serializable("tests")
class Halved(keras.layers.Layer):
    """A layer of one's own, with its own config."""

    def __init__(self, shape, units, **kwargs):
        super().__init__(**kwargs)
        self.shape, self.units = tuple(shape), units
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(units)
        self.unflatten = keras.layers.Reshape(self.shape)

    def build(self, shape):
        self.dense.build(self.flatten.compute_output_shape(shape))

    def call(self, x):
        return 0.5 * self.unflatten(self.dense(self.flatten(x)))

    def get_config(self):
        return {**super().get_config(), "shape": self.shape, "units": self.units}


class Unregistered(Halved):
    """As `Halved`, but unknown to Keras."""


def own_layers():
    yield "registered class", Halved((2, 4), 8), Halved((4, 4, 1), 16)
    features = keras.Input((4, 4, 1))
    hidden = keras.layers.Dense(5, activation="elu", kernel_regularizer="l2")(keras.layers.Flatten()(features))
    sequential = keras.Sequential([keras.Input((3,)), keras.layers.Dense(16), keras.layers.Reshape((4, 4, 1))])
    yield "Keras' own", keras.Model(features, keras.layers.Dense(5)(hidden)), sequential


@pytest.mark.parametrize(("encoder", "decoder"), [pytest.param(*layers, id=name) for name, *layers in own_layers()])
def test_own_layers_are_encoder_and_decoder_and_survive_the_config(encoder, decoder, tmp_path):
    model = small("vae", encoder=encoder, decoder=decoder)
    model.compile("adam")
    x = random_batch(model)["x"]
    model.fit(x, verbose=0)
    zoo.save(model, tmp_path / "own")
    assert_same(numbers(zoo.load(tmp_path / "own")(x, seed=seed(1))), numbers(model(x, seed=seed(1))))
    model.save(tmp_path / "own.keras")
    reloaded = keras.models.load_model(tmp_path / "own.keras")
    assert_same(numbers(reloaded(x, seed=seed(1))), numbers(model(x, seed=seed(1))))


@keras.saving.register_keras_serializable("tests")
class Wide(Prior):
    """N(0, 4 I), a prior of one's own that says no more than its distribution."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def distribution(self):
        return tfp.distributions.Independent(tfp.distributions.Normal(tf.zeros([self.size]), 2.0), 1)


def test_a_prior_of_ones_own_says_its_distribution_and_is_drawn_from_row_by_row(tmp_path):
    model = small("vae", prior=Wide(3))
    draws = model.simulate(4000, seed=1)[0]["z"].numpy()
    np.testing.assert_allclose(draws.std(0), 2.0, atol=0.1)
    x = random_batch(model)["x"]
    np.testing.assert_allclose(model.interpolate(x, x[::-1], steps=2)[0], model.reconstruct(x), atol=1e-6)
    zoo.save(model, tmp_path / "own")
    assert_same(numbers(zoo.load(tmp_path / "own")(x, seed=seed(1))), numbers(model(x, seed=seed(1))))


def lambdas():
    one = keras.layers.Lambda(lambda x: x)
    return [one, keras.Sequential([keras.layers.Flatten(), one]), keras.Sequential([keras.Sequential([one])])]


@pytest.mark.parametrize("layer", lambdas(), ids=["alone", "nested", "nested twice"])
def test_lambda_layers_are_refused_from_code_and_from_a_config(layer):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    for given in (layer, config):
        with pytest.raises(InvalidInput, match="Lambda"):
            small("vae", encoder=given, decoder="mlp")


def test_layers_that_are_not_registered_are_refused_with_advice():
    inside = keras.Sequential([Unregistered((2, 4), 8)])
    for layer in (Unregistered((2, 4), 8), inside):
        for given in (layer, keras.saving.serialize_keras_object(layer)):
            with pytest.raises(InvalidInput, match="'Unregistered' .*register_keras_serializable"):
                small("vae", encoder=given, decoder="mlp")


# ---------------------------------------------------------------- bad input


BAD_CONFIGS = [
    ({"name": "vea"}, "unknown model 'vea'; did you mean .*vae"),
    ({"latent_dimm": 3}, "takes no argument 'latent_dimm'; did you mean latent_dim"),
    ({"latent_dim": 0}, "latent_dim must be positive"),
    ({"latent_dim": -2}, "latent_dim must be positive"),
    ({"latent_dim": 2.5}, "latent_dim must be positive"),
    ({"data_shape": (28, 0, 1)}, "data_shape must be positive"),
    ({"data_shape": (8, 8), "encoder": "conv"}, "take and give images"),
    ({"encoder": "conv", "likelihood": "normal_mixture"}, "'mlp' any shape"),
    ({"encoder": {"name": "conv", "filters": [4] * 5}}, "use fewer filters"),
    ({"encoder": {"name": "conv", "filters": [4, 0]}}, "filters must be positive"),
    ({"encoder": "mpl"}, "unknown encoder 'mpl'; did you mean mlp"),
    ({"encoder": {"name": "mlp", "hiden_units": [3]}}, "did you mean hidden_units"),
    ({"encoder": {"name": "mlp", "hidden_units": [8, -1]}}, "hidden_units must be positive"),
    ({"encoder": {"name": "mlp", "gated": True, "batch_norm": True}}, "exclude each other"),
    ({"encoder": {"hidden_units": [3]}}, "unknown encoder None"),
    ({"encoder": keras.layers.Flatten()}, "give the decoder too"),
    ({"decoder": keras.layers.Dense(3)}, r"the decoder gives \(3,\)"),
    ({"decoder": 3}, "a decoder is a name, a dict with one, or a Keras layer, got 3"),
    ({"posterior": "diagnal"}, "did you mean diagonal"),
    ({"prior": "normal"}, "did you mean standard_normal"),
    ({"prior": keras.layers.Dense(3)}, "a prior of your own is a zoo.priors.Prior, got a Dense"),
    ({"name": "m1_m2", "m1": "vae_mnist"}, "no argument 'm1' any more: take over a model"),
    ({"likelihood": "bernouli"}, "did you mean bernoulli"),
    ({"likelihood": {"name": "normal", "scale": -1.0}}, "scale is a positive number"),
    ({"bound": "ivae"}, "did you mean iwae"),
    ({"bound": {"name": "free_bits", "nat": 1.0}}, "did you mean nats"),
    ({"bound": {"name": "free_bits", "num_groups": 0}}, "num_groups must be positive"),
    ({"num_samples": 0}, "num_samples must be positive"),
    ({"beta": -1.0}, "beta must not be negative"),
    ({"binarize": "dynamc"}, "binarize is one of"),
    ({"seed": -1}, "seed must be"),
    ({"seed": 2**31}, "seed must be"),
]


@pytest.mark.parametrize(("config", "message"), BAD_CONFIGS, ids=[m for _, m in BAD_CONFIGS])
def test_a_wrong_argument_is_one_line_that_says_what_is_right(config, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        small(**{"name": "vae", **config})
    assert "\n" not in str(caught.value)


GREY = np.full((2, 4, 4, 1), 0.5, "float32")
BAD_CALLS = [
    (lambda m: m.encode(GREY[0]), "add a batch axis"),
    (lambda m: m.encode(GREY[..., 0]), "add a channel axis"),
    (lambda m: m.encode(np.zeros((2, 5, 5, 1), "float32")), "data_shape=\\(5, 5, 1\\)"),
    (lambda m: m.reconstruct(GREY * 300), "divide by 255|takes 0..1"),
    (lambda m: m.reconstruct(-GREY), "down to -0.5"),
    (lambda m: m.reconstruct(GREY * np.nan), "NaN"),
    (lambda m: m.log_prob(np.full((2, 4, 4, 1), "a")), "text or objects"),
    (lambda m: m.log_prob(np.ones((2, 4, 4, 1), "int32")), "int32"),
    (lambda m: m.log_prob(GREY, num_samples=0), "num_samples must be positive"),
    (lambda m: m.decode(np.zeros((2, 4), "float32")), "z has shape"),
    (lambda m: m.sample(0), "n must be positive"),
    (lambda m: m.interpolate(GREY, GREY, steps=0), "steps must be positive"),
    (lambda m: m.encode(GREY, y=np.array([0, 3])), "labels up to 3"),
    (lambda m: m.encode(GREY, y=np.array([0, -1])), "labels down to -1"),
    (lambda m: m.encode(GREY, y=np.array([0.0, 1.0])), "whole numbers"),
    (lambda m: m.encode(GREY, y=np.array([1])), "one length"),
    (lambda m: m.sample(3, y=np.array([0, 1, 3])), "labels up to 3"),
    (lambda m: m.sample(3, y=np.array([0, 1])), "3 images need 3 labels"),
    (lambda m: m.encode(GREY), "needs labels y"),
    (lambda m: m.fit(GREY, verbose=0), "needs labels y"),
]


@pytest.mark.parametrize(("call", "message"), BAD_CALLS, ids=[m for _, m in BAD_CALLS])
def test_a_verb_refuses_what_does_not_fit_in_one_line(call, message):
    labelled = any(word in message for word in ("label", "whole", "length", "needs labels y"))
    model = small("conditional_vae" if labelled else "vae")
    model.compile("adam")
    with pytest.raises(InvalidInput, match=message) as caught:
        call(model)
    assert "\n" not in str(caught.value)


def test_a_loss_in_compile_is_refused():
    model = small("vae")
    model.compile("adam", loss="mse")
    with pytest.raises(InvalidInput, match="bound"):
        model.fit(GREY, verbose=0)


def test_an_autoencoder_says_that_it_has_no_distribution_of_x():
    model = small("autoencoder")
    for call in (lambda: model.sample(3), lambda: model.log_prob(GREY)):
        with pytest.raises(InvalidInput, match="use vae"):
            call()
    assert not {"sample", "score"} & model.endpoints.keys()


# ---------------------------------------------------------------- binarisation


def test_dynamic_binarisation_has_the_grey_value_as_its_mean_and_changes_with_the_step():
    model = small("vae", binarize="dynamic")
    grey = tf.constant(np.linspace(0, 1, 16, dtype="float32").reshape(1, 4, 4, 1))
    draws = model.preprocess(tf.repeat(grey, 4000, 0), seed(1), training=True)["x"].numpy()
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt(grey * (1 - grey) / 4000)
    assert np.all(abs(draws.mean(0) - grey[0]) <= 5 * error[0])
    first = model.step_seed()
    model.steps.assign_add(1)
    assert np.any(first != model.step_seed())
    other = model.preprocess(tf.repeat(grey, 4000, 0), seed(2), training=True)["x"].numpy()
    assert 0.2 < np.mean(draws != other) < 0.5


@pytest.mark.parametrize(("binarize", "training"), [("fixed", True), ("fixed", False), ("dynamic", False)])
def test_held_out_binarisation_depends_on_the_image_alone(binarize, training):
    """Not on its place, its batch, the seed, uint8 or float, or on how TensorFlow runs it."""
    model = small("vae", data_shape=(12, 12, 1), binarize=binarize)
    levels = np.random.RandomState(0).randint(0, 256, (300, 12, 12, 1)).astype("uint8")

    def binarized(images, number=1, **settings):
        step = tf.function(lambda b: model.preprocess(b, seed(number), training)["x"], **settings)
        return (step if settings else step.python_function)(tf.constant(images)).numpy()

    once = binarized(levels)
    np.testing.assert_array_equal(binarized(levels, number=2), once)
    np.testing.assert_array_equal(binarized(levels[::-1])[::-1], once)
    np.testing.assert_array_equal(binarized(levels[7:8]), once[7:8])
    np.testing.assert_array_equal(binarized((levels / 255).astype("float32")), once)
    np.testing.assert_array_equal(binarized(levels, jit_compile=False), once)
    np.testing.assert_array_equal(binarized(levels, jit_compile=True), once)
    assert abs(np.mean(once) - np.mean(levels / 255)) < 5 * 0.5 / np.sqrt(levels.size)
    assert abs(np.mean(once[:, 3, 3] * once[:, 8, 8]) - 0.25) < 5 * 0.45 / np.sqrt(300)  # pixels are independent


def test_the_noise_of_images_is_uniform_and_differs_between_similar_images():
    steps = np.zeros((256, 12, 12, 1), "float32")
    steps[:, 5, 5, 0] = np.arange(256) / 255  # images that differ in one pixel
    noise = noise_of_image(tf.constant(steps)).numpy().reshape(256, 144)
    assert noise.min() >= 0
    assert noise.max() < 1
    counts = np.histogram(noise, 20, (0, 1))[0]
    expected = noise.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 50  # chi squared of 19 degrees: below 1e-4
    correlation = np.corrcoef(noise) - np.eye(256)
    assert abs(correlation).max() < 6 / np.sqrt(144)
    correlation = np.corrcoef(noise.T) - np.eye(144)
    assert abs(correlation).max() < 6 / np.sqrt(256)
