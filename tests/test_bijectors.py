"""Bijectors in float64: the autodiff Jacobian, the paper's formula worked by hand, inverses, batched parameters."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.bijectors import (
    Affine,
    Coupling,
    Householder,
    InverseAutoregressive,
    Planar,
    Radial,
    Spline,
    Sylvester,
    householder_columns,
    orthonormal_columns,
)
from zoo.bijectors.base import solve_increasing
from zoo.bijectors.coupling import halves
from zoo.distributions import FlowDistribution
from zoo.errors import InvalidInput

tfb, tfd = tfp.bijectors, tfp.distributions
D, M = 4, 2


def draws(random, *shape, scale=1.0):
    return tf.constant(random.normal(size=shape) * scale, tf.float64)


def planar(random, batch, size):
    return Planar(draws(random, *batch, size, scale=2), draws(random, *batch, size), draws(random, *batch))


def radial(random, batch, size):
    alpha = tf.exp(draws(random, *batch))
    return Radial(draws(random, *batch, size), alpha, draws(random, *batch, scale=3))


def householder(random, batch, size):
    return Householder(draws(random, *batch, size))


def triangles(random, batch, size):
    matrices = [np.triu(draws(random, *batch, size, size)) for _ in range(2)]
    for matrix in matrices:
        matrix[..., range(size), range(size)] = np.tanh(matrix[..., range(size), range(size)])
    return [tf.constant(m) for m in matrices]


def sylvester_orthogonal(random, batch, size):
    q = orthonormal_columns(draws(random, *batch, size, M), steps=60)
    return Sylvester(q, *triangles(random, batch, M), draws(random, *batch, M))


def sylvester_householder(random, batch, size):
    q = householder_columns([draws(random, *batch, size) for _ in range(3)], size)
    return Sylvester(q, *triangles(random, batch, size), draws(random, *batch, size))


def sylvester_triangular(random, batch, size):
    return Sylvester(None, *triangles(random, batch, size), draws(random, *batch, size))


def sylvester_lower(random, batch, size):
    r, s = (tf.linalg.matrix_transpose(m) for m in triangles(random, batch, size))
    return Sylvester(None, r, s, draws(random, *batch, size), lower=True)


def autoregressive(random, batch, size):
    first, second = (np.tril(random.normal(size=(size, size)), -1) for _ in range(2))
    context = draws(random, *batch, size)
    return InverseAutoregressive(
        lambda x: (tf.tensordot(tf.tanh(x), first.T, 1) + context, tf.tensordot(tf.sin(x), second.T, 1) - context)
    )


def affine_coupling(random, batch, size):
    kept, weights = [0, 2], random.normal(size=(2, 2, size - 2))
    context = draws(random, *batch, size - 2)

    def conditioner(a):
        return Affine(tf.tanh(tf.tensordot(a, weights[0], 1) + context), tf.tensordot(a, weights[1], 1) - context)

    return Coupling(kept, conditioner, size)


def spline_parts(random, batch, size, bins=5, limit=3.0):
    widths, heights = (2 * limit * tf.nn.softmax(draws(random, *batch, size, bins)) for _ in range(2))
    return widths, heights, tf.exp(draws(random, *batch, size, bins - 1)), limit


def spline(random, batch, size):
    return Spline(*spline_parts(random, batch, size))


def spline_coupling(random, batch, size):
    parts = spline_parts(random, batch, size - 2)
    weights = random.normal(size=(2, size - 2))
    bent = lambda a: tf.exp(tf.sin(tf.tensordot(a, weights, 1)))[..., None]  # noqa: E731
    return Coupling([1, 3], lambda a: Spline(parts[0], parts[1], parts[2] * bent(a), parts[3]), size)


MAKERS = [
    planar,
    radial,
    householder,
    sylvester_orthogonal,
    sylvester_householder,
    sylvester_triangular,
    sylvester_lower,
    autoregressive,
    affine_coupling,
    spline,
    spline_coupling,
]
each_flow = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
SHAPES = [((), (3,)), ((5,), (5,)), ((5,), (3, 5)), ((1,), (2, 3, 5))]  # of parameters and of inputs


@each_flow
@pytest.mark.parametrize(("batch", "lead"), SHAPES, ids=str)
def test_the_log_determinant_is_that_of_the_autodiff_jacobian(make, batch, lead):
    random = np.random.RandomState(3)
    flow = make(random, batch, D)
    x = draws(random, *lead, D, scale=1.5)
    jacobian = jacobian_of(lambda x: flow.push(x)[0], x)
    y = flow.forward(x)
    log_det = flow.forward_log_det_jacobian(x, event_ndims=1)
    assert log_det.shape == lead
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-9)
    np.testing.assert_allclose(flow.inverse_log_det_jacobian(y, event_ndims=1), -log_det, atol=1e-7)


def jacobian_of(function, x):
    """[..., D, D] at each point of x [..., D]; points do not see each other. Not of `forward`, which TFP caches."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        parts = tf.unstack(function(x), axis=-1)
    return tf.stack([tape.gradient(part, x, unconnected_gradients="zero") for part in parts], -2)


@each_flow
@pytest.mark.parametrize(("batch", "lead"), SHAPES, ids=str)
def test_the_inverse_undoes_the_forward_and_each_is_the_others_log_determinant(make, batch, lead):
    random = np.random.RandomState(4)
    flow = make(random, batch, D)
    x = draws(random, *lead, D, scale=2)
    y, log_det = flow.push(x)
    assert np.any(abs(y - x) > 1e-2)
    back, back_log_det = flow.pull(y)
    np.testing.assert_allclose(back, x, atol=1e-8)
    np.testing.assert_allclose(back_log_det, -log_det, atol=1e-8)
    np.testing.assert_allclose(flow.push(flow.pull(x)[0])[0], x, atol=1e-8)


@each_flow
def test_a_batch_of_parameters_is_each_of_them_alone(make):
    """[B, D] against [S, B, D]: column b of the inputs meets row b of the parameters."""
    batched = make(np.random.RandomState(5), (3,), D)
    x = draws(np.random.RandomState(6), 2, 3, D)
    y, log_det = batched.push(x)
    for s in range(2):
        alone, alone_log_det = batched.push(x[s])
        np.testing.assert_allclose(alone, y[s], rtol=1e-10)
        np.testing.assert_allclose(alone_log_det, log_det[s], rtol=1e-9, atol=1e-12)
    moved, _ = batched.push(x + tf.constant([[1.0], [0.0], [0.0]], tf.float64))
    np.testing.assert_array_equal(moved[:, 1:], y[:, 1:])


@each_flow
def test_the_gradient_of_the_inverse_is_the_inverse_of_the_jacobian(make):
    random = np.random.RandomState(7)
    flow = make(random, (1,), D)
    x = draws(random, 1, D)
    y, _ = flow.push(x)
    backwards = jacobian_of(lambda y: flow.pull(y)[0], y)[0]
    np.testing.assert_allclose(backwards, np.linalg.inv(jacobian_of(lambda x: flow.push(x)[0], x)[0]), atol=1e-6)


@each_flow
def test_densities_in_the_plane_sum_to_one(make):
    if make in (affine_coupling, spline_coupling):
        pytest.skip("made for four units")
    flow = make(np.random.RandomState(12), (), 2)
    base = tfd.Independent(tfd.Normal(tf.zeros([2], tf.float64), tf.ones([2], tf.float64)), 1)
    places = np.linspace(-8, 8, 701)
    grid = tf.constant(np.stack(np.meshgrid(places, places), -1).reshape(-1, 2))
    density = np.exp(FlowDistribution(base, [flow]).log_prob(grid))
    assert density.sum() * (places[1] - places[0]) ** 2 == pytest.approx(1, abs=5e-3)


# ---------------------------------------------------------------- the papers' formulas, by hand


def test_planar_on_a_point_by_hand():
    """u = (-3, 1), w = (1, 2), b = 1/2, z = (1, -1/2): w.u = -1 and w.z = 0, so h = tanh(1/2)."""
    flow = Planar(*(tf.constant(v, tf.float64) for v in ([-3.0, 1.0], [1.0, 2.0], 0.5)))
    m = -1 + math.log(1 + math.exp(-1))  # -0.6867...
    u_hat = (-3 + (m + 1) / 5, 1 + 2 * (m + 1) / 5)
    h = math.tanh(0.5)
    y, log_det = flow.push(tf.constant([1.0, -0.5], tf.float64))
    np.testing.assert_allclose(y, [1 + u_hat[0] * h, -0.5 + u_hat[1] * h], rtol=1e-12)
    assert float(log_det) == pytest.approx(math.log(1 + (1 - h**2) * (u_hat[0] + 2 * u_hat[1])))


def test_radial_on_a_point_by_hand():
    """z0 = (1, 0), alpha = 2, beta = 0, z = (4, 4): r = 5, h = 1/7, h' = -1/49, beta' = ln 2 - 2."""
    flow = Radial(*(tf.constant(v, tf.float64) for v in ([1.0, 0.0], 2.0, 0.0)))
    beta = math.log(2) - 2
    y, log_det = flow.push(tf.constant([4.0, 4.0], tf.float64))
    np.testing.assert_allclose(y, [4 + 3 * beta / 7, 4 + 4 * beta / 7], rtol=1e-12)
    assert float(log_det) == pytest.approx(math.log(1 + beta / 7) + math.log(1 + beta / 7 - 5 * beta / 49))


def test_householder_on_a_point_by_hand():
    """v = (1, 2), z = (3, 1): v.z = 5, |v|^2 = 5."""
    y, log_det = Householder(tf.constant([1.0, 2.0])).push(tf.constant([3.0, 1.0]))
    np.testing.assert_allclose(y, [1.0, -3.0], rtol=1e-6)
    assert float(log_det) == 0


def test_sylvester_on_a_point_by_hand():
    """Q = (0.6, 0.8)^T, R = 1/2, S = -1, b = 1/4, z = (1, 2): Q.z = 2.2."""
    parts = ([[0.6], [0.8]], [[0.5]], [[-1.0]], [0.25])
    y, log_det = Sylvester(*(tf.constant(v, tf.float64) for v in parts)).push(tf.constant([1.0, 2.0], tf.float64))
    h = math.tanh(-2.2 + 0.25)
    np.testing.assert_allclose(y, [1 + 0.6 * 0.5 * h, 2 + 0.8 * 0.5 * h], rtol=1e-12)
    assert float(log_det) == pytest.approx(math.log(1 - 0.5 * (1 - h**2)))


def test_the_autoregressive_gate_on_a_point_by_hand():
    """logit (0, x1), shift (1, 2): y = (x1 + 1, x2 sigmoid(x1 + 1) / sigmoid(1) + 2)."""
    zero, one = tf.zeros([], tf.float64), tf.ones([], tf.float64)
    flow = InverseAutoregressive(lambda x: (tf.stack([zero, x[0]]), tf.stack([one, 2 * one])))
    y, log_det = flow.push(tf.constant([0.5, 3.0], tf.float64))
    gate = (1 + math.exp(-1)) / (1 + math.exp(-1.5))
    np.testing.assert_allclose(y, [1.5, 3 * gate + 2], rtol=1e-12)
    assert float(log_det) == pytest.approx(math.log(gate))


def test_the_spline_is_tfps_inside_and_outside_of_its_limits():
    random = np.random.RandomState(9)
    parts = spline_parts(random, (3,), D)
    ours, theirs = Spline(*parts), tfb.RationalQuadraticSpline(*parts[:3], range_min=-parts[3])
    x = draws(random, 50, 3, D, scale=2.5)
    assert np.any(abs(x) > 3)
    y, log_det = ours.push(x)
    np.testing.assert_allclose(y, theirs.forward(x), atol=1e-12)
    np.testing.assert_allclose(log_det, theirs.forward_log_det_jacobian(x, event_ndims=1), atol=1e-11)
    np.testing.assert_allclose(ours.inverse(x), theirs.inverse(x), atol=1e-9)


# ---------------------------------------------------------------- constraints


def test_columns_are_orthonormal():
    random = np.random.RandomState(10)
    for q in (
        orthonormal_columns(draws(random, 7, 6, 3), steps=60),
        householder_columns([draws(random, 7, 6) for _ in range(4)], 3),
    ):
        np.testing.assert_allclose(tf.matmul(q, q, transpose_a=True), np.broadcast_to(np.eye(3), (7, 3, 3)), atol=1e-9)


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("make", [planar, radial, sylvester_householder], ids=lambda make: make.__name__)
def test_values_and_gradients_are_finite_in_single_precision_at_extreme_parameters(make, size):
    random = np.random.RandomState(11)
    parameters = [tf.constant(random.normal(size=(50, D)) * size, tf.float32) for _ in range(3)]
    x = tf.constant(random.normal(size=(50, D)) * 3, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([*parameters, x])
        if make is planar:
            flow = Planar(parameters[0], parameters[1], parameters[2][:, 0])
        elif make is radial:
            flow = Radial(parameters[0], tf.nn.softplus(parameters[1][:, 0]) + 1e-4, parameters[2][:, 0])
        else:
            flow = Sylvester(
                householder_columns(parameters, M), tf.zeros([M, M]), tf.eye(M) * 0.9, parameters[2][:, :M]
            )
        y, log_det = flow.push(x)
    assert np.all(np.isfinite(y))
    assert np.all(np.isfinite(log_det))
    for gradient in tape.gradient([y, log_det], [*parameters, x]):
        assert gradient is None or np.all(np.isfinite(gradient))


def test_a_solved_root_and_its_gradients_are_those_of_the_implicit_function():
    a = tf.constant([0.5, 2.0, 7.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(a)
        root = solve_increasing(lambda x: (x**3 - a, 3 * x**2), 0 * a, 0 * a + 3)
    np.testing.assert_allclose(root, np.cbrt(a), rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(root, a), np.cbrt(a) / (3 * a), rtol=1e-9)


def test_two_coupling_layers_move_every_unit_and_pairs_differ():
    pairs = [(halves(7, i), halves(7, i + 1)) for i in (0, 2, 4)]
    assert all(sorted(first + second) == list(range(7)) for first, second in pairs)
    assert pairs[1] != pairs[2]


ONES, NAN = np.ones(3), np.array([1.0, math.nan, 1.0])
BAD = [
    (lambda: Planar(ONES, 0 * ONES, 0.5), "w is zero"),
    (lambda: Planar(NAN, ONES, 0.5), "u is not finite"),
    (lambda: Radial(ONES, -1.0, 0.5), "alpha must be positive, got -1"),
    (lambda: Radial(ONES, math.inf, 0.5), "alpha is not finite"),
    (lambda: Householder(0 * ONES), "v is zero"),
    (lambda: Sylvester(np.ones((2, 3)), np.eye(3), np.eye(3), ONES), "2 units cannot have 3 orthonormal columns"),
    (lambda: Sylvester(np.ones((4, 3)), np.eye(3), np.eye(3), ONES), "orthonormal"),
    (lambda: Sylvester(None, np.eye(3), -2 * np.eye(3), ONES), "above -1"),
    (lambda: Sylvester(None, np.ones((3, 3)), np.eye(3), ONES), "upper triangular"),
    (lambda: Coupling([], None, 3), "not none and not all"),
    (lambda: Coupling([0, 1, 2], None, 3), "not none and not all"),
    (lambda: Affine(ONES * np.inf, ONES), "log_scale is not finite"),
    (lambda: halves(1, 0), "latent_dim must be at least 2, got 1"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[m for _, m in BAD])
def test_parameters_without_an_inverse_are_one_clear_line(make, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
