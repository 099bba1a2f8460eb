"""Models of sequences: what holds for each of them, whatever its story."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from support import assert_same, numbers, random_batch, seed, shaken, small, tiered

import zoo
from zoo import evaluation
from zoo.creation import model_class
from zoo.errors import InvalidInput
from zoo.models.sequence import SequenceModel
from zoo.networks.recurrent import cell_of, keep, scan

NAMES = [name for name in zoo.list_models() if issubclass(model_class(name)[0], SequenceModel)]
LATENT = [name for name in NAMES if model_class(name)[0].latent_names]
each = pytest.mark.parametrize("name", NAMES)
SIZES = {"data_shape": (None, 2), "state_dim": 3, "hidden_units": (4,), "seed": 1}


def some(*names):
    """A test of these models, and of the others with --all."""
    return pytest.mark.parametrize("name", tiered(NAMES, names.__contains__))


def made(name, **config):
    """A model whose weights are far from their start, and whose posterior is wide enough to be a proposal."""
    latents = {"latent_dim": 2} if name in LATENT else {}
    model = shaken(zoo.create(name, **{**SIZES, **latents, **config}), 0.2)
    if name in LATENT:
        dense = getattr(model.posterior_head, "head", model.posterior_head).dense
        dense.kernel.assign(0.5 * dense.kernel)
        dense.bias.assign([0.0, 0.1, 1.0, 0.9])
    return model


def every(steps, features=2):
    """All binary sequences, [2 ** (steps features), steps, features]."""
    found = list(itertools.product([0.0, 1.0], repeat=steps * features))
    return tf.reshape(tf.constant(found), [-1, steps, features])


# ---------------------------------------------------------------- truth


@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
@each
def test_the_probabilities_of_all_binary_sequences_sum_to_one(name, steps):
    model, x = made(name), every(steps)
    runs = tf.stack(
        [tf.exp(model.log_prob(x, 2000, seed=i, resample=i % 2 == 1)) for i in range(12 if name in LATENT else 1)]
    )
    total = tf.reduce_sum(runs, 1).numpy()
    error = 4 * total.std() / len(total) ** 0.5 + 1e-4
    assert abs(total.mean() - 1) < error < 0.05


def test_they_do_with_a_flow_as_posterior_too():
    flow = {"name": "iaf", "num_layers": 2, "hidden_units": [4]}
    model = shaken(zoo.create("dmm", **SIZES, latent_dim=2, posterior=flow), 0.2)
    model.posterior_head.dense.bias.assign([0.0, 0.1, 1.0, 0.9])
    total = np.array([tf.reduce_sum(tf.exp(model.log_prob(every(2), 2000, seed=i))) for i in range(8)])
    assert abs(total.mean() - 1) < 4 * total.std() / 8**0.5 + 1e-4 < 0.05


@some("vrnn", "srnn")
def test_samples_are_as_frequent_as_the_model_says(name):
    model, x = made(name), every(2, 2)
    drawn = tf.reshape(model.sample(20_000, length=2, seed=1), [20_000, -1])
    code = tf.tensordot(drawn, [8.0, 4.0, 2.0, 1.0], 1)
    found = np.bincount(tf.cast(code, tf.int32), minlength=16) / 20_000
    expected = np.exp(model.log_prob(x, 2000, seed=1))
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(expected.max() / 20_000) + 0.003)


@some("vrnn")
def test_endpoints_draw_the_same_distribution_row_by_row(name):
    model, rows = made(name), 4000
    method, inputs = model.endpoints["sample"]
    assert inputs == ["seed", "length"]
    drawn = method(seed=tf.range(rows, dtype=tf.int64), length=tf.fill([rows], 2))["x"]
    expected = tf.tensordot(tf.exp(model.log_prob(every(2), 2000, seed=1)), every(2), [[0], [0]])
    np.testing.assert_allclose(tf.reduce_mean(drawn, 0), expected, atol=4 * 0.5 / rows**0.5 + 0.003)
    alone = method(seed=tf.constant([3], tf.int64), length=tf.constant([1]))["x"]
    np.testing.assert_array_equal(alone[0, 0], drawn[3, 0])


def test_a_vrnn_of_one_step_is_the_vae():
    """Of the same weights: what meets the empty state is left out, and its prior is made standard normal."""
    recurrent = shaken(small("vrnn", data_shape=(None, 4), encoder={"name": "mlp", "hidden_units": [6]}))
    vae = zoo.create("vae", data_shape=(4,), latent_dim=2, encoder={"name": "mlp", "hidden_units": [6, 5]})
    for w in recurrent.prior_head.head.weights:
        w.assign(tf.zeros_like(w))
    unit = recurrent.prior_head.head.dense.bias
    scale = float(np.log(np.expm1(1 - 1e-4))) + 1e-4  # of a softplus with a least value
    unit.assign([0.0, 0.0, scale, scale])
    ours = [
        *(recurrent.encoder.layers[1], recurrent.posterior_head.hidden.layers[0], recurrent.posterior_head.head.dense),
        *(recurrent.latent_features.layers[0], recurrent.decoder.layers[0], recurrent.decoder.output_layer),
    ]
    dense = keras.layers.Dense
    theirs = [*(layer for layer in vae.encoder.layers if isinstance(layer, dense)), vae.posterior_head.dense]
    theirs += [layer for layer in vae.decoder.layers if isinstance(layer, dense)]
    for mine, other in zip(ours, theirs, strict=True):
        other.kernel.assign(mine.kernel[: other.kernel.shape[0]])
        other.bias.assign(mine.bias)
    x = tf.constant(np.random.RandomState(0).randint(0, 2, (5, 4)), tf.float32)
    trace = recurrent(x[:, None], num_samples=3, seed=1)
    likelihood, prior = vae.log_joint({"z": trace.latents["z"][:, :, :, 0]}, {"x": x})
    np.testing.assert_allclose(trace.log_likelihood["x"], likelihood["x"], rtol=1e-5)
    np.testing.assert_allclose(trace.log_prior["z"], prior["z"], rtol=1e-5, atol=1e-5)
    posterior = vae.posterior(x).log_prob(trace.latents["z"][:, :, :, 0])
    np.testing.assert_allclose(trace.log_posterior["z"], posterior, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trace.kl["z"], vae(x, seed=1).kl["z"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_cells_are_keras(cell):
    ours, keras_cell = cell_of(cell, 3), {"gru": keras.layers.GRUCell, "lstm": keras.layers.LSTMCell}[cell](3)
    x, h, c = tf.unstack(tf.random.stateless_normal([3, 5, 3], [1, 2]))
    keras_cell.build((None, 3))
    for weight in keras_cell.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, [3, len(weight.shape)]))
    kernel, recurrent, bias = keras_cell.weights
    bias = tf.convert_to_tensor(bias)
    ours.kernel.assign(recurrent)
    if cell == "gru":
        ours.bias.assign(bias[1])
        gates, state, expected = tf.matmul(x, kernel) + bias[0], {"h": h}, keras_cell(x, [h])[1]
    else:
        open_gates = np.repeat([0.0, 1.0, 0.0, 0.0], 3).astype("float32")  # ours are so without a bias
        gates = tf.matmul(x, kernel) + bias - open_gates
        state, expected = {"h": h, "h_memory": c}, keras_cell(x, [h, c])[1]
    for found, value in zip(ours(gates, state).values(), expected, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-5)


# ---------------------------------------------------------------- padding, and parts of a sequence


def gradients(model, batch):
    with tf.GradientTape() as tape:
        p = model.forward(batch, seed(1), training=True)
        cost = model.cost(p)
    return p.trace, tape.gradient(cost, model.trainable_variables)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_the_loop_are_those_of_its_steps_written_out(reverse, compiled):
    kernel, unused = tf.Variable([[0.3, -0.2], [0.5, 0.1]]), tf.Variable([1.0])
    x, real = tf.random.stateless_normal([4, 3, 2], [1, 2]), tf.constant([[1.0, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0]])
    state = dict(zip(("h", "still"), tf.unstack(tf.random.stateless_normal([2, 3, 2], [3, 4])), strict=True))
    order = range(3, -1, -1) if reverse else range(4)

    def body(state, each):
        new = {"h": tf.tanh(each["x"] + state["h"] @ kernel), "still": state["still"]}
        new = keep(each["real"], new, state)
        return new, {"square": tf.square(new["h"]) + new["still"], "sum": tf.reduce_sum(new["h"], -1)}

    def written_out(state, x):
        made = {}
        for t in order:
            state, made[t] = body(state, {"x": x[t], "real": real[t]})
        return state, {name: tf.stack([made[t][name] for t in range(4)]) for name in made[0]}

    def scanned(state, x):
        return scan(body, state, {"x": x, "real": real}, {"square": 2, "sum": ()}, reverse)

    def gradients(loop):
        with tf.GradientTape() as tape:
            tape.watch((state, x))
            last, made = loop(state, x)
            cost = tf.reduce_sum(tf.sin(last["h"])) + tf.reduce_sum(made["square"] ** 2) + made["sum"][1, 0]
        return tape.gradient(cost, (state, x, kernel, unused))

    found = tf.function(gradients, jit_compile=True)(scanned) if compiled else gradients(scanned)
    assert found[3] is None
    for ours, right in zip(tf.nest.flatten(found[:3]), tf.nest.flatten(gradients(written_out)[:3]), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bound", ["elbo", "fivo"])
@some("vrnn", "srnn")
def test_padding_changes_nothing(name, bound):
    if bound == "fivo" and name not in LATENT:
        return
    model = made(name, bound=bound, num_samples=3)
    x, length = random_batch(model, 4)["x"], tf.constant([3, 1, 2, 3])
    real = tf.sequence_mask(length, 3)[..., None]
    garbage = tf.concat([tf.where(real, x[:, :3], np.nan), tf.fill([4, 4, 2], np.inf)], 1)
    plain = {"x": tf.where(real, x[:, :3], 0.0), "length": length}
    padded = model.fields({"x": garbage, "length": length})
    (trace, found), (expected, wanted) = gradients(model, padded), gradients(model, plain)
    assert_same(numbers(trace), numbers(expected), rtol=1e-5, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    rebuilt = model.reconstruct(garbage, length=length)
    np.testing.assert_allclose(rebuilt[:, :3], model.reconstruct(plain["x"], length=length), atol=1e-5)
    assert not np.any(rebuilt[:, 3:])


@some("vrnn", "srnn")
def test_lengths_differ_in_a_batch_as_between_batches(name):
    model, x = made(name), random_batch(made(name), 3)["x"]
    whole, _ = model.log_joint(latents(model, x), {"x": x, "length": tf.constant([4, 2, 1])})
    for i, length in enumerate((4, 2, 1)):
        z = {key: value[:, :, i : i + 1, :length] for key, value in latents(model, x).items()}
        alone, _ = model.log_joint(z, {"x": x[i : i + 1, :length]})
        np.testing.assert_allclose(whole["x"][:, :, i], alone["x"][:, :, 0], rtol=1e-5)


def latents(model, x):
    shape = [2, 1, len(x), x.shape[1], model.latent_dim]
    return {name: tf.random.stateless_normal(shape, [1, 2]) for name in model.latent_names}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@some("vrnn", "srnn")
def test_two_halves_with_the_state_carried_are_the_whole(name, cell):
    model = made(name, cell=cell)
    x = random_batch(model, 3, seed=2)["x"]
    z = tf.random.stateless_normal([4, 3, model.latent_dim], [1, 2])
    _, whole = model.unroll({"x": x}, z=z)
    state, first = model.unroll({"x": x[:, :2]}, z=z[:2])
    _, second = model.unroll({"x": x[:, 2:]}, state=state, z=z[2:])
    for key in ("z", "code", "p_loc", "p_scale"):
        np.testing.assert_allclose(tf.concat([first[key], second[key]], 0), whole[key], rtol=1e-5, atol=1e-6)


def test_truncation_stops_gradients_between_its_parts_and_nothing_else():
    """The gradient is that of the parts one by one, each given the state before it as a constant."""
    whole, cut = made("rnn_baseline"), made("rnn_baseline", truncate=2)
    x = random_batch(whole, 3, seed=2)["x"]
    with tf.GradientTape() as tape:
        state, first = whole.unroll({"x": x[:, :2]})
        state = {name: tf.stop_gradient(value) for name, value in state.items()}
        _, second = whole.unroll({"x": x[:, 2:]}, state=state)
        codes = tf.concat([first["code"], second["code"]], 0)
        score = whole.decoded(tf.transpose(codes, [1, 0, 2])).log_prob(x)
        cost = -tf.reduce_mean(tf.reduce_sum(score, -1))
    expected = tape.gradient(cost, whole.trainable_variables)
    trace, found = gradients(cut, {"x": x})
    np.testing.assert_allclose(-tf.reduce_mean(trace.elbo), cost, rtol=1e-5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    untouched = gradients(whole, {"x": x})[1]
    assert any(np.abs(one - other).max() > 1e-4 for one, other in zip(untouched, found, strict=True))


@some("vrnn", "srnn")
def test_no_gradient_crosses_a_cut(name):
    """Neither forwards along the states nor backwards through a smoother; the numbers stay."""
    cut, whole = made(name, truncate=2), made(name)
    x = random_batch(cut, 3, seed=2)["x"]

    def derivative(model, part):
        """How the latents and codes of two steps depend on x."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            _, found = model.unroll({"x": x})
            chosen = sum(tf.reduce_sum(found[key][part]) for key in ("q_loc", "code", "p_loc"))
        return np.abs(tape.gradient(chosen, x)).max((0, 2)), found

    for part, other in ((slice(0, 2), slice(2, 4)), (slice(2, 4), slice(0, 2))):
        (found, ours), (full, theirs) = (derivative(model, part) for model in (cut, whole))
        assert not np.any(found[other]) and np.any(found[part])
        assert np.any(full[other]) or (name not in ("srnn", "dmm") and part.start == 0)
        assert_same(ours, theirs, atol=1e-6)


# ---------------------------------------------------------------- verbs


@some("srnn", "rnn_baseline")
def test_predictions_add_up_to_the_probability_of_a_sequence_and_know_no_future(name):
    model, x = made(name), every(2)
    runs = [model.predict_next(x, num_samples=500, seed=i) for i in range(8 if name in LATENT else 1)]
    total = np.array([tf.reduce_sum(tf.exp(tf.reduce_sum(scores, -1))) for _, scores in runs])
    assert abs(total.mean() - 1) < 4 * total.std() / len(total) ** 0.5 + 1e-4 < 0.05
    later = tf.concat([x[:, :1], 1 - x[:, 1:]], 1)
    for found, same in zip(runs[0], model.predict_next(later, num_samples=500, seed=0), strict=True):
        np.testing.assert_allclose(found[:, 0], same[:, 0], rtol=1e-5)
        assert np.any(np.abs(found[:, 1] - same[:, 1]) > 1e-3) or found is runs[0][0]
    padded = model.predict_next(x, num_samples=5, seed=1, length=tf.ones(16, tf.int32))[1]
    assert np.all(padded[:, 0]) and not np.any(padded[:, 1:])


def test_a_sequence_goes_on_from_where_it_ends():
    """After one step, in a batch that is padded, as p(x_2 | x_1) says; without latents the state is known."""
    model, rows = made("rnn_baseline"), 20_000
    first = tf.constant([[1.0, 0.0]])
    joint = np.exp(model.log_prob(tf.stack([tf.tile(first, [4, 1]), every(1)[:, 0]], 1)))
    x = tf.pad(tf.tile(first[None], [rows, 1, 1]), [[0, 0], [0, 2], [0, 0]])
    further = model.continue_sequence(x, 1, seed=3, length=tf.ones(rows, tf.int32))
    expected = np.tensordot(joint, every(1)[:, 0], 1) / joint.sum()
    np.testing.assert_allclose(tf.reduce_mean(further[:, 0], 0), expected, atol=0.015)


@some("vrnn", "srnn")
def test_the_filter_is_the_steps_one_by_one_and_knows_no_future(name):
    model = made(name)
    batch = random_batch(model, 3)
    found = model.serve_filter(**batch)
    state = {f"state_{key}": value for key, value in model.start(3).items()}
    for t in range(4):
        out = model.serve_step(batch["x"][:, t], **state)
        state = {key: out[key] for key in state}
        for key in found:
            np.testing.assert_allclose(out[key][0], found[key][0, t], atol=1e-5)
    shorter = model.serve_filter(x=batch["x"][:, :2], length=tf.minimum(batch["length"], 2))
    assert_same(shorter, {key: value[:, :2] for key, value in found.items()}, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, x: m.log_prob(x, length=[5, 1, 1]), "a sequence has 1 to 4 steps"),
        (lambda m, x: m.log_prob(x, length=[0, 1, 1]), r"length is 0 \(row 0 of 3\)"),
        (lambda m, x: m.log_prob(x[:, :0]), "no steps"),
        (lambda m, x: m.log_prob(tf.where(x == x[1, 2], np.nan, x), length=[4, 3, 1]), r"NaN or infinite \(row 1"),
        (lambda m, x: m.continue_sequence(x, -1), "steps must be positive"),
        (lambda m, x: m.sample(2, length=0), "positive whole number"),
        (lambda m, x: m.sample(2, length=[1, 2, 3]), "or 2 of them"),
        (lambda m, x: m.decode(x), "decode needs a decoder of latents alone"),
        (lambda m, x: m.interpolate(x, x), "interpolate needs"),
        (lambda m, x: small("vrnn", cell="gur"), "did you mean gru"),
        (lambda m, x: small("vrnn", data_shape=(3,)), "data_shape is"),
        (lambda m, x: small("vrnn", masked=True, likelihood="normal_mixture"), "a likelihood of each value"),
        (lambda m, x: small("vrnn", penalties=["mmd"]), "penalties compare one code an example"),
        (lambda m, x: small("rnn_baseline", latent_dim=2), "takes no argument 'latent_dim'"),
        (lambda m, x: small("vrnn", truncate=0), "truncate must be positive"),
        (lambda m, x: small("vrnn", hidden_units=32), "hidden_units is a list of whole numbers"),
    ],
)
def test_bad_input_is_said_in_one_line(call, said):
    model = small("vrnn")
    with pytest.raises(InvalidInput, match=said):
        call(model, random_batch(model, 3)["x"])


@some("vrnn")
def test_batches_of_other_lengths_are_predicted_and_encoded_together(name):
    model, x = made(name), every(3)[:6]
    batches = [{"x": x[:4], "length": [1, 3, 2, 3]}, {"x": x[4:, :2], "length": [2, 2]}]
    data = tf.data.Dataset.from_generator(lambda: batches, output_signature=model_signature(model))
    found = model.predict(data, verbose=0)
    assert found.shape == (6, 3, 2)
    np.testing.assert_allclose(found[4:, :2], model.reconstruct(**batches[1]), atol=1e-6)
    assert not np.any(found[4:, 2])
    np.testing.assert_array_equal(model.predict((batch for batch in batches), verbose=0), found)
    assert model.predict(data, steps=1, verbose=0).shape == (4, 3, 2)
    with pytest.raises(InvalidInput, match="yields no batch"):
        model.predict(data.take(0), verbose=0)
    if name in LATENT:
        codes, _ = evaluation.features(model, data)
        mean = model.encode(**batches[0])
        np.testing.assert_allclose(codes[:2], [mean[0, 0], tf.reduce_mean(mean[1], 0)], atol=1e-6)


def model_signature(model):
    return {name: tf.TensorSpec([None, *spec.shape], spec.dtype) for name, spec in model.data_spec.items()}


@some("srnn", "rnn_baseline")
def test_bounds_a_step_are_the_two_means(name):
    model, x = made(name), every(3)[:6]
    batch = {"x": x, "length": np.array([1, 2, 3, 3, 2, 1])}
    found = zoo.evaluate(model, batch, num_samples=500)
    log_weight, entry = model(batch, num_samples=4000).log_weight.numpy()[:, 0], found["elbo_per_step"]
    if name in LATENT:
        for key, draws in (("value", (log_weight / batch["length"]).mean(-1)), ("pooled", log_weight.sum(-1) / 12)):
            assert abs(entry[key] - draws.mean()) < 5 * draws.std() / np.sqrt(500)
        assert entry["value"] < found["iwae_per_step"]["value"]
        np.testing.assert_allclose(found["fivo_per_step"]["value"], found["iwae_per_step"]["value"], rtol=0.1)
    else:
        assert found["iwae_per_step"]["value"] == pytest.approx(entry["value"], rel=1e-4)


@pytest.mark.slow
def test_a_comparison_of_sequences_is_that_of_their_bounds_a_step():
    pair, batch = [made("vrnn"), made("rnn_baseline")], {"x": every(3)[:6], "length": np.array([1, 2, 3, 3, 2, 1])}
    bounds = [zoo.evaluate(model, batch, num_samples=20)["iwae_per_step"]["value"] for model in pair]
    found = evaluation.compare(*pair, batch, num_samples=20)["nll_per_step_difference"]
    assert found["value"] == pytest.approx(bounds[1] - bounds[0], abs=1e-5)
    assert found["num_examples"] == 6 and found["standard_error"] > 0


# ---------------------------------------------------------------- exports


@pytest.mark.slow
@each
def test_a_stream_of_a_hundred_steps_is_the_whole_sequence_in_both_exports(name, tmp_path):
    model = made(name)
    x = tf.constant(np.random.RandomState(0).randint(0, 2, (1, 100, 2)), tf.float32)
    signatures = tf.saved_model.load(str(zoo.export_saved_model(model, tmp_path / "saved"))).signatures
    whole = signatures["filter"](x=x, length=tf.constant([100]))
    lite = Interpreter(str(zoo.export_tflite(model, tmp_path / "step.tflite", endpoints="step")))
    for step in (signatures["step"], lite.get_signature_runner("step")):
        state = {f"state_{key}": value.numpy() for key, value in model.start(1).items()}
        for t in range(100):
            out = step(x_t=x[:, t].numpy(), **state)
            state = {key: out[key] for key in state}
            for key in whole:
                np.testing.assert_allclose(out[key][0], whole[key][0, t], rtol=1e-5, atol=1e-5)
