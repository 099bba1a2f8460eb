"""What every model of the registry keeps to, in each of its class' examples: one body each."""

import contextlib
import functools
import json

import elsewhere
import keras
import numpy as np
import pytest
import tensorflow as tf
from support import STEPS, assert_same, numbers, of_today, random_batch, seed, shaken, step_gradients, tiered, wanted

import zoo
from zoo.creation import model_class
from zoo.errors import InvalidInput
from zoo.export import verify
from zoo.models.sharing import may_share

FIRST = {(name, next(iter(model_class(name)[0].examples()))) for name in zoo.list_models()}
FAMILIES = {(name, example) for name, example in FIRST if model_class(name)[0].registry_name == name}
CASES = sorted(FIRST | {(name, example) for name, _ in FAMILIES for example in model_class(name)[0].examples()})
FAMILIES |= {("vae", "masked, penalties")}

each = pytest.mark.parametrize("case", tiered(CASES, FAMILIES.__contains__, "-".join))
ALONE = [("vae", "mlp"), ("vae", "masked, penalties")]
KINDS = {case for case in FAMILIES if case[0] in ("vae", "lvae", "m2")}  # most unlike each other
one_a_kind = pytest.mark.parametrize("case", tiered(CASES, KINDS.__contains__, "-".join))
one_alone = pytest.mark.parametrize("case", tiered(CASES, ALONE.__contains__, "-".join))
TODAY = {*ALONE, *of_today(FAMILIES)}
some_today = pytest.mark.parametrize("case", tiered(CASES, TODAY.__contains__, "-".join))
WHOLE = {"vamp_vae"}  # of whose batches cores share none, though a row says nothing of others


def made(case, **config):
    name, example = case
    return zoo.create(name, **{**model_class(name)[0].examples()[example], **config})


@pytest.fixture(scope="module")
def unchanged():
    """case -> a model that tests look at and leave as it is."""
    return functools.lru_cache(made)


# ---------------------------------------------------------------- the trace


@each
def test_every_term_is_per_draw_value_and_example_and_finite(case, unchanged):
    model = unchanged(case)
    trace = model(random_batch(model, 5), num_samples=7, seed=seed(1))
    values = trace.log_mass.shape[1]
    assert trace.log_mass.shape == (1, values, 5)
    if trace.latents:
        given = model.condition_of(random_batch(model))
        assert trace.log_likelihood.keys() == set(model.likelihoods(trace.latents, given))
    for terms in (trace.log_likelihood, trace.log_prior, trace.log_posterior):
        assert all(term.shape == (7, values, 5) for term in terms.values())
    assert trace.log_weight.shape == (7, values, 5)
    assert all(latent.shape[:3] == (7, values, 5) for latent in trace.latents.values())
    assert all(units.shape[0] == 5 for units in trace.kl_per_unit.values())
    assert trace.elbo.shape == trace.log_marginal.shape == model.objective(trace).shape == (5,)
    for term, value in numbers(trace).items():
        allowed = np.isneginf(value) if term == "log_mass" else False  # where another value is observed
        assert np.all(np.isfinite(value) | allowed), term


@each
def test_every_trainable_weight_gets_a_gradient(case):
    model = made(case)
    model.compile("sgd")
    _, costs, moves = model.gradients(random_batch(model), seed(1))
    assert all(np.isfinite(cost) for cost in costs.values())
    reached = [(v, g) for _, gradients, variables in moves for v, g in zip(variables, gradients, strict=True)]
    assert {id(v) for v, _ in reached} == {id(v) for v in model.trainable_variables}
    assert reached, "the model has no trainable weights"
    idle = [v.path for v, g in reached if g is None or not np.any(tf.convert_to_tensor(g))]
    assert not idle, f"no gradient reaches {idle}"


@each
@pytest.mark.parametrize("rows", [5, pytest.param(2, marks=pytest.mark.slow)])  # for three cores, or too few
def test_cores_that_share_a_batch_take_the_gradients_of_one(case, rows, monkeypatch):
    model = shaken(made(case, num_samples=2))
    model.compile("sgd", jit_compile=False)
    if not may_share(model):
        assert model.penalties or case[0] in WHOLE
        return
    costs, gradients = step_gradients(model, random_batch(model, rows), seed(1))
    monkeypatch.setattr("zoo.models.sharing.num_parts", lambda rows: 3)
    shared_costs, shared = step_gradients(model, random_batch(model, rows), seed(1))
    assert_same(shared_costs, costs, rtol=1e-5)
    for variable, ours, theirs in zip(model.trainable_variables, shared, gradients, strict=True):
        ours, theirs = (tf.convert_to_tensor(gradient) for gradient in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-6, err_msg=variable.path)


@some_today
def test_eager_graph_and_xla_agree(case):
    model = made(case)
    x = model.observed(random_batch(model))  # which a graph takes as it is
    eager = model(x, num_samples=2, seed=seed(1))
    compiled = tf.function(model)
    assert_same(numbers(eager), numbers(compiled(x, num_samples=2, seed=seed(1))), rtol=1e-5, atol=1e-5)
    likelihood, prior = model.log_joint(eager.latents, x)
    if eager.latents:  # which say how many draws there are
        assert_same(likelihood, eager.log_likelihood, rtol=1e-5)
    if model.supports_jit:
        jitted, jitted_prior = tf.function(model.log_joint, jit_compile=True)(eager.latents, x)
        assert_same(jitted, likelihood, rtol=1e-5)
        assert_same(jitted_prior, prior, rtol=1e-5, atol=1e-6)


@each
def test_no_product_of_matrices_broadcasts_one_over_leading_axes(case, unchanged):
    """With oneDNN TensorFlow's reads and writes past its buffers there, up to 2.21 (its issue 117700)."""
    model = unchanged(case)
    call = tf.function(lambda x: model(x, num_samples=3, seed=seed(1)))
    graph = call.get_concrete_function(random_batch(model, 5)).graph
    for operation in graph.get_operations():
        if operation.type.startswith("BatchMatMul"):
            left, right = (tensor.shape.as_list() for tensor in operation.inputs)
            transposed = operation.get_attr("adj_x"), operation.get_attr("adj_y")
            rows, columns = left[-1 if transposed[0] else -2], right[-2 if transposed[1] else -1]
            assert left[:-2] == right[:-2] or 1 in (rows, columns), (operation.name, left, right)


@each
def test_draws_are_decided_by_the_seed(case, unchanged):
    model = unchanged(case)
    x = random_batch(model)
    first, again, other = (model(x, num_samples=2, seed=seed(s)).latents for s in (1, 1, 2))
    for latent in first:
        np.testing.assert_array_equal(first[latent], again[latent])
        if "bound" in model.offers and latent in model.latent_names:
            assert np.any(first[latent] != other[latent])
            assert np.any(first[latent][0] != first[latent][1])


@each
def test_rows_do_not_know_each_other(case, unchanged):
    model = unchanged(case)
    x = random_batch(model)
    latents = model(x, num_samples=2, seed=seed(1)).latents
    whole, _ = model.log_joint(latents, x)
    locations = model.locations(x)
    for i in (0, 4):
        row = {k: v[i : i + 1] for k, v in x.items()}
        alone, _ = model.log_joint({k: v[:, :, i : i + 1] for k, v in latents.items()}, row)
        assert_same(alone, {k: v[:, :, i : i + 1] for k, v in whole.items()}, rtol=1e-5)
        for latent, location in model.locations(row).items():
            np.testing.assert_allclose(location, locations[latent][i : i + 1], atol=1e-6)


# ---------------------------------------------------------------- training


@some_today
def test_fit_evaluate_and_predict_through_keras(case):
    model = made(case, binarize="dynamic")
    model.compile(keras.optimizers.Adam(1e-2))
    x = random_batch(model, 8)
    before = [w.numpy() for w in model.trainable_variables]
    data = tf.data.Dataset.from_tensors(x).repeat(2)
    logs = model.fit(data, validation_data=data, verbose=0).history
    assert int(model.steps) == 2
    assert logs["skipped"] == [0.0]
    still = [w.path for b, w in zip(before, model.trainable_variables, strict=True) if np.array_equal(b, w)]
    assert not still
    if "bound" in model.offers:
        assert logs["elbo"][0] == pytest.approx(logs["reconstruction"][0] - logs["kl"][0], abs=1e-4)

    # Two evaluations of the same weights agree: nothing depends on the step.
    scores = model.evaluate(data, verbose=0, return_dict=True)
    assert scores == model.evaluate(data, verbose=0, return_dict=True)
    prediction = model.predict(data, verbose=0)
    for name, value in (
        prediction.items() if isinstance(prediction, dict) else [(model.fields_of("data")[0], prediction)]
    ):
        assert value.shape[0] == 16
        assert value.shape[1:] == x[name].shape[1:] or name != "x"


@one_alone
def test_it_trains_under_xla(case):
    model = made(case)
    model.compile("adam", jit_compile=model.supports_jit)
    before = [w.numpy() for w in model.trainable_variables]
    logs = model.fit(tf.data.Dataset.from_tensors(random_batch(model, 8)), verbose=0).history
    assert logs["skipped"] == [0.0]
    still = [w.path for b, w in zip(before, model.trainable_variables, strict=True) if np.array_equal(b, w)]
    assert not still


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@one_a_kind
def test_mixed_precision_trains_and_says_nearly_the_same(case, policy):
    batch = random_batch(made(case), 8)
    losses = []
    for kind in ("float32", policy):
        keras.config.set_dtype_policy(kind)
        try:
            model = made(case)
            adam = keras.optimizers.Adam()
            half = kind == "mixed_float16"  # at Keras' first scale, 32768, deeper models overflow until it has fallen
            model.compile(keras.optimizers.LossScaleOptimizer(adam, 16.0) if half else adam, run_eagerly=True)
            logs = model.fit(tf.data.Dataset.from_tensors(batch).repeat(2), verbose=0).history
        finally:
            keras.config.set_dtype_policy("float32")
        assert logs["skipped"] == [0.0]
        losses.append(logs["loss"][0])
        trace = model(batch, seed=seed(1))
        assert all(value.dtype == "float32" for value in numbers(trace).values())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.fixture(scope="module")
def mirrored(request):
    """{case: what goes wrong on three devices}, all in one process."""
    return elsewhere.run("mirror", json.dumps(wanted(request, "case")))


@pytest.mark.slow
@one_alone
def test_three_devices_do_what_one_does_with_the_whole_batch(case, mirrored):
    assert mirrored.get("-".join(case)) is None


# ---------------------------------------------------------------- saving


@each
def test_the_config_survives_json_and_gives_the_same_model(case):
    model = made(case, binarize="fixed", bound="iwae", num_samples=3)
    config = model.get_config()
    copy = zoo.create(case[0], **json.loads(json.dumps(config)))
    assert json.dumps(copy.get_config()) == json.dumps(config)
    assert (copy.binarize, copy.num_samples, float(copy.beta)) == ("fixed", 3, float(model.beta))
    x = random_batch(model)
    trace, again = model(x, seed=seed(1)), copy(x, seed=seed(1))
    assert_same(numbers(again), numbers(trace))
    np.testing.assert_array_equal(model.objective(trace), copy.objective(again))


@one_a_kind
def test_the_seed_decides_the_weights(case):
    keras.utils.set_random_seed(1)
    first = made(case).get_weights()
    keras.utils.set_random_seed(2)
    again, other = made(case).get_weights(), made(case, seed=2).get_weights()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    # Apart from what starts at one value: beta, the step counter and biases.
    assert all(np.any(a != b) for a, b in zip(first, other, strict=True) if a.ndim > 1)


@pytest.fixture(scope="module")
def reloaded(request, tmp_path_factory):
    """case -> (what the model says, what its two files say in a process that has not made them)."""
    folder, said = tmp_path_factory.mktemp("reload"), {}
    for i, case in enumerate(wanted(request, "case")):
        model = shaken(made(case, binarize="dynamic", beta=0.5))
        model.save(folder / f"{i}.keras")
        zoo.save(keras.models.load_model(folder / f"{i}.keras"), folder / str(i))  # what Keras has reloaded
        said[case] = numbers(model(random_batch(model), num_samples=2, seed=seed(1)))
    elsewhere.run("reload", folder)
    return {
        case: (expected, *(dict(np.load(folder / f"{i}.{kind}.npz")) for kind in ("keras", "zoo")))
        for i, (case, expected) in enumerate(said.items())
    }


@some_today
def test_a_fresh_process_loads_the_same_numbers(case, reloaded):
    expected, *found = reloaded[case]
    for values in found:
        assert_same(values, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def exported(request, tmp_path_factory):
    """case -> the reports of its SavedModel and its .tflite file, from one process without zoo."""
    folder, jobs = tmp_path_factory.mktemp("export"), {}
    for i, case in enumerate(wanted(request, "case")):
        with contextlib.suppress(Exception):  # its own test misses the report
            model = shaken(made(case))
            model.score_samples = 4
            jobs[case, "saved"] = verify.saved_model_job(model, zoo.export_saved_model(model, folder / str(i)))
            jobs[case, "lite"] = verify.tflite_job(model, zoo.export_tflite(model, folder / f"{i}.tflite"))
    return dict(zip(jobs, verify.verify(list(jobs.values())), strict=True))


@one_alone
def test_exports_say_what_the_model_says_where_there_is_no_zoo(case, exported):
    assert list(exported[case, "saved"]) == list(made(case).endpoints)
    assert exported[case, "lite"]
    for kind in ("saved", "lite"):
        assert not {name: entry for name, entry in exported[case, kind].items() if not entry["passed"]}


# ---------------------------------------------------------------- verbs


@each
def test_uint8_images_are_their_255th_part(case, unchanged):
    model = unchanged(case)
    fields = random_batch(model)
    levels = np.round(fields.pop("x").numpy() * 255).astype("uint8")
    given = {name: value for name, value in fields.items() if name in model.conditions}
    data = {name: value for name, value in fields.items() if name not in model.conditions}

    def both(verb):
        pair = [{"x": levels, **data}, {"x": levels.astype("float32") / 255, **data}]
        return [tf.nest.flatten(verb(x, **given)) for x in pair]

    for verb, close in ((model.reconstruct, 1e-6), (model.encode, 1e-5)):
        for value, same in zip(*both(verb), strict=True):
            np.testing.assert_allclose(value, same, atol=close)


@each
def test_interpolation_ends_at_the_reconstructions(case, unchanged):
    model = unchanged(case)
    if "decoder" not in model.offers:
        with pytest.raises(InvalidInput, match="interpolate needs a decoder of latents alone"):
            model.interpolate(random_batch(model), random_batch(model))
        return
    batch = {k: tf.maximum(v, 0) for k, v in random_batch(model).items()}  # every label known
    given = {name: batch.pop(name) for name in model.conditions}
    turned = {name: value[::-1] for name, value in batch.items()}
    path = model.interpolate(batch, turned, steps=3, **given)
    first, last = model.reconstruct(batch, **given), model.decode(model.encode(turned, **given), **given)
    for steps, start, stop in zip(*map(tf.nest.flatten, (path, first, last)), strict=True):
        np.testing.assert_allclose(steps[0], start, atol=1e-6)
        np.testing.assert_allclose(steps[2], stop, atol=1e-6)


@one_alone  # in exports of every family the rows are those of several batch sizes
def test_endpoints_are_row_wise(case):
    model = made(case)
    random = np.random.RandomState(0)
    fields = {**random_batch(model, 4), "seed": tf.constant([5, 6, 5, -7], tf.int64)}
    for name in model.field_specs.keys() - fields.keys():
        shape = [size or STEPS for size in model.field_specs[name].shape]
        fields[name] = tf.constant(random.normal(size=(4, *shape)), tf.float32)
    for endpoint, (method, inputs) in model.endpoints.items():
        together = tf.function(method)(**{k: fields[k] for k in inputs})
        for rows in ([0], [3, 1]):
            alone = tf.function(method)(**{k: tf.gather(fields[k], rows) for k in inputs})
            for output in together:
                expected = tf.gather(together[output], rows)
                if endpoint == "sample":  # of sequences, as long as the longest
                    expected = expected[:, : alone[output].shape[1]]
                np.testing.assert_allclose(
                    alone[output], expected, atol=1e-5, rtol=1e-5, err_msg=f"{endpoint} {output}"
                )
