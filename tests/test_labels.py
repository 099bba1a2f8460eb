"""What is said of x with a label, and means over a batch whose rows weigh more or less."""

import numpy as np
import pytest
import tensorflow as tf
from support import lively, random_batch, seed, small
from test_truth import ALL_IMAGES, DRAWS, GENERATIVE

from zoo.objectives import bounds

LABELLED = {"m1": None, "m2": 1 / 3, "m1_m2": 1 / 3, "conditional_vae": 1.0, "jmvae": None}


@pytest.mark.parametrize("name", LABELLED)
def test_log_prob_and_score_of_a_label_are_of_x_and_y_together_where_the_model_has_a_p_of_y(name):
    """The sum over x of p(x, y) is p(y): 1/C in m2 and m1_m2; of p(x | y) it is 1, as of an m1's p(x)."""
    model = lively(name)
    model.score_samples, sums, of_score = 500, [], []
    seeds = tf.range(16, dtype=tf.int64)
    for label in range(3):
        y = tf.fill([16], label)
        sums.append(np.exp(model.log_prob(ALL_IMAGES, num_samples=8000, seed=label, y=y)).sum())
        scored = model.serve_score(x=tf.constant(ALL_IMAGES), seed=seeds, y=y)
        of_score.append(np.exp(scored["log_marginal"]).sum())
        assert np.all(scored["elbo"] <= scored["log_marginal"] + 1e-5)
    truth = {"m1": 1.0}.get(name, LABELLED[name])
    if name == "jmvae":
        drawn = model.sample(DRAWS, seed=2)["y"].numpy()
        truth = np.bincount(drawn, minlength=3) / DRAWS
        assert sum(sums) == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(sums, truth * np.ones(3), atol=0.03)
    if name in ("m2", "m1_m2"):
        each = [model.log_prob(ALL_IMAGES, num_samples=8000, seed=9, y=tf.fill([16], label)) for label in range(3)]
        unlabelled = model.log_prob(ALL_IMAGES, num_samples=8000, seed=8)
        np.testing.assert_allclose(tf.reduce_logsumexp(each, 0), unlabelled, atol=0.1)
    np.testing.assert_allclose(of_score, sums, atol=0.1)
    if name in ("m2", "m1_m2", "jmvae"):
        hidden = model.log_prob(ALL_IMAGES, num_samples=8000, seed=1, y=tf.fill([16], -1))
        assert np.exp(hidden).sum() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("name", GENERATIVE)
def test_free_bits_of_nothing_is_the_elbo_however_rows_are_weighted(name):
    model = small(name)
    batch = random_batch(model, 6)
    trace = model(batch, num_samples=2, seed=seed(1)).temper(0.7)
    trace = trace._replace(row_weight=tf.constant([2.0, 0.1, 0.4, 0.0, 3.0, 0.5]))
    np.testing.assert_allclose(bounds.get({"name": "free_bits", "nats": 0})(trace), bounds.elbo(trace), rtol=1e-6)


@pytest.mark.parametrize("bound", ["free_bits", "kl_balancing"])
def test_a_mean_over_the_batch_counts_a_row_as_often_as_it_weighs(bound):
    """Weights (2, 1, 0) are the batch of the rows 0, 0 and 1."""
    model = small("lvae")
    trace = model(random_batch(model, 3), seed=seed(1)).temper(0.5)
    weights, kl = tf.constant([2.0, 1.0, 0.0]), trace.kl["z1"] / trace.beta
    between = float(tf.reduce_mean((1 + weights) * kl) / 2)  # the mean, and the weighted mean
    function = bounds.get({"name": "free_bits", "nats": between} if bound == "free_bits" else bound)

    def rows(terms):
        return {name: tf.gather(value, [0, 0, 1], axis=value.shape.rank - 1) for name, value in terms.items()}

    again = trace._replace(
        latents={},
        log_likelihood=rows(trace.log_likelihood),
        log_prior=rows(trace.log_prior),
        log_posterior=rows(trace.log_posterior),
        log_mass=tf.zeros([1, 1, 3]),
        kl_per_unit={name: tf.gather(value, [0, 0, 1]) for name, value in trace.kl_per_unit.items()},
    )
    latents = {name: tf.gather(value, [0, 0, 1], axis=2) for name, value in trace.latents.items()}
    expected = tf.reduce_mean(function(again._replace(latents=latents)))
    weighted = tf.reduce_mean(weights * function(trace._replace(row_weight=weights)))
    assert float(weighted) == pytest.approx(float(expected), rel=1e-5)
    plain = tf.reduce_mean(weights * function(trace))
    assert abs(float(plain) - float(expected)) > 1e-4, "the test is blind"
