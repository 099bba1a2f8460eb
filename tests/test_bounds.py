"""Bounds: their order on every trace, and gradient estimators against exact gradients."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import random_batch, seed, small, step_gradients, tiered
from test_truth import enumerated, random_terms

import zoo
from zoo.creation import model_class
from zoo.errors import InvalidInput
from zoo.objectives import bounds
from zoo.registry import BOUNDS

tfd = tfp.distributions
WEIGHT, NOISE = 0.8, 0.6
X = np.array([[0.9], [-0.4], [1.7]], "float32")


def chain(bound, exact, num_samples=2):
    """x = WEIGHT z + noise, z of one unit; a posterior that is the exact one, or wrong in location and scale."""
    model = zoo.create(
        "vae",
        data_shape=(1,),
        latent_dim=1,
        encoder=keras.layers.Dense(1, kernel_initializer="identity", trainable=False),
        decoder=keras.layers.Dense(1),
        likelihood={"name": "normal", "scale": NOISE},
        bound=bound,
        num_samples=num_samples,
    )
    variance = 1 / (1 + WEIGHT**2 / NOISE**2)
    raw = float(tfp.math.softplus_inverse(math.sqrt(variance) - 1e-4)) + 1e-4  # of `soft_scale`
    gain = WEIGHT * variance / NOISE**2
    wrong = [0.3, 0.4] if not exact else [0.0, 0.0]
    model.posterior_head.dense.set_weights([np.array([[gain, 0.0]]), np.array([wrong[0], raw + wrong[1]])])
    model.decoder.set_weights([np.array([[WEIGHT]]), np.zeros(1)])
    return model


def log_mean(values, axis=0):
    return tf.reduce_logsumexp(values, axis) - math.log(values.shape[axis])


# Bound -> (draws, draws of the quadrature, what the generative model and the inference model maximise of log weights
# [S, B, nodes] by the same draws). Groups of a `miwae` have the same expectation.
OBJECTIVES = {
    "elbo": (1, 1, lambda w: w[0], lambda w: w[0]),
    "stl": (1, 1, lambda w: w[0], lambda w: w[0]),
    "kl_balancing": (1, 1, lambda w: w[0], lambda w: w[0]),
    "iwae": (2, 2, log_mean, log_mean),
    "dreg": (2, 2, log_mean, log_mean),
    "miwae of 2": (4, 2, log_mean, log_mean),
    "piwae of 2": (2, 2, log_mean, lambda w: tf.reduce_mean(w, 0)),
    "ciwae": (2, 2, *[lambda w: 0.5 * tf.reduce_mean(w, 0) + 0.5 * log_mean(w)] * 2),
    "renyi": (2, 2, *[lambda w: 2 * log_mean(0.5 * w)] * 2),
}
BETAS = [0.0, 0.3, 1.0, 4.0]


def of_two(bound):
    """The bound of a name, in two groups where the name ends so."""
    return {"name": bound.split()[0], "num_groups": 2} if " " in bound else bound


def players(model):
    """The weights of the inference model, and of the generative model, that gradients are looked at of."""
    return [model.posterior_head.dense.bias, *model.decoder.weights]


def exact_gradient(model, bound, beta):
    """d/d`players` of the mean over X of what each maximises, by Gauss-Hermite quadrature."""
    _, draws, of_decoder, of_posterior = OBJECTIVES[bound]
    nodes, mass = np.polynomial.hermite_e.hermegauss(60)
    grids = np.meshgrid(*[nodes] * draws, indexing="ij")
    weights = np.prod(np.meshgrid(*[mass / mass.sum()] * draws, indexing="ij"), 0).astype("float32").ravel()
    noise = tf.constant(np.stack([g.ravel() for g in grids]), tf.float32)  # [S, nodes]
    kernel, bias = model.decoder.weights
    with tf.GradientTape(persistent=True) as tape:
        q = model.posterior(X).distribution
        z = q.loc[:, 0, None] + q.scale[:, 0, None] * noise[:, None]  # [S, B, nodes]
        kl = tfd.Normal(q.loc[:, 0, None], q.scale[:, 0, None]).log_prob(z) - tfd.Normal(0.0, 1.0).log_prob(z)
        loc = tf.convert_to_tensor(kernel)[0, 0] * z + tf.convert_to_tensor(bias)[0]
        log_weight = tfd.Normal(loc, NOISE).log_prob(X) - beta * kl
        values = [tf.reduce_mean(tf.reduce_sum(f(log_weight) * weights, -1)) for f in (of_posterior, of_decoder)]
    inference, *generative = players(model)
    found = tape.gradient(values[0], [inference]) + tape.gradient(values[1], generative)
    return np.concatenate([tf.reshape(g, [-1]) for g in found])


def estimator(model, repeats=1):
    """Number of a step -> gradients of the objective by `players`, side by side; X is drawn for `repeats` times."""
    places = [next(i for i, v in enumerate(model.trainable_variables) if v is w) for w in players(model)]
    model.compile("sgd")
    inputs = {"x": tf.repeat(X, repeats, 0)}

    @tf.function
    def one(number):
        found = step_gradients(model, inputs, tf.stack([3, number]))[1]
        return -tf.concat([tf.reshape(found[place], [-1]) for place in places], 0)

    return one


@pytest.mark.parametrize("bound", OBJECTIVES)
def test_gradients_are_those_of_quadrature_whatever_beta_is(bound):
    """Of both players, the inference model's and the generative one's."""
    model, count = chain(of_two(bound), False, OBJECTIVES[bound][0]), 60
    one = estimator(model, repeats=500)
    for beta in BETAS:
        model.beta.assign(beta)
        draws = tf.map_fn(one, tf.range(count), fn_output_signature=tf.float32).numpy()
        error, truth = draws.std(0) / math.sqrt(count), exact_gradient(model, bound, beta)
        assert np.all(abs(draws.mean(0) - truth) < 4.5 * error + 1e-5), beta
        assert np.linalg.norm(error) < 0.02 * np.linalg.norm(truth), "the test is blind"


@pytest.mark.parametrize(("plain", "path", "draws"), [("iwae", "stl", 1), ("iwae", "dreg", 2)])
def test_path_gradients_vanish_where_the_posterior_is_exact(plain, path, draws):
    spread = {}
    for bound in (plain, path):
        one = estimator(chain(bound, True, draws))
        found = tf.map_fn(one, tf.range(200), fn_output_signature=tf.float32).numpy()
        spread[bound] = found[:, :2].std(0).max()
    assert spread[path] < 1e-4
    assert spread[plain] > 0.05


@pytest.mark.parametrize("beta", BETAS)
def test_free_bits_are_those_of_the_kl_before_it_is_weighted(beta):
    model = chain("elbo", False)
    trace = model({"x": X}, seed=seed(1)).temper(beta)
    kl = model({"x": X}, seed=seed(1)).kl["z"].numpy()
    for nats, cost in ((0.9 * kl.mean(), kl.mean()), (1.1 * kl.mean(), 1.1 * kl.mean())):
        value = bounds.get({"name": "free_bits", "nats": float(nats)})(trace)
        expected = tf.reduce_mean(trace.reconstruction) - beta * cost
        assert float(tf.reduce_mean(value)) == pytest.approx(float(expected), rel=1e-5)


def gradients(bound, **config):
    """(loss, gradients of the inference layers' weights, of the decoder's) under one seed."""
    model = small("vae", bound=bound, **config)
    model.compile("sgd")
    costs, values = step_gradients(model, random_batch(model), seed(1))
    by_weight = {id(v): g for v, g in zip(model.trainable_variables, values, strict=True)}
    inference = [by_weight[id(v)] for layer in model.inference_layers for v in layer.trainable_variables]
    return float(costs["model"]), inference, [by_weight[id(v)] for v in model.decoder.trainable_variables]


def assert_close(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("plain", "path"),
    [("iwae", "dreg"), pytest.param({"name": "miwae", "num_groups": 4}, "stl", marks=pytest.mark.slow)],
)
def test_path_gradients_of_the_generative_model_are_the_plain_ones(plain, path):
    expected, ours = gradients(plain, num_samples=4), gradients(path, num_samples=4)
    assert ours[0] == pytest.approx(expected[0], rel=1e-5)
    assert_close(ours[2], expected[2])


def test_piwae_trains_each_network_by_its_own_bound():
    groups = {"num_groups": 2}
    loss, inference, decoder = gradients({"name": "piwae", **groups}, num_samples=6)
    miwae, iwae = gradients({"name": "miwae", **groups}, num_samples=6), gradients("iwae", num_samples=6)
    assert loss == pytest.approx(iwae[0], rel=1e-5)
    assert_close(inference, miwae[1])
    assert_close(decoder, iwae[2])
    assert not np.allclose(miwae[1][0], iwae[1][0], rtol=1e-3)
    assert not np.allclose(miwae[2][0], iwae[2][0], rtol=1e-3)


def random_trace(draws=12):
    mass = tf.math.log_softmax(tf.constant(np.random.RandomState(5).normal(size=(3, 4)), tf.float32), 0)
    return enumerated(mass, *random_terms(draws, 3, 4))


def test_bounds_are_ordered_on_every_trace():
    trace = random_trace()
    values = [trace.elbo, *(bounds.get({"name": "miwae", "num_groups": m})(trace) for m in (6, 4, 3, 2, 1))]
    assert all(np.all(low <= high + 1e-5) for low, high in itertools.pairwise([values[0], values[1], values[5]]))
    assert all(np.all(values[0] <= v + 1e-5) and np.all(v <= values[5] + 1e-5) for v in values)
    np.testing.assert_allclose(values[5], bounds.iwae(trace), rtol=1e-5)
    np.testing.assert_allclose(bounds.miwae(trace, 12), trace.elbo, rtol=1e-5)

    orders = [-math.inf, -5.0, -1.0, 0.0, 0.5, 0.999, 1, 2.0, 10.0]
    renyi = [bounds.get({"name": "renyi", "alpha": a})(trace) for a in orders]
    assert all(np.all(high >= low - 1e-4) for high, low in itertools.pairwise(renyi))
    np.testing.assert_allclose(renyi[3], bounds.iwae(trace), rtol=1e-5)
    np.testing.assert_allclose(renyi[5], renyi[6], atol=0.01)

    for weight, ends in ((0.0, bounds.iwae(trace)), (1.0, trace.elbo)):
        np.testing.assert_allclose(bounds.get({"name": "ciwae", "elbo_weight": weight})(trace), ends, rtol=1e-5)


def test_miwae_has_m_groups_of_k_draws_and_not_the_reverse():
    weights = np.log(np.arange(1.0, 7.0)).astype("float32").reshape(6, 1, 1)
    trace = enumerated(tf.zeros([1, 1]), tf.constant(weights))
    # M = 2 groups of K = 3: (1 + 2 + 3) / 3 = 2 and (4 + 5 + 6) / 3 = 5.
    assert float(bounds.miwae(trace, num_groups=2)[0]) == pytest.approx(0.5 * (math.log(2) + math.log(5)), rel=1e-5)


@pytest.mark.parametrize("bound", ["stl", "dreg", "miwae", "piwae", "ciwae", "renyi"])
def test_bounds_act_inside_each_enumerated_value(bound):
    """The bound of a mixture of labels is the mass-weighted sum of the bounds given each, plus the entropy."""
    trace, function = random_trace(6), bounds.get(bound)
    inside = []
    for value in range(3):
        one = enumerated(tf.zeros([1, 4]), trace.log_weight[:, value : value + 1])
        inside.append(function(one))
    expected = tf.reduce_sum(tf.exp(trace.log_mass[0]) * tf.stack(inside), 0) + trace.entropy
    np.testing.assert_allclose(function(trace), expected, rtol=1e-4)


def test_kl_balancing_spares_the_level_that_carries_little_while_the_kl_is_warmed_up():
    model = small("lvae")
    trace = model(random_batch(model), seed=seed(1))
    np.testing.assert_allclose(bounds.kl_balancing(trace), bounds.elbo(trace), rtol=1e-5)
    tempered = trace.temper(0.5)
    weights = []
    for name in ("z1", "z2"):
        with tf.GradientTape() as tape:
            scale = tf.ones([])
            tape.watch(scale)
            scaled = {**tempered.kl_per_unit, name: scale * tempered.kl_per_unit[name]}
            value = tf.reduce_mean(bounds.kl_balancing(tempered._replace(kl_per_unit=scaled)))
        weights.append(float(-tape.gradient(value, scale) / tf.reduce_mean(tempered.kl[name])))
    per_unit = [float(tf.reduce_mean(tempered.kl_per_unit[name])) for name in ("z1", "z2")]
    assert sum(weights) == pytest.approx(2, rel=1e-4)
    assert weights[0] / weights[1] == pytest.approx((per_unit[0] + 1e-3) / (per_unit[1] + 1e-3), rel=1e-4)


REFUSED = [
    ("vae", {"bound": {"name": "miwae", "num_groups": 4}, "num_samples": 6}, "6 draws do not make 4 groups"),
    ("vae", {"bound": {"name": "piwae", "num_groups": 0}, "num_samples": 6}, "num_groups must be positive"),
    ("vae", {"bound": {"name": "ciwae", "elbo_weight": 2.0}}, "elbo_weight lies between 0 and 1"),
    ("lvae", {"bound": "stl"}, "one stochastic level"),
    ("hierarchical_vae", {"bound": "dreg"}, "one stochastic level"),
    ("lvae", {"bound": "piwae", "num_samples": 2}, "shares no weights"),
]


@pytest.mark.parametrize(("name", "config", "message"), REFUSED, ids=[m for *_, m in REFUSED])
def test_bounds_that_do_not_fit_are_refused_in_one_line(name, config, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        model = small(name, **config)
        model.objective(model(random_batch(model)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [n for n in zoo.list_models() if "bound" in model_class(n)[0].capabilities])
def test_every_bound_says_something_finite_of_every_model(name):
    model = small(name)
    trace = model(random_batch(model), num_samples=4, seed=seed(1)).temper(0.5)
    for bound in BOUNDS:
        if "resampling" in BOUNDS[bound].needs:  # tests/test_particles.py
            continue
        value = bounds.get(bound)(trace)
        assert value.shape == (5,), bound
        assert np.all(np.isfinite(value)), bound


PATHS = ["planar_vae", "iaf_vae", "coupling_vae", "flow_prior_vae", "full_covariance_vae"]


@pytest.mark.parametrize("name", tiered(PATHS, ["planar_vae"].__contains__))
@pytest.mark.parametrize(
    ("plain", "path"),
    [("iwae", "dreg"), pytest.param({"name": "miwae", "num_groups": 4}, "stl", marks=pytest.mark.slow)],
)
def test_path_gradients_of_flows_have_the_expectation_of_the_plain_ones(name, plain, path):
    """Of the base's location; the layers' own parameters have the plain gradients of a generative model."""
    means, errors = [], []
    for bound in (plain, path):
        model = small(name, bound=bound, num_samples=4)
        model.compile("sgd")
        place = next(i for i, v in enumerate(model.trainable_variables) if v is model.posterior_head.dense.bias)
        batch = random_batch(model)
        one = tf.function(
            lambda number, model=model, place=place, batch=batch: tf.convert_to_tensor(
                step_gradients(model, batch, tf.stack([3, number]))[1][place]
            )
        )
        draws = tf.map_fn(one, tf.range(400), fn_output_signature=tf.float32).numpy()
        means.append(draws.mean(0))
        errors.append(draws.std(0) / 20)
    assert np.all(abs(means[0] - means[1]) < 4.5 * np.hypot(*errors))
