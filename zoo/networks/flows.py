"""Posteriors that are flows: a diagonal Gaussian pushed through layers, whose parameters come from the encoder or not.

z0 ~ N(loc(x), diag(scale(x)^2)),   z = layer_L(... layer_1(z0)),   log q(z | x) = log q(z0 | x) - sum log |det|
"""

import math
import random

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from zoo import bijectors
from zoo.bijectors.coupling import halves
from zoo.bijectors.planar import correct
from zoo.distributions import FlowPosterior, softplus
from zoo.errors import InvalidInput, check_positive, choose
from zoo.networks.conditioners import MADE, UNIT, SplineCoupling, affine_couplings
from zoo.networks.heads import PosteriorHead, soft_scale
from zoo.registry import POSTERIORS

tfd = tfp.distributions


class FlowHead(PosteriorHead):
    """Features [N, ...] -> a `FlowPosterior` over [D].

    `dense` gives the base, as for the diagonal posterior; all layers' parameters are one row of numbers, the output of
    one more dense layer or, not amortised, one weight. They start near the identity, which every kind can be.

    Args:
        latent_dim: D.
        num_layers: how many layers the flow has.
        amortized: whether the layers' parameters depend on x.
        size: numbers a layer takes.
    """

    kernel_scale = 1e-4  # variance of an amortised number at the start, for features of unit size

    def __init__(self, latent_dim, num_layers, amortized, size):
        check_positive(num_layers=num_layers)
        if not isinstance(amortized, bool):
            raise InvalidInput(f"amortized is true or false, got {amortized!r}")
        super().__init__(latent_dim, 2 * latent_dim)
        self.num_layers, self.amortized, self.size = num_layers, amortized, size
        draws = np.random.RandomState(random.randrange(2**31))
        start = np.concatenate([self.start(draws, i) for i in range(num_layers)]).astype("float32")
        bias = keras.initializers.Constant(start)
        if amortized:
            kernel = keras.initializers.VarianceScaling(self.kernel_scale)
            self.flow_dense = keras.layers.Dense(len(start), kernel_initializer=kernel, bias_initializer=bias)
        else:
            self.free = self.add_weight(shape=start.shape, initializer=bias, name="flow", dtype="float32")

    def build(self, shape):
        super().build(shape)
        if self.amortized:
            self.flow_dense.build(self.flatten.compute_output_shape(shape))

    def call(self, features):
        features = self.flatten(features)
        base = tf.cast(self.dense(features), tf.float32)
        loc, raw_scale = base[:, : self.latent_dim], base[:, self.latent_dim :]
        rows = tf.cast(self.flow_dense(features), tf.float32) if self.amortized else tf.convert_to_tensor(self.free)
        normal = tfd.Independent(tfd.Normal(loc, soft_scale(raw_scale, 1e-4)), 1)
        return FlowPosterior(normal, self.flow(rows))

    def start(self, draws, index):
        """[size]: the numbers of layer `index` at the start, without what depends on x: small draws."""
        return 0.01 * draws.normal(size=self.size)

    def flow(self, rows):
        """The layers' numbers, side by side [..., num_layers * size] -> their bijectors."""
        return [self.layer(i, part) for i, part in enumerate(cut(rows, *[self.size] * self.num_layers))]

    def layer(self, index, part):
        """The numbers of layer `index` [..., size] -> its bijector."""
        raise NotImplementedError


def cut(rows, *sizes):
    """[..., sum of sizes] -> tensors [..., size].

    The gradient is one concatenation; that of slices would be a sum of so many padded tensors, quadratic in them.
    """

    @tf.custom_gradient
    def pieces(rows):
        stops = np.cumsum(sizes)
        parts = [rows[..., stop - size : stop] for size, stop in zip(sizes, stops, strict=True)]
        return parts, lambda *gradients: tf.concat(gradients, -1)

    return pieces(rows) if len(sizes) > 1 else [rows]


def last(values):
    """[..., 1] -> [...], by an operator that the LiteRT GPU path takes; it refuses `values[..., 0]`."""
    return tf.squeeze(values, -1)


@POSTERIORS.register("planar")
class PlanarFlow(FlowHead):
    """Planar layers. Rezende & Mohamed 2015, arXiv:1505.05770.

    The layer's u is the given one plus ln(e - 1) w / |w|^2, at which the paper's correction makes u' = 0: its own u = 0
    is not the identity.
    """

    def __init__(self, latent_dim, num_layers=10, amortized=True):
        super().__init__(latent_dim, num_layers, amortized, 2 * latent_dim + 1)

    def start(self, draws, index):
        start = super().start(draws, index)
        start[self.latent_dim : -1] = draws.normal(size=self.latent_dim) / math.sqrt(self.latent_dim)
        return start

    def flow(self, rows):
        """All layers' corrections are made at once, which compiles faster."""
        layers, lead = self.num_layers, [-1] if rows.shape.rank > 1 else []

        def apart(values):
            """[..., L, M] -> L tensors [..., M]."""
            size = values.shape[-1]
            return cut(tf.reshape(values, [*lead, layers * size]), *[size] * layers)

        u, w, b = cut(tf.reshape(rows, [*lead, layers, self.size]), self.latent_dim, self.latent_dim, 1)
        u = u + UNIT * w / tf.reduce_sum(tf.square(w), -1, keepdims=True)
        moved, volume = correct(u, w)
        pieces = zip(*map(apart, (u, w, b, moved, volume[..., None])), strict=True)
        return [
            bijectors.Planar(u, w, last(b), corrected=(moved, last(volume)), validate_args=False)
            for u, w, b, moved, volume in pieces
        ]


@POSTERIORS.register("radial")
class RadialFlow(FlowHead):
    """Radial layers. Rezende & Mohamed 2015, arXiv:1505.05770.

    alpha = softplus(a) and beta = a + c for given numbers a and c, so that c = 0 is the identity; alpha starts at
    sqrt(D), about the distance at which the draws are.
    """

    def __init__(self, latent_dim, num_layers=10, amortized=True):
        super().__init__(latent_dim, num_layers, amortized, latent_dim + 2)

    def start(self, draws, index):
        start = super().start(draws, index)
        start[: self.latent_dim] = draws.normal(size=self.latent_dim)
        start[-2] = math.log(math.expm1(math.sqrt(self.latent_dim)))
        return start

    def layer(self, index, part):
        center, raw, change = cut(part, self.latent_dim, 1, 1)
        raw = tf.clip_by_value(raw, -15.0, 1e3)
        return bijectors.Radial(center, last(softplus(raw)), last(raw + change), validate_args=False)


@POSTERIORS.register("householder")
class HouseholderFlow(FlowHead):
    """Householder reflections: a posterior with full covariance. Tomczak & Welling 2016, arXiv:1611.09630.

    Each vector is the one before plus given numbers (in the paper a dense layer makes it of the one before), so that
    zeros after the first undo the reflections in pairs: an even number of layers can be the identity.
    """

    def __init__(self, latent_dim, num_layers=8, amortized=True):
        if latent_dim < 2:
            raise InvalidInput(
                f"householder layers turn the latent space: latent_dim must be 2 or more, got {latent_dim}"
            )
        super().__init__(latent_dim, num_layers, amortized, latent_dim)

    def start(self, draws, index):
        return draws.normal(size=self.latent_dim) * (1.0 if index == 0 else 0.01)

    def flow(self, rows):
        parts = cut(rows, *[self.size] * self.num_layers)
        vectors = [sum(parts[1 : i + 1], parts[0]) for i in range(len(parts))]
        return [bijectors.Householder(v, validate_args=False) for v in vectors]


@POSTERIORS.register("sylvester")
class SylvesterFlow(FlowHead):
    """Sylvester layers. van den Berg, Hasenclever, Tomczak & Welling 2018, arXiv:1803.05649.

    Args:
        kind: how Q has orthonormal columns. "householder": a product of reflections; "orthogonal": iterated from any
            matrix; "triangular": the identity, the triangles being upper and lower in turn (in the paper Q is in turn
            the identity and the order turned round, which is the same).
        num_columns: M, of Q; None takes D, and D / 2 for "orthogonal".
        num_reflections: of the kind "householder".
    """

    def __init__(
        self,
        latent_dim,
        num_layers=4,
        amortized=True,
        kind="householder",
        num_columns=None,
        num_reflections=8,
    ):
        choose("kind of sylvester layer", kind, {"householder": 0, "orthogonal": 0, "triangular": 0})
        default = max(1, latent_dim // 2) if kind == "orthogonal" else latent_dim
        columns = default if num_columns is None else num_columns
        check_positive(num_columns=columns, num_reflections=num_reflections)
        if columns > latent_dim or (kind == "triangular" and columns != latent_dim):
            allowed = f"latent_dim, {latent_dim}" if kind == "triangular" else f"at most latent_dim, {latent_dim}"
            raise InvalidInput(f"sylvester, {kind}: num_columns must be {allowed}; got {columns}")
        self.kind, self.columns, self.reflections = kind, columns, num_reflections
        self.q_size = {"householder": num_reflections, "orthogonal": columns, "triangular": 0}[kind] * latent_dim
        self.sizes = (self.q_size, columns * columns, columns, columns, columns)
        super().__init__(latent_dim, num_layers, amortized, sum(self.sizes))

    def start(self, draws, index):
        columns = self.columns
        q = draws.normal(size=self.q_size)
        if self.kind == "orthogonal":
            q = np.linalg.qr(q.reshape(self.latent_dim, columns))[0].ravel()
        square = draws.normal(size=(columns, columns))
        square = 0.01 * np.triu(square, 1) + np.tril(square, -1) / math.sqrt(columns)
        r, s, b = draws.normal(size=(3, columns)) * [[0.01], [1.0], [0.01]]
        return np.concatenate([q, square.ravel(), r, s, b])

    def layer(self, index, part):
        q, square, r, s, b = cut(part, *self.sizes)
        size, lead = self.columns, [-1] if part.shape.rank > 1 else []
        square = tf.reshape(square, [*lead, size, size])
        above, eye = np.triu(np.ones([size, size], "float32"), 1), np.eye(size, dtype="float32")
        # One square holds both triangles; the diagonals' products stay above -1.
        r = above * square + eye * (0.999 * tf.tanh(r))[..., None]
        s = above * swap(square) + eye * (0.999 * tf.tanh(s))[..., None]
        lower = self.kind == "triangular" and index % 2 == 1
        if lower:
            r, s = swap(r), swap(s)
        return bijectors.Sylvester(self.columns_of(q, lead), r, s, b, lower=lower, validate_args=False)

    def columns_of(self, q, lead):
        """Q [..., D, M] of its numbers, None for the identity."""
        if self.kind == "triangular":
            return None
        if self.kind == "orthogonal":
            return bijectors.orthonormal_columns(tf.reshape(q, [*lead, self.latent_dim, self.columns]))
        return bijectors.householder_columns(cut(q, *[self.latent_dim] * self.reflections), self.columns)


def swap(matrix):
    """The transpose over the last two axes."""
    return tf.linalg.matrix_transpose(matrix)


class NetworkFlowHead(FlowHead):
    """Layers driven by networks; a layer's numbers are the bias of its network's first hidden layer.

    Args:
        hidden_units: widths of each layer's network.
    """

    kernel_scale = 1.0

    def __init__(self, latent_dim, num_layers, amortized, hidden_units):
        check_positive(hidden_units=list(hidden_units) or 0)
        super().__init__(latent_dim, num_layers, amortized, hidden_units[0])

    def start(self, draws, index):
        return np.zeros(self.size)


@POSTERIORS.register("iaf")
class InverseAutoregressiveFlow(NetworkFlowHead):
    """Inverse autoregressive layers with MADE networks, the units' order turned round from layer to layer.

    Kingma et al. 2016, arXiv:1606.04934.
    """

    def __init__(self, latent_dim, num_layers=4, amortized=True, hidden_units=(256,)):
        super().__init__(latent_dim, num_layers, amortized, hidden_units)
        self.networks = [MADE(latent_dim, hidden_units, descending=i % 2 == 1) for i in range(num_layers)]

    def layer(self, index, part):
        network = self.networks[index]
        return bijectors.InverseAutoregressive(lambda x: network(x, part), validate_args=False)


@POSTERIORS.register("coupling")
class AffineCouplingFlow(NetworkFlowHead):
    """Affine coupling layers, RealNVP. Dinh et al. 2017, arXiv:1605.08803.

    Args:
        max_log_scale: the log scale of a layer stays below this in size, softly.
    """

    def __init__(self, latent_dim, num_layers=6, amortized=True, hidden_units=(128,), max_log_scale=2.0):
        super().__init__(latent_dim, num_layers, amortized, hidden_units)
        self.couplings = affine_couplings(latent_dim, num_layers, hidden_units, max_log_scale)

    def layer(self, index, part):
        return self.couplings[index].bijector(part)


@POSTERIORS.register("spline")
class SplineCouplingFlow(NetworkFlowHead):
    """Rational-quadratic spline coupling layers. Durkan et al. 2019, arXiv:1906.04032.

    Args:
        num_bins: of each spline.
        limit: the splines act between -limit and limit; beyond is the identity.
    """

    def __init__(self, latent_dim, num_layers=4, amortized=True, hidden_units=(128,), num_bins=8, limit=5.0):
        super().__init__(latent_dim, num_layers, amortized, hidden_units)
        self.couplings = [
            SplineCoupling(halves(latent_dim, i), latent_dim, hidden_units, num_bins, limit) for i in range(num_layers)
        ]

    def layer(self, index, part):
        return self.couplings[index].bijector(part)
