"""Penalties that disentangle: against the known total correlation, information and covariance of Gaussian codes."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal, norm
from support import random_batch, small

import zoo
from zoo.errors import InvalidInput
from zoo.registry import PENALTIES
from zoo.training import Linear

COVARIANCE = np.array([[1.0, 0.7, 0.0], [0.7, 1.5, 0.2], [0.0, 0.2, 0.8]])
NOISE = 0.5


def gaussian_codes(count, seed=0):
    """(z, loc, deviation, mass), [1, N, D] and [1, N], of posteriors whose aggregate is a Gaussian."""
    random = np.random.RandomState(seed)
    loc = random.multivariate_normal(np.zeros(3), COVARIANCE, count)[None]
    z = loc + NOISE * random.normal(size=loc.shape)
    return [tf.constant(v, tf.float32) for v in (z, loc, np.full_like(loc, NOISE), np.ones(loc.shape[:2]))]


def test_the_parts_of_the_kl_are_those_of_gaussian_codes():
    """Each is a mean over draws, and is compared at these with that of the Gaussian that all posteriors make up."""
    z, loc, deviation, mass = gaussian_codes(1200)
    joint, units = (values[0].numpy() for values in PENALTIES.create("tc").aggregate(z, loc, deviation, mass))
    found, z, loc = COVARIANCE + NOISE**2 * np.eye(3), z[0].numpy(), loc[0].numpy()
    whole = multivariate_normal(np.zeros(3), found).logpdf(z)
    each = norm(0.0, np.sqrt(np.diag(found))).logpdf(z).sum(-1)
    own, prior = norm(loc, NOISE).logpdf(z).sum(-1), norm(0.0, 1.0).logpdf(z).sum(-1)
    for estimate, exact in (
        ((joint - units.sum(-1)).mean(), (whole - each).mean()),
        ((own - joint).mean(), (own - whole).mean()),
        ((units.sum(-1) - prior).mean(), (each - prior).mean()),
    ):
        assert exact > 0.06, "the test is blind"
        assert estimate == pytest.approx(exact, abs=0.04)


def test_what_a_batch_says_of_the_code_of_all_data_has_no_bias():
    count, size = 12, 4
    z, loc, deviation, mass = gaussian_codes(count)
    whole = np.exp(PENALTIES.create("tc").aggregate(z, loc, deviation, mass)[0][0])
    random, found = np.random.RandomState(1), [[] for _ in range(count)]
    stratified = PENALTIES.create({"name": "tc", "num_examples": count})
    weighted = PENALTIES.create({"name": "tc", "num_examples": count, "estimate": "weighted"})
    low = []
    for _ in range(600):
        rows = random.choice(count, size, replace=False)
        batch = [tf.gather(v, rows, axis=1) for v in (z, loc, deviation, mass)]
        for row, value in zip(rows, np.exp(stratified.aggregate(*batch)[0][0]), strict=True):
            found[row].append(value)
        low.append((np.exp(weighted.aggregate(*batch)[0][0]) / whole[rows]).mean())
    for row, values in enumerate(found):
        assert abs(np.mean(values) - whole[row]) < 4.5 * np.std(values) / math.sqrt(len(values)) + 1e-6
    assert np.mean(low) < 0.9


def test_dip_is_the_squared_distance_of_a_covariance_from_the_identity():
    model = small("vae")
    p = model.forward(random_batch(model, 7), tf.constant([1, 2]), training=True)
    loc, deviation = p.posterior["z"].mean().numpy(), p.posterior["z"].stddev().numpy()
    means = np.cov(loc.T, ddof=0)
    for name, found, diagonal in (("dip_1", means, 10.0), ("dip_2", means + np.diag((deviation**2).mean(0)), 1.0)):
        own = np.diag(found)
        wanted = (found**2).sum() - (own**2).sum() + diagonal * ((own - 1) ** 2).sum()
        assert float(PENALTIES.create(name)(p, model)) == pytest.approx(wanted, rel=1e-4)


def test_a_capacity_holds_the_kl_and_grows_by_a_schedule():
    model = small("annealed_vae")
    p = model.forward(random_batch(model, 7), tf.constant([1, 2]), training=True)
    (penalty,) = model.penalties
    np.testing.assert_allclose(penalty(p, model), abs(p.trace.kl["z"] - 25.0), rtol=1e-5)
    assert float(model.beta) == 0.0
    model.compile("adam")
    data = tf.data.Dataset.from_tensors(random_batch(model, 8)).repeat(3)
    model.fit(data, callbacks=[Linear(steps=4, stop=8.0, variable="capacity.nats")], verbose=0)
    assert float(model.scalars["capacity.nats"]) == 4.0


@pytest.mark.parametrize("name", ["beta_tc_vae", "factor_vae", "dip_vae", "info_vae", "annealed_vae"])
def test_a_name_is_the_vae_with_its_penalty(name, tmp_path):
    model = small(name)
    model.compile(keras.optimizers.Adam(1e-3))
    (penalty,) = model.penalties
    logs = model.fit(random_batch(model, 8)["x"], batch_size=4, verbose=0).history
    assert np.isfinite(logs[penalty.name][0]) and logs["skipped"] == [0.0]
    zoo.save(model, tmp_path / "m")
    again = zoo.load(tmp_path / "m")
    assert [one.name for one in again.penalties] == [penalty.name] and float(again.beta) == float(model.beta)


@pytest.mark.slow
def test_the_total_correlation_of_a_trained_code_falls():
    """Two pixels that are alike want two units that are: what tc takes away."""

    def left(penalties):
        model = small(
            "vae",
            latent_dim=2,
            data_shape=(2, 1, 1),
            likelihood={"name": "normal", "scale": 0.3},
            penalties=penalties,
            seed=1,
        )
        random = np.random.RandomState(0)
        x = random.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 512).reshape(512, 2, 1, 1).astype("float32")
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(x, batch_size=64, epochs=30, verbose=0)
        q = model.posterior(x)
        parts = [v[None] for v in (q.sample(seed=3), q.mean(), q.stddev())]
        joint, units = PENALTIES.create("tc").aggregate(*parts, tf.ones([1, 512]))
        return float(tf.reduce_mean(joint - tf.reduce_sum(units, -1)))

    assert left([{"name": "tc", "weight": 20.0}]) < left([]) + 0.02


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"penalties": [{"name": "tc", "estimate": "exact"}]}, "estimate of the total correlation"),
        ({"penalties": [{"name": "tc", "num_examples": 0}]}, "num_examples"),
        ({"penalties": ["tc"], "posterior": "full_covariance"}, "does not factorise"),
        ({"penalties": [{"name": "dip_1", "diagonal": -1.0}]}, "diagonal is a number from 0"),
        ({"penalties": [{"name": "capacity", "nats": -1.0}]}, "nats is a number from 0"),
    ],
)
def test_what_does_not_fit_is_one_line(arguments, said):
    with pytest.raises(InvalidInput, match=said):
        small("vae", **arguments).compile("adam")


def test_the_total_correlation_of_a_hierarchy_or_of_one_row_is_refused():
    with pytest.raises(InvalidInput, match="needs"):
        small("hierarchical_vae", penalties=["tc"])
    model = small("vae", penalties=["tc"])
    model.compile("adam")
    with pytest.raises(InvalidInput, match="at least 2"):
        model.train_on_batch(random_batch(model, 1)["x"])
