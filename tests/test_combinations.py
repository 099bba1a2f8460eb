"""Every part with every other: what `create` accepts is built, scores, trains and is exported, or is refused."""

import contextlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import of_today, random_batch, seed, step_gradients, tiered

import zoo
from zoo.creation import model_class
from zoo.errors import InvalidInput
from zoo.models.guards import POLICIES
from zoo.networks.conditioners import softmax
from zoo.registry import LIKELIHOODS, POSTERIORS, PRIORS

SCALES = [{"name": "normal", "scale": scale} for scale in ("learned", "per_pixel")]
OF_DATA = [*(name for name in LIKELIHOODS if name != "kept_normal"), *SCALES]
ALL_PRIORS = [*PRIORS, "vamp"]
PRODUCT = list(itertools.product(POSTERIORS, ALL_PRIORS, OF_DATA))
# Each posterior with one prior, each likelihood, and what has been wrong.
FEW = {(q, ALL_PRIORS[i % 4], str(OF_DATA[i % len(OF_DATA)])) for i, q in enumerate(POSTERIORS)}
FEW |= {("spline", "vamp", "bernoulli")}
CLASSES = sorted({model_class(name)[0].registry_name for name in zoo.list_models()})
EXAMPLES = [(name, example) for name in CLASSES for example in model_class(name)[0].examples()]
FIRST = dict(reversed(EXAMPLES))


def few(parts):
    return (*parts[:2], str(parts[2])) in FEW


def named(parts):
    return "-".join(part if isinstance(part, str) else part["scale"] for part in parts)


def of_parts(posterior, prior, likelihood):
    config = {
        "data_shape": (3, 2, 2),
        "latent_dim": 2,
        "posterior": posterior,
        "likelihood": likelihood,
        "encoder": {"name": "mlp", "hidden_units": [4]},
        "num_samples": 2,
    }
    if prior == "vamp":
        return zoo.create("vamp_vae", num_pseudo_inputs=3, **config)
    return zoo.create("vae", prior=prior, **config)


def check(model):
    batch = random_batch(model)
    assert np.all(np.isfinite(model(batch, num_samples=3, seed=seed(1)).log_weight))
    model.compile("adam")
    costs, gradients = step_gradients(model, batch, seed(1))
    assert np.isfinite(costs["model"])
    assert all(np.all(np.isfinite(tf.convert_to_tensor(gradient))) for gradient in gradients)


@pytest.mark.parametrize("parts", tiered(PRODUCT, few, named))
def test_a_posterior_with_a_prior_and_a_likelihood_scores_and_trains_or_is_refused(parts):
    if parts[:2] == ("point", "vamp"):
        with pytest.raises(InvalidInput, match="no log density"):
            of_parts(*parts)
        return
    check(of_parts(*parts))


EXPORTED = {named(parts): parts for parts in PRODUCT if parts[:2] != ("point", "vamp")}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*of_today(EXPORTED, 4), "spline-vamp-categorical"])
def test_it_is_exported(name, tmp_path):
    model = of_parts(*EXPORTED[name])
    zoo.export_saved_model(model, tmp_path)
    loaded = tf.saved_model.load(str(tmp_path / "1")).signatures
    batch = random_batch(model)
    found = loaded["score"](x=batch["x"], seed=tf.range(5, dtype=tf.int64))
    assert np.all(np.isfinite(found["log_marginal"]))
    np.testing.assert_allclose(
        loaded["reconstruct"](x=batch["x"])["reconstruction"], model.reconstruct(batch["x"]), atol=1e-5
    )


REFUSED = {
    ("vamp_vae", "point"),
    ("deep_vae", "normal_mixture"),
    ("kl_autoencoder", "normal_mixture"),
    *((name, "discretized_logistic_mixture") for name in ("rnn_baseline", "vrnn", "storn", "srnn", "dmm")),
    *(("dmm", part) for part in ("full_covariance", "rank_one_precision", "point")),
}
OTHERS = [(name, part) for name in CLASSES for part in (*OF_DATA, *POSTERIORS)]


def other(name, part):
    """A model of a class with a posterior or likelihood other than its own, or None where it takes no such."""
    cls, defaults = model_class(name)
    kind = "posterior" if part in list(POSTERIORS) else "likelihood"
    config = {**defaults, **next(iter(cls.examples().values())), kind: part}
    if kind not in cls.argument_names() or name == "vae":
        return None
    return zoo.create(name, **{"latent_dim": 2, **config} if kind == "posterior" else config)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "part"), OTHERS, ids=lambda p: p if isinstance(p, str) else p["scale"])
def test_other_models_take_every_part_too_or_refuse_it(name, part):
    if (name, str(part)) in REFUSED:
        with pytest.raises(InvalidInput):
            other(name, part)
    elif (model := other(name, part)) is not None:
        check(model)


@pytest.mark.parametrize("rank", range(1, 9))
def test_softmax_is_that_of_rows_whatever_axes_lead(rank):
    logits = tf.constant(np.random.RandomState(0).normal(size=[2] * (rank - 1) + [3]), tf.float32)
    rows = tf.nn.softmax(tf.reshape(logits, [-1, 3]))
    np.testing.assert_allclose(tf.reshape(softmax(logits), [-1, 3]), rows, rtol=1e-6)


@pytest.mark.parametrize("case", tiered(EXAMPLES, FIRST.items().__contains__, "-".join))
def test_dense_layers_of_keras_see_rows_and_no_more_axes(case, monkeypatch):
    """Of more, Keras before 3.15 makes a product that broadcasts, which oneDNN TensorFlow writes out of bounds."""
    ranks, call = set(), keras.layers.Dense.call

    def watched(layer, x, *args, **kwargs):
        ranks.add(x.shape.rank)
        return call(layer, x, *args, **kwargs)

    model = zoo.create(case[0], **model_class(case[0])[0].examples()[case[1]])
    monkeypatch.setattr(keras.layers.Dense, "call", watched)
    batch = random_batch(model)
    trace = model(batch, num_samples=3, training=True, seed=seed(1))
    if trace.latents:
        model.likelihoods(trace.latents, model.condition_of(batch))
    model.reconstruct(batch)
    assert ranks <= {2}


# ---------------------------------------------------------------- precision


@contextlib.contextmanager
def precision(policy, floatx="float32"):
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


WITH_LIKELIHOODS = [("vae", "conv" if part != "normal_mixture" else "mlp", part) for part in OF_DATA]
WITH_EXAMPLES = [(*case, None) for case in EXAMPLES]
PLAIN = [("vae", "conv", "discretized_logistic")]
TRAINED = tiered(WITH_LIKELIHOODS + WITH_EXAMPLES, PLAIN.__contains__, lambda case: "-".join(map(str, case)))


@pytest.mark.parametrize("policy", POLICIES[1:])
@pytest.mark.parametrize("case", TRAINED)
def test_it_trains_under_a_mixed_policy_once_the_loss_scale_has_fallen(case, policy):
    """Keras' first scale, 32768, overflows in a deep model until it has been halved often enough."""
    name, example, likelihood = case
    with precision(policy):
        config = {} if likelihood is None else {"likelihood": likelihood}
        model = zoo.create(name, **{**model_class(name)[0].examples()[example], **config})
        model.compile("adam")
        before = [weight.numpy() for weight in model.trainable_variables]
        data = tf.data.Dataset.from_tensors(random_batch(model, 8)).repeat(8)
        logs = model.fit(data, epochs=3, verbose=0).history
    assert sum(logs["skipped"]) <= 15 * (policy == "mixed_float16")
    assert np.isfinite(logs["loss"][-1])
    still = [w.path for b, w in zip(before, model.trainable_variables, strict=True) if np.array_equal(b, w)]
    assert not still


@pytest.mark.parametrize(
    ("policy", "floatx", "message"),
    [
        ("float16", "float32", "set_dtype_policy\\('mixed_float16'\\)"),
        ("bfloat16", "float32", "set_dtype_policy\\('mixed_bfloat16'\\)"),
        ("float64", "float32", "set_dtype_policy\\('float32'\\)"),
        ("float64", "float64", "set_floatx\\('float32'\\)"),
        ("float32", "float64", "set_floatx\\('float32'\\)"),
    ],
)
@pytest.mark.parametrize("name", ["vae", "m2", "lvae"])
def test_other_precisions_are_refused_in_one_line(name, policy, floatx, message):
    example = next(iter(model_class(name)[0].examples().values()))
    with precision(policy, floatx), pytest.raises(InvalidInput, match=message) as caught:
        zoo.create(name, **example)
    assert "\n" not in str(caught.value)
