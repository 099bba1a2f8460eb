"""The energies of the plane by hand, their integrals, and a fit's divergence against quadrature."""

import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.energies import ENERGIES, Fit, base, energy, log_normalizer, plane, random_layers, true_density
from zoo.distributions import FlowDistribution
from zoo.errors import InvalidInput


def test_energies_on_points_by_hand():
    def at(name, *point):
        return float(energy(name, tf.constant([point], tf.float64))[0])

    assert at("U1", 2, 0) == pytest.approx(-math.log(1 + math.exp(-0.5 * (4 / 0.6) ** 2)))
    assert at("U2", 1, 1.8) == pytest.approx(0.5 * 2**2)  # w1(1) = 1
    w2 = 3 * math.exp(-0.5 * (1 / 0.6) ** 2)  # at z1 = 2, where w1 = 0
    assert at("U3", 2, 0) == pytest.approx(-math.log(1 + math.exp(-0.5 * (w2 / 0.35) ** 2)))
    w3 = 3 / (1 + math.exp(-1 / 0.3))
    assert at("U4", 2, 0.2) == pytest.approx(-math.log(math.exp(-0.125) + math.exp(-0.5 * ((0.2 + w3) / 0.35) ** 2)))
    assert at("U2", 4.4, 0.0) - 0.5 * (math.sin(2.2 * math.pi) / 0.4) ** 2 == pytest.approx(0.5 * 2**2)  # the wall


@pytest.mark.parametrize("name", ENERGIES)
def test_the_normaliser_does_not_depend_on_the_grid_and_the_density_sums_to_one(name):
    assert log_normalizer(name) == pytest.approx(log_normalizer(name, 900), abs=1e-6)
    mass = true_density(name, 400).sum() * (8 / 400) ** 2
    assert 0.9 < mass <= 1 + 1e-6  # the walls and the fourth branch leave a little outside of the picture


def test_the_normaliser_of_the_wave_is_that_of_its_gaussians():
    """Along z2 a Gaussian of scale 0.4 for every z1; along z1 a width of 8 and two half Gaussians of scale 0.2."""
    exact = math.log(0.4 * math.sqrt(2 * math.pi) * (8 + 0.2 * math.sqrt(2 * math.pi)))
    assert log_normalizer("U2") == pytest.approx(exact, abs=1e-6)


def test_a_fit_comes_nearer_and_its_divergence_is_that_of_the_densities():
    fit = Fit("U2", {"name": "planar", "num_layers": 2}, steps=200, batch_size=100)
    before, _ = fit.kl(5000)
    value, error = fit.run().kl(20_000)
    assert 0 < value < before - 1
    points, q = plane(300), fit.density(300)
    log_p = -energy("U2", tf.constant(points)).numpy() - log_normalizer("U2")
    integral = (q * (np.log(q + 1e-300) - log_p)).sum() * (8 / 300) ** 2
    assert q.sum() * (8 / 300) ** 2 == pytest.approx(1, abs=0.05)
    assert value == pytest.approx(integral, abs=5 * error + 0.1 * abs(value) + 0.05)


@pytest.mark.parametrize("kind", ["planar", "radial"])
@pytest.mark.parametrize("name", ["Gaussian", "uniform"])
def test_drawn_layers_keep_the_mass_of_their_base(name, kind):
    flow = FlowDistribution(base(name), random_layers(kind, 2))
    cell = (2 * 20 / 1000) ** 2
    assert cell * np.exp(flow.log_prob(plane(1000, 20))).sum() == pytest.approx(1.0, abs=0.01)


def test_wrong_names_are_one_clear_line():
    for make, message in (
        (lambda: Fit("U5", "planar"), "unknown energy 'U5'"),
        (lambda: Fit("U1", "planar", steps=0), "steps must be positive"),
        (lambda: random_layers("plnar", 2), "did you mean planar"),
        (lambda: Fit("U1", "full_covariance"), "takes no argument 'amortized'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            make()
