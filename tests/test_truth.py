"""What must be true of log densities and bounds, whatever the weights: exact answers, sums to one, order."""

import functools
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import lively, random_batch, seed, small

import zoo
from zoo.creation import model_class
from zoo.errors import InvalidInput
from zoo.objectives import bounds
from zoo.objectives.trace import Trace

tfd = tfp.distributions
CLASSES = {model_class(name)[0] for name in zoo.list_models()}
GENERATIVE = sorted(cls.registry_name for cls in CLASSES if "bound" in cls.capabilities)
ALL_IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32").reshape(16, 2, 2, 1)
DRAWS = 20000


@functools.cache
def known(name):
    """A model that tests look at and leave as it is."""
    return lively(name)


def conditions(model):
    """The conditions on which p(x | condition) is a distribution: none, no label, or each where one is needed."""
    label = next(iter(model.fields_of("label", "condition")), None)
    if label is None:
        return [{}]
    return [{label: -1}] if model.data_spec[label].optional else [{label: y} for y in range(model.num_classes)]


def images(drawn):
    """The images of what a model gives: all of it, or its field "x"."""
    return (drawn["x"] if isinstance(drawn, dict) else drawn).numpy()


def repeated(condition, size):
    return {name: tf.fill([size], value) for name, value in condition.items()}


@pytest.mark.parametrize("name", GENERATIVE)
def test_probabilities_of_all_images_sum_to_one_and_are_the_frequencies_of_samples(name):
    model = known(name)
    for condition in conditions(model):
        trace = model({"x": tf.constant(ALL_IMAGES), **repeated(condition, 16)}, num_samples=DRAWS, seed=seed(1))
        weight = np.exp(tf.reduce_logsumexp(trace.log_weight, 1).numpy().astype("float64"))
        error = weight.std(0) / math.sqrt(DRAWS)
        probability = np.exp(trace.log_marginal.numpy().astype("float64"))
        np.testing.assert_allclose(probability, weight.mean(0), rtol=1e-3)
        assert probability.max() > 2 * probability.min(), "the test is blind: the images are equally probable"
        total_error = math.sqrt((error**2).sum())
        assert total_error < 0.01
        assert abs(probability.sum() - 1) < 4 * total_error + 1e-6

        samples = images(model.sample(DRAWS, seed=2, **repeated(condition, DRAWS))).reshape(DRAWS, 4)
        counts = np.bincount((samples @ [8, 4, 2, 1]).astype(int), minlength=16)
        noise = np.sqrt(probability * (1 - probability) / DRAWS + error**2)
        assert np.all(abs(counts / DRAWS - probability) < 5 * noise)


def linear_gaussian(noise=0.5):
    """(model with its exact posterior in the weights, p(x)): x = W z + c + noise."""
    W, c = np.array([[1.0, 0.3, -0.5], [0.2, -0.8, 0.4]]), np.array([0.1, -0.2, 0.3])
    model = zoo.create(
        "vae",
        data_shape=(3,),
        latent_dim=2,
        encoder=keras.layers.Dense(3, kernel_initializer="identity", trainable=False),
        decoder=keras.layers.Dense(3),
        posterior="full_covariance",
        likelihood={"name": "normal", "scale": noise},
    )
    covariance = np.linalg.inv(np.eye(2) + W @ W.T / noise**2)
    factor = np.linalg.cholesky(covariance)
    diagonal = tfp.math.softplus_inverse(np.diag(factor) - 1e-4) + 1e-4  # of `soft_scale`
    raw = (factor - np.diag(np.diag(factor)) + np.diag(diagonal))[np.tril_indices(2)]  # row by row
    gain = W.T @ covariance / noise**2
    model.posterior_head.dense.set_weights(
        [np.concatenate([gain, np.zeros((3, 3))], 1), np.concatenate([-c @ gain, raw])]
    )
    model.decoder.set_weights([W, c])
    marginal = tfd.MultivariateNormalTriL(c, np.linalg.cholesky(W.T @ W + noise**2 * np.eye(3)))
    return model, marginal


def test_every_draw_of_the_exact_posterior_weighs_the_likelihood_of_a_linear_gaussian_model():
    model, marginal = linear_gaussian()
    x = marginal.sample(7, seed=3)
    trace = model(tf.cast(x, tf.float32), num_samples=50, seed=seed(1))
    exact = np.broadcast_to(marginal.log_prob(x), trace.log_weight.shape)
    np.testing.assert_allclose(trace.log_weight, exact, atol=2e-4)
    np.testing.assert_allclose(trace.elbo, exact[0, 0], atol=2e-4)
    np.testing.assert_allclose(trace.log_marginal, exact[0, 0], atol=2e-4)
    np.testing.assert_allclose(bounds.iwae(trace), exact[0, 0], atol=2e-4)


def test_evaluate_returns_the_known_likelihood():
    model, marginal = linear_gaussian()
    x = marginal.sample(250, seed=4).numpy()
    exact = -marginal.log_prob(x).numpy()
    metrics = zoo.evaluate(model, x.astype("float32"), num_samples=3)
    for name, sign in (("nll", 1), ("elbo", -1)):
        assert metrics[name]["value"] == pytest.approx(sign * exact.mean(), abs=2e-4)
        assert metrics[name]["standard_error"] == pytest.approx(exact.std(ddof=1) / math.sqrt(250), rel=1e-3)
        assert metrics[name]["num_examples"] == 250
    difference = metrics["reconstruction"]["value"] - metrics["kl"]["value"]
    assert difference == pytest.approx(metrics["elbo"]["value"], abs=1e-4)
    # The location A (x - c) varies over the data in both units.
    assert metrics["active_units"] == {"value": 2, "of": 2, "num_examples": 250}


def test_evaluate_does_not_depend_on_how_the_draws_are_divided(monkeypatch):
    model = lively("vae")
    whole = zoo.evaluate(model, ALL_IMAGES, num_samples=4000)
    monkeypatch.setattr("zoo.evaluation.importance.CHUNK_BYTES", 4 * 3000 * 16 * 1500)  # 1024 draws and more
    parts = zoo.evaluate(model, ALL_IMAGES, num_samples=4000)
    for name in ("nll", "elbo", "reconstruction", "kl", "bits_per_dim"):
        assert parts[name]["value"] == pytest.approx(whole[name]["value"], abs=0.02)
    assert whole["bits_per_dim"]["value"] == pytest.approx(whole["nll"]["value"] / (4 * math.log(2)))


@pytest.mark.parametrize("name", GENERATIVE)
def test_bounds_are_ordered_on_every_trace(name):
    model = known(name)
    trace = model(random_batch(model), num_samples=20, seed=seed(1))
    gap = (trace.log_marginal - trace.elbo).numpy()
    assert np.all(gap > 0) if trace.latents else np.all(abs(gap) < 1e-5)
    assert np.all(bounds.iwae(trace) <= trace.log_marginal + 1e-5)
    np.testing.assert_allclose(trace.elbo, trace.reconstruction + trace.entropy - mc_kl(trace), rtol=1e-5, atol=1e-5)


def mc_kl(trace):
    return sum(trace.expect(trace.log_posterior[n] - trace.log_prior[n]) for n in trace.log_prior)


def test_the_mean_of_iwae_rises_with_the_number_of_draws():
    model, repeats = lively("vae"), 4000
    x = tf.repeat(tf.constant(ALL_IMAGES[5:6]), repeats, 0)
    values = [bounds.iwae(model(x, num_samples=s, seed=seed(s))).numpy() for s in (1, 4, 16)]
    for low, high in itertools.pairwise(values):
        error = math.sqrt((low.var() + high.var()) / repeats)
        assert high.mean() - low.mean() > 3 * error


@pytest.mark.parametrize("name", GENERATIVE)
def test_iwae_of_one_draw_is_the_elbo(name):
    model = known(name)
    trace = model(random_batch(model), num_samples=1, seed=seed(1))
    np.testing.assert_allclose(bounds.iwae(trace), trace.elbo, rtol=1e-5)


@pytest.mark.parametrize("name", GENERATIVE)
def test_the_closed_form_elbo_has_the_expectation_of_the_drawn_one(name):
    model = known(name)
    trace = model(random_batch(model), num_samples=DRAWS, seed=seed(1))
    if not trace.kl_per_unit:
        pytest.skip("this posterior has no KL per unit in closed form")
    drawn = sum(trace.log_posterior.values()) - sum(trace.log_prior.values())
    error = tf.math.reduce_std(tf.reduce_sum(tf.exp(trace.log_mass) * drawn, 1), 0) / math.sqrt(DRAWS)
    assert np.all(abs(bounds.elbo(trace) - trace.elbo) < 4.5 * error)
    for latent, units in trace.kl_per_unit.items():
        np.testing.assert_allclose(trace.kl[latent], tf.reduce_sum(units, -1), rtol=1e-6)
        if name != "hierarchical_vae" or latent == "z2":  # its lower levels have no closed form
            assert np.all(units >= 0)


def test_beta_one_is_the_vae_and_beta_weighs_the_kl():
    vae, one, four = small("vae"), small("beta_vae", beta=1.0), small("beta_vae")
    x = random_batch(vae)
    assert float(four.beta) == 4.0
    objectives = [m.objective(m(x, seed=seed(1))).numpy() for m in (vae, one, four)]
    np.testing.assert_array_equal(objectives[0], objectives[1])
    trace = vae(x, seed=seed(1))
    np.testing.assert_allclose(objectives[2], trace.reconstruction - 4 * trace.kl["z"], rtol=1e-5)
    # The ELBO that fit prints is the ELBO, whatever beta is.
    np.testing.assert_allclose(four.terms(four(x, seed=seed(1)))["elbo"], objectives[0], rtol=1e-5)


# ---------------------------------------------------------------- free bits


@pytest.mark.parametrize("groups", [1, 3])
def test_free_bits_is_the_mean_elbo_where_every_group_costs_more_than_lambda(groups):
    model = small("vae")
    trace = model(random_batch(model), seed=seed(1))
    cheapest = float(tf.reduce_min(tf.reduce_mean(trace.kl_per_unit["z"], 0)))
    bound = bounds.get({"name": "free_bits", "nats": 0.5 * cheapest, "num_groups": groups})
    assert float(tf.reduce_mean(bound(trace))) == pytest.approx(float(tf.reduce_mean(bounds.elbo(trace))), rel=1e-5)


@pytest.mark.parametrize("groups", [1, 3])
def test_free_bits_does_not_pull_the_posterior_towards_the_prior_below_lambda(groups):
    """Units that the decoder ignores have no gradient but the KL's: free_bits takes it away, the ELBO does not."""
    model = small("vae")
    for weight in model.decoder.trainable_weights:
        weight.assign(tf.zeros_like(weight))
    x = random_batch(model)

    def posterior_gradient(bound):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(bound(model(x, seed=seed(1))))
        return float(tf.reduce_max(abs(tape.gradient(value, model.posterior_head.dense.kernel))))

    assert posterior_gradient(bounds.get({"name": "free_bits", "nats": 1e3, "num_groups": groups})) == 0
    assert posterior_gradient(bounds.elbo) > 1e-3


def test_free_bits_refuses_groups_that_do_not_divide_the_units():
    model = small("vae", bound={"name": "free_bits", "num_groups": 2})
    with pytest.raises(InvalidInput, match="3 units"):
        model.objective(model(random_batch(model)))


# ---------------------------------------------------------------- enumerated latents, by hand


def enumerated(log_mass, log_likelihood, log_prior=0.0, log_posterior=0.0):
    """A trace of one latent and one enumerated value; log_mass [C, B], the rest [S, C, B]."""
    zeros = tf.zeros_like(log_likelihood)
    return Trace(
        latents={},
        log_likelihood={"x": log_likelihood},
        log_prior={"z": zeros + log_prior},
        log_posterior={"z": zeros + log_posterior},
        log_mass=log_mass[None],
        kl_per_unit={},
    )


def random_terms(draws, values, size):
    return [tf.constant(np.random.RandomState(i).normal(size=(draws, values, size)), tf.float32) for i in range(3)]


def log_marginal(trace):
    return trace.log_marginal


@pytest.mark.parametrize("bound", [bounds.elbo, bounds.iwae, lambda t: t.elbo, log_marginal])
def test_an_observed_value_leaves_its_own_bound_and_finite_gradients(bound):
    """log_mass 0 on the observed value and -inf elsewhere is the model given that value, with C = 1."""
    observed = tf.constant([2, 0, 1])
    mask = tf.transpose(tf.one_hot(observed, 3, on_value=True, off_value=False))
    terms = random_terms(4, 3, 3)
    logits = tf.constant(np.random.RandomState(9).normal(size=(3, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([*terms, logits])
        # Rows 0 and 1 are observed, row 2 is not.
        known = tf.where(mask, 0.0, -math.inf)
        mass = tf.where(tf.constant([True, True, False]), known, tf.nn.log_softmax(logits, 0))
        value = bound(enumerated(mass, *terms))
        total = tf.reduce_sum(value)
    for row in (0, 1):
        chosen = [t[:, observed[row] : observed[row] + 1, row : row + 1] for t in terms]
        alone = bound(enumerated(tf.zeros([1, 1]), *chosen))
        assert float(value[row]) == pytest.approx(float(alone[0]), rel=1e-5)
    gradients = tape.gradient(total, [*terms, logits])
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    assert all(np.any(gradient != 0) for gradient in gradients[:-1])
    assert np.any(gradients[-1] != 0) == (bound is not log_marginal), "q(y | x) cancels in log_marginal"


def test_bounds_of_an_enumerated_latent_are_those_of_the_sum_over_its_values():
    """With C values, one z draw: log_marginal = log sum_c p(x, c), elbo = sum_c q(c) (log p(x, c) - log q(c))."""
    joint = np.log([[0.1, 0.3], [0.25, 0.05], [0.15, 0.2]]).astype("float32")  # log p(x, c), [C, B]
    q = np.array([[0.2, 0.5], [0.5, 0.25], [0.3, 0.25]], "float32")
    trace = enumerated(tf.constant(np.log(q)), tf.constant(joint)[None])
    np.testing.assert_allclose(trace.log_marginal, np.log(np.exp(joint).sum(0)), rtol=1e-5)
    exact_elbo = (q * (joint - np.log(q))).sum(0)
    np.testing.assert_allclose(trace.elbo, exact_elbo, rtol=1e-5)
    np.testing.assert_allclose(bounds.iwae(trace), exact_elbo, rtol=1e-5)
    np.testing.assert_allclose(bounds.elbo(trace), exact_elbo, rtol=1e-5)


def test_one_value_is_no_enumeration():
    terms = random_terms(6, 1, 4)
    trace = enumerated(tf.zeros([1, 4]), *terms)
    weight = (terms[0] + terms[1] - terms[2]).numpy()[:, 0]
    np.testing.assert_allclose(trace.elbo, weight.mean(0), rtol=1e-5)
    np.testing.assert_allclose(trace.log_marginal, np.log(np.exp(weight).mean(0)), rtol=1e-5)
    np.testing.assert_array_equal(trace.entropy, np.zeros(4))
