"""Hamiltonian variational inference: a reversible map that keeps volumes, inside a bound that is one."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import lively, numbers, random_batch, seed, shaken, small
from test_truth import ALL_IMAGES, linear_gaussian

import zoo
from zoo import numerics
from zoo.bijectors import leapfrog
from zoo.errors import InvalidInput
from zoo.objectives import bounds
from zoo.pretrained import page

STILL = -1e9  # a raw step size of which the step size is 0
D = 3


def banana(z):
    """log p of a curved density, up to a constant: [..., 3] -> [...]."""
    return -0.5 * z[..., 0] ** 2 - 2 * (z[..., 1] - z[..., 0] ** 2) ** 2 - tf.exp(0.3 * z[..., 2]) - z[..., 2] ** 2


def slope(z):
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = banana(z)
    return tape.gradient(value, z)


def points(size=6):
    noise = np.random.RandomState(0).normal(size=(2, size, D))
    return tf.constant(0.7 * noise[0], tf.float64), tf.constant(noise[1], tf.float64)


STEPS = tf.constant([0.1, 0.03, 0.2], tf.float64)


def test_the_leapfrog_is_that_of_tfp():
    z, v = points()
    integrator = tfp.mcmc.internal.leapfrog_integrator.SimpleLeapfrogIntegrator(banana, [STEPS], 7)
    (momentum,), (position,), *_ = integrator([v], [z])
    ours = leapfrog(slope, z, v, STEPS, 7)
    np.testing.assert_allclose(ours[0], position, rtol=1e-12)
    np.testing.assert_allclose(ours[1], momentum, rtol=1e-12)
    assert not np.any(ours[2])


def test_the_leapfrog_is_reversible():
    z, v = points()
    end = leapfrog(slope, z, v, STEPS, 7)
    back = leapfrog(slope, end[0], -end[1], STEPS, 7)
    assert np.max(abs(end[0] - z)) > 0.1
    np.testing.assert_allclose(back[0], z, atol=1e-12)
    np.testing.assert_allclose(back[1], -v, atol=1e-12)


@pytest.mark.parametrize("cooling", [1.0, 0.6])
def test_the_leapfrog_keeps_the_volume_and_cooling_shrinks_it_by_its_power(cooling):
    z, v = points()
    with tf.GradientTape() as tape:
        both = tf.concat([z, v], -1)
        tape.watch(both)
        end = tf.concat(leapfrog(slope, both[:, :D], both[:, D:], STEPS, 7, cooling)[:2], -1)
    determinant = np.linalg.det(tape.batch_jacobian(end, both))
    np.testing.assert_allclose(determinant, cooling**D, rtol=1e-12)


def test_energy_is_kept_to_the_square_of_the_step_size():
    z, v = points()

    def error(steps):
        end = leapfrog(slope, z, v, 0.4 / steps, steps)
        return np.max(abs(0.5 * tf.reduce_sum(end[1] ** 2 - v**2, -1) - banana(end[0]) + banana(z)))

    assert error(80) < error(40) / 3.5 < 1e-2


def test_a_trajectory_that_diverges_stays_where_it_was_and_sends_finite_gradients():
    z, v = points()
    z = tf.concat([z[:3], z[3:] * 1e2], 0)
    with tf.GradientTape() as tape:
        tape.watch([z, v])
        end, momentum, diverged = leapfrog(slope, z, v, STEPS, 7, 0.6)
        total = tf.reduce_sum(end) + tf.reduce_sum(momentum)
    assert diverged.numpy().tolist() == [False] * 3 + [True] * 3
    np.testing.assert_array_equal(end[3:], z[3:])
    np.testing.assert_allclose(momentum[3:], 0.6 * v[3:])
    assert all(np.all(np.isfinite(gradient)) for gradient in tape.gradient(total, [z, v]))


# ---------------------------------------------------------------- the model


def still(model):
    """The model with step sizes of 0."""
    for raw in model.raw_step_sizes:
        raw.assign(tf.fill(raw.shape, STILL))
    return model


def moving(model, step_size):
    """The model with step sizes of one value."""
    share = step_size / model.max_step_size
    for raw in model.raw_step_sizes:
        raw.assign(tf.fill(raw.shape, math.log(share / (1 - share))))
    return model


@pytest.mark.parametrize(
    "settings, shared",
    [({}, {}), ({"cycles": 2, "tempering": 0.5}, {}), ({}, {"posterior": "iaf", "prior": "mixture"})],
)
def test_with_step_size_zero_and_the_same_momentum_model_both_ways_it_is_the_vae(settings, shared):
    model, vae = still(small("hvi_vae", **settings, **shared)), small("vae", **shared)
    x = random_batch(model)
    found, expected = (numbers(m(x, num_samples=4, seed=seed(1))) for m in (model, vae))
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-5, err_msg=name)
    np.testing.assert_array_equal(model.encode(x["x"]), vae.encode(x["x"]))


def test_without_steps_it_is_the_vae():
    model, vae = small("hvi_vae", leapfrog_steps=0), small("vae")
    assert [w.shape for w in model.trainable_weights] == [w.shape for w in vae.trainable_weights]
    x = random_batch(model)
    found, expected = (numbers(m(x, num_samples=4, seed=seed(1))) for m in (model, vae))
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert not np.any(model.forward(x, seed(1), training=False).paid["diverged"])


def linear_hvi(steps, **config):
    """(a linear-Gaussian hvi_vae that knows its decoder, p(x)), its z0 from N(0, I)."""
    source, marginal = linear_gaussian()
    networks = {"encoder": keras.layers.Dense(3, kernel_initializer="identity"), "decoder": keras.layers.Dense(3)}
    settings = {"data_shape": (3,), "latent_dim": 2, "likelihood": {"name": "normal", "scale": 0.5}, "seed": 1}
    model = zoo.create(
        "hvi_vae", inference=False, leapfrog_steps=steps, max_step_size=0.15, momentum_units=16, **networks, **settings
    )
    model.decoder.set_weights(source.decoder.get_weights())
    model.decoder.trainable = False
    for network in model.momentum:  # v0 ~ N(0, I), or one step could go anywhere
        network.output_layer.kernel.assign(tf.zeros_like(network.output_layer.kernel))
        network.trainable = False
    return model, marginal


@pytest.mark.slow
def test_the_bound_of_a_linear_gaussian_model_stays_below_the_likelihood_and_tightens_with_the_steps():
    gaps, draws = [], 400
    for steps in (0, 1, 4):
        model, marginal = linear_hvi(steps)
        x = tf.cast(marginal.sample(200, seed=3), tf.float32)
        model.compile(keras.optimizers.Adam(0.02), steps_per_execution=50)
        model.fit(tf.data.Dataset.from_tensors(x).repeat(150), verbose=0)
        x = tf.cast(marginal.sample(50, seed=4), tf.float32)
        weight = model({"x": x}, num_samples=draws, seed=seed(1)).log_weight[:, 0].numpy()
        gaps.append(np.mean(marginal.log_prob(tf.cast(x, tf.float64)).numpy() - weight.mean(0)))
        error = np.mean(weight.std(0)) / math.sqrt(draws * 50)
        assert gaps[-1] > 3 * error
    assert gaps[1] < 0.8 * gaps[0]
    assert gaps[2] < 0.6 * gaps[1]


@pytest.mark.parametrize("settings", [{"leapfrog_steps": 5}, {"cycles": 2, "tempering": 0.4}, {"momentum_units": None}])
def test_the_mean_weight_is_the_likelihood_whatever_the_networks(settings):
    """Of all images of 2 x 2 pixels, whose probabilities sum to one; against a fine grid of z."""
    model, draws = moving(lively("hvi_vae", **settings), 0.3), 20000
    for network in (*model.momentum, *model.reverse):
        shaken(network, 0.1)
    x = {"x": tf.constant(ALL_IMAGES)}
    weight = np.exp(model(x, num_samples=draws, seed=seed(1)).log_weight[:, 0].numpy().astype("float64"))
    error = weight.std(0) / math.sqrt(draws)
    assert abs(weight.mean(0).sum() - 1) < 4 * math.sqrt((error**2).sum()) < 0.1
    grid = np.stack(np.meshgrid(*[np.linspace(-6, 6, 121)] * 2), -1).reshape(-1, 1, 1, 2).astype("float32")
    likelihood, prior = model.log_joint({"z": tf.constant(np.repeat(grid, 16, 2))}, x)
    exact = np.exp((likelihood["x"] + prior["z"]).numpy().astype("float64"))[:, 0].sum(0) * 0.01
    assert abs(exact.sum() - 1) < 1e-4
    assert np.all(abs(weight.mean(0) - exact) < 5 * error)


def test_the_gradient_of_the_bound_is_that_of_finite_differences_in_one_dimension():
    """The mean over the draws, differentiated through the inner gradients and the ends of the trajectories."""
    model = shaken(small("hvi_vae", data_shape=(1,), latent_dim=1, leapfrog_steps=3), 0.3)
    for layer in (model.encoder, model.decoder):
        assert layer.weights
    x = {"x": tf.constant([[0.3], [0.9]])}

    def value():
        return tf.reduce_mean(bounds.elbo(model(x, num_samples=64, seed=seed(1))))

    with tf.GradientTape() as tape:
        total = value()
    gradients = tape.gradient(total, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        at, size = variable.numpy(), 1e-2
        direction = np.sign(gradient).astype("float32")
        sides = []
        for side in (1, -1):
            variable.assign(at + side * size * direction)
            sides.append(float(value()))
        variable.assign(at)
        expected = float(tf.reduce_sum(gradient * direction))
        assert (sides[0] - sides[1]) / (2 * size) == pytest.approx(expected, rel=0.03, abs=2e-3), variable.path


@pytest.mark.slow
def test_diverging_trajectories_are_printed_and_training_stays_finite():
    model = moving(small("hvi_vae", max_step_size=1e6, step_size=1.0, leapfrog_steps=3), 9e5)
    model.compile("sgd")
    logs = model.fit(tf.data.Dataset.from_tensors(random_batch(model, 8)), verbose=0).history
    assert logs["diverged"] == [1.0]
    assert logs["skipped"] == [0.0]
    assert np.isfinite(logs["elbo"][0])
    assert zoo.evaluate(model, random_batch(model, 8), num_samples=2)["diverged"]["value"] == 1.0
    calm = small("hvi_vae")
    calm.compile("sgd")
    assert calm.fit(tf.data.Dataset.from_tensors(random_batch(calm, 8)), verbose=0).history["diverged"] == [0.0]


def test_steps_are_taken_towards_what_was_observed_and_towards_the_target():
    model = moving(small("hvi_vae", masked=True, leapfrog_steps=5), 0.3)
    x = random_batch(model)
    seen = {**x, "mask": tf.ones_like(x["mask"])}
    hidden = {**seen, "mask": tf.zeros_like(x["mask"])}
    apart = [m["z"] - model.posteriors(seen)["z"].location() for m in (model.locations(hidden), model.locations(seen))]
    assert np.max(abs(apart[0])) > 1e-3
    assert np.max(abs(apart[1])) < 1e-6
    other = model.locations({**seen, "target": 1 - seen["x"]})["z"]
    assert np.max(abs(other - model.locations(seen)["z"])) > 1e-3


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"leapfrog_steps": -1}, "leapfrog_steps is a whole number from 0, got -1"),
        ({"leapfrog_steps": 2.5}, "leapfrog_steps"),
        ({"cycles": 0}, "cycles must be positive"),
        ({"step_size": 0.0}, "step_size lies between 0 and max_step_size"),
        ({"step_size": 0.7}, "max_step_size \\(0.5\\), got 0.7"),
        ({"step_size": "big"}, "are numbers, got 'big'"),
        ({"max_step_size": math.nan}, "step_size lies between"),
        ({"tempering": 1.5}, "inverse temperature between 0 and 1, got 1.5"),
        ({"inference": 1}, "inference is true or false"),
        ({"inference": False, "posterior": "iaf"}, "leave out posterior"),
        ({"bound": "dreg"}, "this hvi_vae has none"),
        ({"bound": {"name": "piwae", "num_groups": 1}}, "this hvi_vae has none"),
    ],
)
def test_bad_settings_are_one_clear_line(settings, message):
    with pytest.raises(InvalidInput, match=message):
        small("hvi_vae", **settings).build()


@pytest.mark.parametrize("bound", ["iwae", "miwae", "ciwae", "renyi", "free_bits"])
def test_other_bounds_hold_and_are_ordered(bound):
    model = moving(lively("hvi_vae"), 0.2)
    trace = model(random_batch(model), num_samples=20, seed=seed(1))
    assert np.all(trace.elbo < trace.log_marginal)
    assert np.all(np.isfinite(bounds.get(bound)(trace)))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu"])
def test_activations_are_spelt_for_tflite_and_have_keras_values_and_gradients(name):
    x = tf.constant([-30.0, -1.5, -1e-3, 1e-3, 0.7, 30.0])
    found = []
    for function in (getattr(numerics, name), getattr(keras.activations, name)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        found.append((value, tape.gradient(value, x)))
    np.testing.assert_allclose(found[0], found[1], atol=2e-7)
    layers = small("hvi_vae", encoder={"name": "mlp", "hidden_units": [8], "activation": name}).decoder.layers
    assert layers[0].activation is getattr(numerics, name)


@pytest.mark.slow
def test_an_endpoint_that_tflite_lacks_is_one_clear_line_and_the_others_are_exported(tmp_path):
    model = small("hvi_vae", prior="flow")
    with pytest.raises(InvalidInput, match="lacks .*tf.StridedSliceGrad, which .*encode.* name other endpoints"):
        zoo.export_tflite(model, tmp_path / "all.tflite")
    assert not list(tmp_path.iterdir())
    zoo.export_tflite(model, tmp_path / "decode.tflite", endpoints=["decode"])


@pytest.mark.slow
def test_a_card_says_which_endpoints_are_for_the_cpu():
    from tools.publish import measure_tflite

    model = small("hvi_vae")
    measured = measure_tflite(model)
    for entry in measured.values():
        assert (entry["encode"]["gpu"], entry["reconstruct"]["gpu"]) == ("refused", "refused")
        assert entry["decode"]["gpu"] is None or entry["decode"]["gpu"] < 1e-4
        assert entry["encode"]["cpu"] < 2e-2
    lines = page.tflite_table({"tflite": measured})
    assert sum("| CPU only |" in line for line in lines) == 4
    assert small("hvi_vae", leapfrog_steps=0).cpu_endpoints == ()


def test_trajectories_of_all_rows_are_counted_where_cores_share_a_batch(monkeypatch):
    from zoo.models import sharing

    monkeypatch.setattr(sharing, "num_parts", lambda rows: 2)
    model = small("hvi_vae", data_shape=(4, 4, 1))
    model.compile("adam", jit_compile=False)
    x = np.random.RandomState(0).rand(33, 4, 4, 1).round().astype("float32")
    assert np.isfinite(model.fit(x, batch_size=33, verbose=0).history["loss"]).all()
    p = sharing.side_by_side(model, {"x": tf.constant(x)}, training=False, seed=tf.constant([1, 2]), needs=())
    assert all(value.shape[0] == 33 for value in p.paid.values())
