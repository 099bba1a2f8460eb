"""What a recipe says of single updates: precision, batches put together, and gradients that are too steep."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import random_batch, seed, small

from zoo import pretrained
from zoo.errors import InvalidInput
from zoo.models.updates import FUSED
from zoo.precision import computing
from zoo.training import Recipe, train

DATA = {"name": "digits", "split": "train", "limit": 64}
MODELS = {
    "vae": {"data_shape": [8, 8, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}},
    "autoencoder": {"data_shape": [8, 8, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}},
    "deep_vae": {"data_shape": [8, 8, 1], "num_blocks": [1, 1], "width": 8, "latent_channels": 2},
}


def trained(folder, name, **recipe):
    """(model, its losses) of a short run."""
    recipe = {"epochs": 2, "batch_size": 16, "ema": None, "learning_rate": 0.01, **recipe}
    preset = {"model": name, "config": MODELS[name], "data": DATA, "recipe": recipe}
    model, history = train(folder, preset, verbose=0)
    return model, history.history


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize("name", ["vae", "deep_vae"])
def test_in_bfloat16_networks_compute_and_distributions_do_not(name):
    example = small(name)
    batch = random_batch(example, 64)
    with computing("bfloat16"):
        half = small(name)
    assert keras.config.dtype_policy().name == "float32"
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    traces = [model(batch, num_samples=20, seed=seed(1)) for model in (example, half)]
    for terms in (traces[1].log_likelihood, traces[1].log_prior, traces[1].log_posterior, traces[1].kl_per_unit):
        assert all(term.dtype == tf.float32 for term in terms.values())
    elbo, rounded = (tf.reduce_mean(trace.elbo) for trace in traces)
    assert 0 < abs(float(elbo - rounded)) < abs(float(elbo)) * 2**-8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vae", "deep_vae"])
def test_a_run_in_bfloat16_learns_as_much_and_is_loaded_in_float32(name, tmp_path):
    model, history = trained(tmp_path / "half", name, precision="bfloat16")
    _, whole = trained(tmp_path / "whole", name)
    assert model.encoder.compute_dtype == "bfloat16"
    assert pretrained.load(tmp_path / "half").encoder.compute_dtype == "float32"
    assert history["loss"][-1] < history["loss"][0]
    assert history["loss"][-1] == pytest.approx(whole["loss"][-1], rel=0.02)


# ---------------------------------------------------------------- one kernel a variable

ADAMS = {
    "plain": ("Adam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}),
    "a schedule": ("Adam", {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 6)}),
    "clipped": ("Adam", {"global_clipnorm": 0.1}),
    "decaying weights": ("AdamW", {"weight_decay": 0.1}),
    "batches put together": ("AdamW", {"gradient_accumulation_steps": 2}),
    "amsgrad": ("Adam", {"amsgrad": True}),
}


def compiled_apply(optimizer, variables, xla):
    return tf.function(lambda gradients: optimizer.apply(gradients, variables), jit_compile=xla)


@pytest.mark.parametrize("compiled", [False, True], ids=["", "XLA"])
@pytest.mark.parametrize("case", ADAMS)
def test_the_kernel_takes_the_steps_of_keras_adam(case, compiled):
    name, settings = ADAMS[case]
    kinds = getattr(keras.optimizers, name), FUSED[name.lower()]
    optimizers = [kind(**{"learning_rate": 0.1, **settings}) for kind in kinds]
    sides = [[keras.Variable(np.ones((5, 3), "float32")), keras.Variable(2.0)] for _ in optimizers]
    for optimizer, variables in zip(optimizers, sides, strict=True):
        optimizer.build(variables)
    updates = [compiled_apply(*side, compiled) for side in zip(optimizers, sides, strict=True)]
    for number in range(6):
        dice = np.random.RandomState(number)
        gradients = [tf.constant(dice.randn(5, 3), tf.float32), tf.constant(dice.randn(), tf.float32)]
        for update in updates:
            update(gradients)
    for ours, theirs in zip(optimizers[1].variables + sides[1], optimizers[0].variables + sides[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # Keras rounds 1 - beta_2 otherwise
    assert np.abs(sides[1][0].numpy() - 1).max() > 0.1


def test_the_kernel_takes_the_gradient_of_looked_up_rows_as_their_sum():
    sides = [keras.Variable(np.ones((4, 2), "float32")) for _ in range(2)]
    for variable, change in zip(sides, (tf.convert_to_tensor, tf.identity), strict=True):
        optimizer = FUSED["adam"](0.1)
        optimizer.build([variable])
        for rows in ([0, 2], [2, 2]):
            looked_up = tf.IndexedSlices(tf.ones((2, 2)), tf.constant(rows), tf.constant([4, 2]))
            optimizer.apply([change(looked_up)], [variable])
    np.testing.assert_array_equal(*sides)
    assert sides[1][1, 0] == 1 > sides[1][0, 0]


OWN = keras.optimizers.Adam()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", keras.optimizers.LossScaleOptimizer(FUSED["adam"]()), OWN])
def test_a_compiled_model_moves_by_the_kernel_and_a_callers_optimizer_as_it_was_made(optimizer):
    model = small("vae")
    model.compile(optimizer)
    assert OWN.update_step.__func__ is keras.optimizers.Adam.update_step
    graph = tf.function(model.train_step, autograph=False).get_concrete_function(random_batch(model, 8)).graph
    inside = [node.op for function in graph.as_graph_def().library.function for node in function.node_def]
    times, rest = divmod(inside.count("ResourceApplyAdam"), len(model.trainable_weights))
    assert not rest and bool(times) == (optimizer is not OWN)


def test_a_file_of_kerass_adam_and_one_of_ours_are_read_alike(tmp_path):
    model, other = small("vae"), small("vae")
    for one, optimizer in ((model, keras.optimizers.Adam(1e-2)), (other, FUSED["adam"](1e-2))):
        one.compile(optimizer)
        one.fit(random_batch(one, 8), epochs=2, verbose=0)
        one.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert type(again.optimizer) is type(optimizer) and int(again.optimizer.iterations) == 2
        for ours, theirs in zip(again.optimizer.variables, one.optimizer.variables, strict=True):
            np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------- batches put together


def test_the_gradients_of_two_batches_put_together_are_those_of_one_twice_as_large(tmp_path):
    accumulated = {"name": "sgd", "gradient_accumulation_steps": 2}
    model, _ = trained(tmp_path / "two", "autoencoder", batch_size=16, optimizer=accumulated, clipnorm=0.1, epochs=1)
    other, _ = trained(tmp_path / "one", "autoencoder", batch_size=32, optimizer="sgd", clipnorm=0.1, epochs=1)
    start = trained(tmp_path / "none", "autoencoder", batch_size=32, optimizer="sgd", learning_rate=1e-30, epochs=1)[0]
    for first, second, before in zip(*(m.trainable_weights for m in (model, other, start)), strict=True):
        assert np.any(first.numpy() != before.numpy())
        np.testing.assert_allclose(first, second, atol=1e-6)


# ---------------------------------------------------------------- steep gradients


def test_an_update_whose_gradient_is_too_steep_is_left_out_and_counted():
    model = small("vae", likelihood="normal")
    batch = random_batch(model, 8)
    model.compile("adam")
    _, _, [(_, gradients, _)] = model.gradients(
        batch, tf.unstack(tf.random.split(model.step_seed(), 2, alg="philox"))[1]
    )
    norm = float(tf.linalg.global_norm(gradients))
    before = [weight.numpy() for weight in model.trainable_weights]
    for limit, skipped in ((0.99 * norm, 1.0), (1.01 * norm, 0.0)):
        model.steps.assign(0)
        model.compile("adam", skip_norm=limit)
        assert model.train_on_batch(batch["x"], return_dict=True)["skipped"] == skipped
        same = [np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True)]
        assert all(same) if skipped else not any(same)


def test_a_recipe_skips_steep_updates_and_stops_where_nothing_else_is_left(tmp_path):
    with pytest.raises(FloatingPointError, match=r"whose norm is above skip_norm=0.001, and were skipped"):
        trained(tmp_path / "none", "vae", skip_norm=1e-3)
    assert trained(tmp_path / "all", "vae", skip_norm=1e9)[1]["skipped"] == [0.0, 0.0]


def test_a_model_that_keras_reloads_still_skips(tmp_path):
    model = small("vae")
    model.compile("adam", skip_norm=5.0)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").skip_norm == 5.0


def test_a_scaled_loss_and_a_norm_of_gradients_as_they_are_exclude_each_other():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    with pytest.raises(InvalidInput, match="without a scale of the loss"):
        small("vae").compile(scaled, skip_norm=1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"skip_norm": -1.0}, "skip_norm must be positive"), ({"precision": "float16"}, "did you mean bfloat16")],
)
def test_what_a_recipe_cannot_say_of_updates_is_one_line(settings, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        Recipe(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("norm", [0, -1.0])
def test_a_norm_that_would_skip_everything_is_refused(norm):
    with pytest.raises(InvalidInput, match="skip_norm must be positive"):
        small("vae").compile("adam", skip_norm=norm)
