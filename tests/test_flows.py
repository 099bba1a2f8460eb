"""Flow posteriors and priors inside models: identities with the plain VAE, sums to one, densities, bad input."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import random_batch, seed, small, tiered

import zoo
from zoo.distributions import FlowPosterior, Mixture, location, scale
from zoo.errors import InvalidInput
from zoo.networks.conditioners import MADE
from zoo.priors import Prior
from zoo.registry import POSTERIORS

tfd = tfp.distributions
ALL_IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32").reshape(16, 2, 2, 1)
DRAWS = 20000
NETWORK = {"hidden_units": [6], "num_layers": 3}
KINDS = {
    "planar": {"name": "planar", "num_layers": 3},
    "radial": {"name": "radial", "num_layers": 3},
    "householder": {"name": "householder", "num_layers": 4},
    "sylvester": {"name": "sylvester", "num_layers": 2, "num_reflections": 2},
    "sylvester_orthogonal": {"name": "sylvester", "num_layers": 2, "kind": "orthogonal"},
    "sylvester_triangular": {"name": "sylvester", "num_layers": 2, "kind": "triangular"},
    "iaf": {"name": "iaf", **NETWORK},
    "coupling": {"name": "coupling", **NETWORK},
    "spline": {"name": "spline", **NETWORK, "num_bins": 4, "limit": 3.0},
}
each_kind = pytest.mark.parametrize("kind", KINDS)
WAYS = [(kind, True, ()) for kind in KINDS] + [
    (kind, False, () if kind == "planar" else pytest.mark.slow) for kind in KINDS
]
each_way = pytest.mark.parametrize(
    ("kind", "amortized"),
    [pytest.param(*way, id="-".join([way[0], "amortized" if way[1] else "free"]), marks=marks) for *way, marks in WAYS],
)


def flow_vae(kind, amortized=True, latent_dim=3, **config):
    return small("vae", posterior={**KINDS[kind], "amortized": amortized}, latent_dim=latent_dim, **config)


def own_weights(model):
    """The posterior's weights apart from those of the base."""
    base = {id(w) for w in model.posterior_head.dense.weights}
    return [w for w in model.posterior_head.trainable_weights if id(w) not in base]


def shake(model, size=0.5, number=0):
    """Move every weight of the flow by noise, so that its layers do something."""
    random = np.random.RandomState(number)
    for weight in own_weights(model):
        weight.assign(weight + tf.constant(random.normal(size=weight.shape) * size, tf.float32))
    return model


def identity(model, kind):
    """Set the weights at which the flow is the identity, the others staying as they are."""
    head = model.posterior_head
    if kind in ("iaf", "coupling", "spline"):
        for network in head.networks if kind == "iaf" else head.couplings:
            for weight in network.layers[-1].weights:
                weight.assign(tf.zeros_like(weight))
        return
    size, dim = head.size, head.latent_dim
    keep = np.ones([head.num_layers, size], "float32")
    if kind == "planar":
        keep[:, :dim] = 0
    elif kind == "radial":
        keep[:, -1] = 0
    elif kind == "householder":
        keep[1:] = 0
    else:
        start, columns = head.q_size, head.columns
        square = np.tril(np.ones([columns, columns]), -1)
        keep[:, start : start + columns**2] = square.ravel()
        keep[:, start + columns**2 : start + columns**2 + columns] = 0
    for weight in head.flow_dense.weights if head.amortized else [head.free]:
        weight.assign(weight * keep.ravel())


@each_way
def test_with_identity_layers_it_is_the_plain_vae(kind, amortized):
    plain, model = small("vae"), shake(flow_vae(kind, amortized))
    x = random_batch(plain)["x"]
    moved = model(x, num_samples=4, seed=seed(1))
    identity(model, kind)
    expected, trace = (m(x, num_samples=4, seed=seed(1)) for m in (plain, model))
    assert np.max(abs(moved.latents["z"] - trace.latents["z"])) > 1e-2
    np.testing.assert_allclose(trace.latents["z"], expected.latents["z"], atol=3e-5)
    np.testing.assert_allclose(trace.log_posterior["z"], expected.log_posterior["z"], atol=3e-4)
    np.testing.assert_allclose(trace.elbo, expected.elbo, rtol=1e-4)
    np.testing.assert_allclose(model.encode(x), plain.encode(x), atol=3e-5)
    encoded, plainly = (m.serve_encode(x=x) for m in (model, plain))
    np.testing.assert_allclose(encoded["z_scale"], plainly["z_scale"], atol=1e-6)


@each_way
def test_it_starts_near_the_plain_vae_with_its_weights(kind, amortized):
    plain, model = small("vae"), flow_vae(kind, amortized)
    for one, other in (("encoder", "encoder"), ("decoder", "decoder")):
        for a, b in zip(getattr(plain, one).weights, getattr(model, other).weights, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(plain.posterior_head.dense.kernel, model.posterior_head.dense.kernel)
    x = random_batch(plain)["x"]
    expected, trace = (m(x, num_samples=50, seed=seed(1)) for m in (plain, model))
    assert np.max(abs(trace.latents["z"] - expected.latents["z"])) < 0.5
    assert np.max(abs(trace.elbo - expected.elbo)) < 0.3


@each_kind
def test_the_layers_are_amortised_or_not(kind):
    x = random_batch(small("vae"))["x"]
    z0 = tf.constant(np.random.RandomState(0).normal(size=(5, 3)), tf.float32)
    for amortized in (True, False):
        posterior = shake(flow_vae(kind, amortized), number=1).posterior(x)
        assert isinstance(posterior, FlowPosterior)
        same, _ = posterior.push(tf.repeat(z0[:1], 5, 0))
        assert np.any(abs(same - same[:1]) > 1e-4) == amortized
        np.testing.assert_allclose(location(posterior), posterior.push(posterior.distribution.mean())[0])
        np.testing.assert_array_equal(scale(posterior), posterior.distribution.stddev())


@each_way
def test_a_draw_has_the_density_of_its_point(kind, amortized):
    """log q from the forward pass, and through the inverse of every layer."""
    model = shake(flow_vae(kind, amortized), size=0.3)
    posterior = model.posterior(random_batch(model)["x"])
    z, log_prob = posterior.experimental_sample_and_log_prob(3, seed=seed(2))
    assert log_prob.shape == (3, 5)
    np.testing.assert_allclose(posterior.log_prob(z + 0.0), log_prob, rtol=2e-3, atol=2e-3)


@each_kind
def test_probabilities_of_all_images_sum_to_one(kind):
    model = shake(flow_vae(kind, data_shape=(2, 2, 1), latent_dim=2), size=0.2)
    for weight in model.decoder.trainable_weights:
        weight.assign(weight * 2.5)
    model.posterior_head.dense.kernel.assign(model.posterior_head.dense.kernel * 0.3)
    model.posterior_head.dense.bias.assign([0.0, 0.3, 1.6, 1.4])
    trace = model(ALL_IMAGES, num_samples=DRAWS, seed=seed(1))
    weight = np.exp(trace.log_weight.numpy()[:, 0].astype("float64"))
    error = math.sqrt((weight.var(0) / DRAWS).sum())
    assert error < 0.02
    assert abs(weight.mean(0).sum() - 1) < 4 * error


@pytest.mark.slow
@each_kind
def test_it_trains_under_xla(kind):
    model = flow_vae(kind)
    model.compile("adam", jit_compile=True)
    x = random_batch(model, 8)["x"]
    before = [w.numpy() for w in own_weights(model)]
    logs = model.fit(x, batch_size=4, verbose=0).history
    assert logs["skipped"] == [0.0]
    assert all(np.any(b != w) for b, w in zip(before, own_weights(model), strict=True))


@pytest.mark.parametrize("descending", [False, True])
def test_the_masked_network_knows_only_what_comes_before(descending):
    network = MADE(4, [9, 7], descending=descending)
    network.layers[-1].kernel.assign(tf.ones_like(network.layers[-1].kernel))
    x = tf.constant(np.random.RandomState(0).normal(size=(3, 4)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = network(x, tf.zeros([9]))
    for output in outputs:
        used = np.any(tape.batch_jacobian(output, x) != 0, 0)
        np.testing.assert_array_equal(used, np.triu(np.ones([4, 4]), 1) if descending else np.tril(np.ones([4, 4]), -1))


# ---------------------------------------------------------------- priors


def lively_prior(name, **config):
    model = small(name, data_shape=(2, 2, 1), latent_dim=2, **config)
    random = np.random.RandomState(3)
    for weight in [*model.prior_head.trainable_weights, *model.decoder.trainable_weights]:
        weight.assign(weight + tf.constant(random.normal(size=weight.shape) * 0.4, tf.float32))
    model.posterior_head.dense.kernel.assign(model.posterior_head.dense.kernel * 0.3)
    model.posterior_head.dense.bias.assign([0.0, 0.3, 1.2, 1.0])
    return model


PRIORS = {
    "flow_prior_vae": {"prior": {"name": "flow", "num_layers": 3, "hidden_units": [8]}},
    "mixture_prior_vae": {"prior": {"name": "mixture", "num_components": 4}},
    "vamp_vae": {},
}
each_prior = pytest.mark.parametrize("name", PRIORS)


@each_prior
def test_a_prior_sums_to_one_and_its_samples_have_its_mass(name):
    prior = lively_prior(name, **PRIORS[name]).prior()
    places = np.linspace(-10, 10, 401).astype("float32")
    grid = np.stack(np.meshgrid(places, places, indexing="ij"), -1)
    mass = np.exp(prior.log_prob(grid).numpy().astype("float64")) * (places[1] - places[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=1e-3)
    draws = prior.sample(DRAWS, seed=seed(4)).numpy()
    assert draws.shape == (DRAWS, 2)
    for row, column in ((180, 200), (200, 200), (205, 190), (215, 210)):
        expected = mass[:row, :column].sum() + 0.5 * (mass[row, :column].sum() + mass[:row, column].sum())
        found = np.mean((draws[:, 0] < places[row]) & (draws[:, 1] < places[column]))
        assert abs(found - expected) < 5 * math.sqrt(0.25 / DRAWS) + 2e-3


@each_prior
def test_probabilities_under_a_prior_sum_to_one_and_are_the_frequencies_of_samples(name):
    model = lively_prior(name, **PRIORS[name])
    trace = model(ALL_IMAGES, num_samples=DRAWS, seed=seed(1))
    weight = np.exp(trace.log_weight.numpy()[:, 0].astype("float64"))
    error, probability = weight.std(0) / math.sqrt(DRAWS), weight.mean(0)
    assert math.sqrt((error**2).sum()) < 0.02
    assert abs(probability.sum() - 1) < 4 * math.sqrt((error**2).sum())
    samples = model.sample(DRAWS, seed=2).numpy().reshape(DRAWS, 4)
    counts = np.bincount((samples @ [8, 4, 2, 1]).astype(int), minlength=16)
    noise = np.sqrt(probability * (1 - probability) / DRAWS + error**2)
    assert np.all(abs(counts / DRAWS - probability) < 5 * noise)


@pytest.mark.parametrize("name", tiered(["vae", *PRIORS], ["vae", "flow_prior_vae"].__contains__))
def test_a_priors_draws_by_row_are_those_of_each_rows_seed(name):
    """And without a loop, but for the mixtures whose components are no diagonal Gaussians."""
    model = lively_prior(name, **PRIORS.get(name, {}))
    seeds = tf.constant(np.random.RandomState(0).randint(-(2**31), 2**31, (50, 2)), tf.int32)
    draw = model.prior().sample_rows if name == "vamp_vae" else model.prior_head.draw
    each = np.stack([model.prior().sample(seed=row) for row in seeds])
    np.testing.assert_allclose(draw(seeds), each, rtol=1e-5, atol=1e-5)
    graph = tf.function(draw).get_concrete_function(tf.TensorSpec([None, 2], tf.int32)).graph
    assert not any("While" in op.type for op in graph.get_operations())
    loc = model.posterior(tf.zeros([6, 2, 2, 1])).mean()
    mixture = Mixture(tf.zeros([6]), tfd.MultivariateNormalTriL(loc, tf.eye(2)[None] + tf.zeros([6, 1, 1])))
    np.testing.assert_allclose(mixture.sample_rows(seeds[:5]), [mixture.sample(seed=row) for row in seeds[:5]])


class Shifted(Prior):
    """N(3, 1): nothing but a density."""

    def distribution(self):
        return tfd.Independent(tfd.Normal(tf.fill([2], 3.0), tf.ones([2])), 1)


def test_a_prior_owns_its_geometry():
    """A grid that is even in probability holds even mass: its points are the quantiles of the prior's own draws."""
    probabilities = tf.constant([[0.1, 0.5], [0.5, 0.9]])
    for name in ("vae", "flow_prior_vae"):
        prior = lively_prior(name, **PRIORS.get(name, {})).prior_head
        z = prior.quantiles(probabilities)
        base = prior.distribution().pull(z)[0] if name != "vae" else z
        np.testing.assert_allclose(tfd.Normal(0.0, 1.0).cdf(base), probabilities, atol=1e-5)
        np.testing.assert_allclose(prior.between(z[0], z[1], 0.25), 0.75 * z[0] + 0.25 * z[1], atol=1e-6)
    own, mixture = Shifted(), lively_prior("mixture_prior_vae", **PRIORS["mixture_prior_vae"]).prior_head
    seeds = tf.constant([[1, 2], [3, 4]])
    np.testing.assert_allclose(own.draw(seeds), [own.distribution().sample(seed=row) for row in seeds])
    for prior in (own, mixture):
        with pytest.raises(InvalidInput, match="has no quantiles"):
            prior.quantiles(probabilities)


def test_a_flow_prior_at_rest_is_the_standard_normal():
    plain, model = small("vae"), small("flow_prior_vae")
    for coupling in model.prior_head.couplings:
        coupling.layers[-1].kernel.assign(tf.zeros_like(coupling.layers[-1].kernel))
    x = random_batch(plain)["x"]
    expected, trace = (m(x, num_samples=4, seed=seed(1)) for m in (plain, model))
    np.testing.assert_allclose(trace.log_prior["z"], expected.log_prior["z"], rtol=1e-5)
    np.testing.assert_allclose(trace.elbo, expected.elbo, rtol=1e-5)


def test_a_mixture_of_one_standard_component_is_the_standard_normal():
    plain, model = small("vae"), small("mixture_prior_vae", prior={"name": "mixture", "num_components": 1})
    model.prior_head.loc.assign([[0.0] * 3])
    model.prior_head.raw_scale.assign([[math.log(math.expm1(1 - 1e-3)) + 1e-3] * 3])
    x = random_batch(plain)["x"]
    expected, trace = (m(x, num_samples=4, seed=seed(1)) for m in (plain, model))
    np.testing.assert_allclose(trace.log_prior["z"], expected.log_prior["z"], rtol=1e-4)


def test_a_mixture_is_tfps_and_keeps_its_digits_where_the_quadratic_form_cancels():
    random = np.random.RandomState(5)
    loc, scale = random.normal(size=(7, 5)) * 3, np.exp(random.normal(size=(7, 5)) - 4)
    logits, z = random.normal(size=7), loc[3] + 0.01 * random.normal(size=(2, 4, 5))
    normal = tfd.Independent(tfd.Normal(tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)), 1)
    ours = Mixture(tf.constant(logits, tf.float32), normal)
    exact = tfd.MixtureSameFamily(
        tfd.Categorical(logits=logits),
        tfd.Independent(tfd.Normal(*(np.float64(np.float32(v)) for v in (loc, scale))), 1),
    )
    z = np.float64(np.float32(z))
    np.testing.assert_allclose(ours.log_prob(z.astype("float32")), exact.log_prob(z), rtol=1e-5)
    full = tfd.MultivariateNormalTriL(normal.distribution.loc, tf.linalg.diag(normal.distribution.scale))
    np.testing.assert_allclose(Mixture(ours.logits, full).log_prob(z.astype("float32")), exact.log_prob(z), rtol=1e-4)


def test_scoring_many_components_makes_no_tensor_of_points_by_components_by_units():
    components = tfd.Independent(tfd.Normal(tf.zeros([50, 30]), tf.ones([50, 30])), 1)
    score = tf.function(Mixture(tf.zeros([50]), components).log_prob)
    graph = score.get_concrete_function(tf.TensorSpec([4, 10, 30])).graph
    largest = max(t.shape.num_elements() or 0 for op in graph.get_operations() for t in op.outputs)
    assert largest == 4 * 10 * 50


# ---------------------------------------------------------------- VampPrior


def test_the_vamp_prior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs():
    for posterior in ("diagonal", "full_covariance", {"name": "coupling", "num_layers": 2, "hidden_units": [4]}):
        model = small("vamp_vae", posterior=posterior)
        components = model.posterior(tf.convert_to_tensor(model.pseudo_inputs))
        z = tf.constant(np.random.RandomState(0).normal(size=(4, 3)), tf.float32)
        each = np.stack([components.log_prob(tf.repeat(row[None], 6, 0)) for row in z])
        np.testing.assert_allclose(model.prior().log_prob(z), np.log(np.exp(each).mean(1)), rtol=1e-4)
        assert model.inference_layers == []


def test_vamp_samples_come_from_every_component():
    model = small("vamp_vae")
    dense = model.posterior_head.dense
    dense.kernel.assign(tf.random.stateless_normal(dense.kernel.shape, seed(5)) * 3)
    dense.bias.assign([0.0] * 3 + [-5.0] * 3)
    centres = model.posterior(tf.convert_to_tensor(model.pseudo_inputs)).mean().numpy()
    draws = model.prior().sample(3000, seed=seed(1)).numpy()
    nearest = ((draws[:, None] - centres) ** 2).sum(-1).argmin(1)
    counts = np.bincount(nearest, minlength=6)
    assert np.all(abs(counts - 500) < 5 * math.sqrt(500))


def test_adapt_takes_pseudo_inputs_from_the_data_and_the_same_ones_again():
    model = small("vamp_vae", binarize="fixed")
    x = random_batch(model, 50)["x"].numpy()
    data = tf.data.Dataset.from_tensor_slices(x).batch(16)
    model.adapt(data)
    binary = model.preprocess(x, None, training=False)["x"].numpy().reshape(50, -1)
    chosen = model.pseudo_inputs.numpy().reshape(6, -1)
    places = [np.flatnonzero((binary == row).all(1)) for row in chosen]
    assert all(len(p) for p in places)
    assert len({int(p[0]) for p in places}) == 6
    again = small("vamp_vae", binarize="fixed")
    again.adapt(data)
    np.testing.assert_array_equal(again.pseudo_inputs, model.pseudo_inputs)
    again.adapt(data.take(1).unbatch().take(4).batch(4))  # fewer images than pseudo-inputs
    assert len(np.unique(again.pseudo_inputs.numpy().reshape(6, -1), axis=0)) <= 4


def test_pseudo_inputs_stay_in_the_range_of_the_data():
    model = small("vamp_vae")
    model.compile("sgd")
    model.optimizer.learning_rate = 1e3
    model.fit(random_batch(model)["x"], epochs=2, verbose=0)
    assert np.all((model.pseudo_inputs.numpy() >= 0) & (model.pseudo_inputs.numpy() <= 1))


def test_pseudo_inputs_leave_the_statistics_of_batch_normalisation_alone():
    """After a step they are the plain VAE's, whatever the pseudo-inputs are; and the decoder still trains."""
    networks = {"name": "mlp", "hidden_units": [8], "batch_norm": True}
    moved = []
    for name in ("vae", "vamp_vae"):
        model = small(name, encoder=networks)
        if name == "vamp_vae":
            model.pseudo_inputs.assign(tf.ones_like(model.pseudo_inputs))
        before = [w.numpy() for w in model.non_trainable_weights if "moving" in w.path]
        model.compile("sgd")
        model.optimizer.learning_rate = 0.0
        model.fit(random_batch(model)["x"], shuffle=False, verbose=0)
        after = [w.numpy() for w in model.non_trainable_weights if "moving" in w.path]
        assert len(after) == 4
        assert all(np.any(a != b) for a, b in zip(after, before, strict=True))
        moved.append(after)
    for plain, vamp in zip(*moved, strict=True):
        np.testing.assert_allclose(plain, vamp, rtol=1e-5)


# ---------------------------------------------------------------- bad input


BAD = [
    ("vae", {"posterior": {"name": "planar", "num_layers": 0}}, "num_layers must be positive"),
    ("vae", {"posterior": {"name": "iaf", "num_layers": 0}}, "num_layers must be positive"),
    ("vae", {"posterior": {"name": "radial", "amortized": "no"}}, "amortized is true or false"),
    ("vae", {"posterior": {"name": "coupling"}, "latent_dim": 1}, "latent_dim must be at least 2, got 1"),
    ("vae", {"posterior": {"name": "spline"}, "latent_dim": 1}, "latent_dim must be at least 2, got 1"),
    ("vae", {"posterior": {"name": "householder"}, "latent_dim": 1}, "latent_dim must be 2 or more, got 1"),
    ("vae", {"posterior": {"name": "spline", "num_bins": 1}}, "2 or more bins"),
    ("vae", {"posterior": {"name": "coupling", "max_log_scale": 1e3}}, "at most 20, or scales overflow"),
    ("vae", {"posterior": {"name": "iaf", "hidden_units": []}}, "hidden_units is a list of whole numbers"),
    ("vae", {"posterior": {"name": "sylvester", "kind": "orthgonal"}}, "did you mean orthogonal"),
    ("vae", {"posterior": {"name": "sylvester", "num_columns": 4}}, "at most latent_dim, 3; got 4"),
    (
        "vae",
        {"posterior": {"name": "sylvester", "kind": "triangular", "num_columns": 2}},
        "must be latent_dim, 3; got 2",
    ),
    ("planar_vae", {"posterior": {"name": "planr"}}, "did you mean planar"),
    ("flow_prior_vae", {"latent_dim": 1}, "latent_dim must be at least 2, got 1"),
    ("flow_prior_vae", {"prior": {"name": "flow", "num_layers": 0}}, "num_layers must be positive"),
    ("mixture_prior_vae", {"prior": {"name": "mixture", "num_components": 0}}, "num_components must be positive"),
    ("vamp_vae", {"num_pseudo_inputs": 0}, "num_pseudo_inputs must be positive"),
    ("vamp_vae", {"prior": "standard_normal"}, "leave out prior"),
    ("vamp_vae", {"posterior": "point"}, "no log density there: use diagonal"),
]


@pytest.mark.parametrize(("name", "config", "message"), BAD, ids=[m for *_, m in BAD])
def test_what_a_layer_cannot_take_is_one_clear_line(name, config, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        small(name, **config)
    assert "\n" not in str(caught.value)


def test_every_flow_posterior_has_a_model_of_its_name():
    gaussians = ("diagonal", "point", "rank_one_precision")
    assert {f"{name}_vae" for name in POSTERIORS if name not in gaussians} <= set(zoo.list_models())
