"""Hierarchies of latents: one level is the VAE, products of Gaussians, what `levels` keeps, bad input."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from support import random_batch, seed, small, tiered

from zoo import pictures
from zoo.distributions import NormalRankOnePrecision
from zoo.errors import InvalidInput
from zoo.models.lvae import precision_weighted
from zoo.randomness import as_seed
from zoo.training import run as training

tfd = tfp.distributions
SIZES = {
    "data_shape": [8, 8, 1],
    "latent_dims": [3, 2],
    "hidden_units": [5],
    "encoder": {"name": "mlp", "hidden_units": [8]},
}
HIERARCHIES = ["hierarchical_vae", "lvae", "dlgm"]
each_hierarchy = pytest.mark.parametrize("name", HIERARCHIES)


@each_hierarchy
def test_one_level_is_the_vae(name):
    vae = small("vae")
    extra = {"covariance": "diagonal"} if name == "dlgm" else {}
    model = small(name, latent_dims=(3,), hidden_units=(), **extra)
    for part in ("encoder", "decoder", "posterior_head"):
        getattr(model, part).set_weights(getattr(vae, part).get_weights())
    if name == "dlgm":
        model.inject[0].kernel.assign(tf.eye(3))
    x = random_batch(vae)["x"]
    np.testing.assert_allclose(model.encode(x), vae.encode(x), atol=1e-6)
    np.testing.assert_allclose(model.reconstruct(x), vae.reconstruct(x), atol=1e-6)
    z = vae.prior().sample(4, seed=seed(1))[:, None, None] * tf.ones([4, 1, 5, 3])
    ours, theirs = model.log_joint({"z1": z}, {"x": x}), vae.log_joint({"z": z}, {"x": x})
    np.testing.assert_allclose(ours[0]["x"], theirs[0]["x"], rtol=1e-5)
    np.testing.assert_allclose(ours[1]["z1"], theirs[1]["z"], rtol=1e-5)
    traces = model(x, num_samples=2000, seed=seed(1)), vae(x, num_samples=2000, seed=seed(2))
    np.testing.assert_allclose(traces[0].kl_per_unit["z1"], traces[1].kl_per_unit["z"], rtol=1e-4, atol=1e-6)
    for_error = tf.math.reduce_std(traces[1].log_likelihood["x"], 0)[0] / np.sqrt(2000)
    assert np.all(abs(traces[0].reconstruction - traces[1].reconstruction) < 6 * for_error)


@each_hierarchy
@pytest.mark.parametrize("bound", tiered(["elbo", "iwae"], {"iwae"}.__contains__))
def test_five_levels_train_every_weight(name, bound):
    model = small(name, latent_dims=(4, 3, 3, 2, 2), hidden_units=([5, 4], 4, 4, 3), bound=bound, num_samples=2)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(model.objective(model(random_batch(model), training=True, seed=seed(1))))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert not [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    trace = model(random_batch(model), num_samples=3, seed=seed(1))
    assert {n: tuple(z.shape) for n, z in trace.latents.items()} == {
        f"z{i + 1}": (3, 1, 5, d) for i, d in enumerate((4, 3, 3, 2, 2))
    }


@each_hierarchy
def test_convolutional_hierarchies_reconstruct_and_sample(name):
    model = small(name, data_shape=(8, 6, 1), encoder={"name": "conv", "filters": [4], "hidden_units": [8]})
    x = random_batch(model, 3)["x"]
    assert model.reconstruct(x).shape == model.sample(3, seed=1).shape == (3, 8, 6, 1)
    assert np.all(np.isfinite(model(x, seed=seed(1)).elbo))


def test_the_ladder_posterior_is_the_normalised_product_of_evidence_and_prior():
    grid = np.linspace(-12, 12, 4001).astype("float32")[:, None]
    first = tfd.Independent(tfd.Normal([0.7], [0.5]), 1)
    second = tfd.Independent(tfd.Normal([-1.1], [1.3]), 1)
    product = np.exp(first.log_prob(grid) + second.log_prob(grid))
    product /= product.sum() * (grid[1, 0] - grid[0, 0])
    np.testing.assert_allclose(np.exp(precision_weighted(first, second).log_prob(grid)), product, rtol=1e-3, atol=1e-5)


def test_rank_one_precision_is_the_gaussian_with_that_covariance():
    random = np.random.RandomState(0)
    loc, factor = random.normal(size=(2, 4)), random.normal(size=(2, 4)) * [[1.5], [0.0]]
    precision = random.uniform(0.5, 3, (2, 4))
    covariance = np.linalg.inv(np.stack([np.diag(d) + np.outer(u, u) for d, u in zip(precision, factor, strict=True)]))
    ours = NormalRankOnePrecision(tf.constant(loc), tf.constant(precision), tf.constant(factor))
    exact = tfd.MultivariateNormalTriL(loc, np.linalg.cholesky(covariance))
    z = random.normal(size=(6, 2, 4))
    np.testing.assert_allclose(ours.log_prob(z), exact.log_prob(z), rtol=1e-10)
    np.testing.assert_allclose(ours.stddev(), np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)), rtol=1e-10)
    draws = ours.sample(200_000, seed=(1, 2)).numpy()
    for row in range(2):
        np.testing.assert_allclose(np.cov(draws[:, row].T), covariance[row], atol=0.02)
        np.testing.assert_allclose(draws[:, row].mean(0), loc[row], atol=0.02)


@each_hierarchy
def test_levels_keep_the_top_of_the_posterior_and_draw_the_rest(name):
    model = small(name, latent_dims=(3, 2, 2), hidden_units=(5, 4))
    for weight in model.trainable_weights:
        weight.assign(weight * 3)
    x = random_batch(model, 2)["x"]
    np.testing.assert_allclose(model.reconstruct(x, levels=3), model.reconstruct(x), atol=1e-6)
    # No level kept: x plays no part, and the draws are those of p.
    np.testing.assert_array_equal(model.reconstruct(x, levels=0, seed=1), model.reconstruct(x[::-1], levels=0, seed=1))
    seeds = tf.random.split(as_seed(1), 2)
    latents = model.draw(seeds, {})
    np.testing.assert_allclose(model.decode(latents), model.reconstruct(x, levels=0, seed=1), atol=1e-5)
    # One kept: the image decides, the seed as well.
    one = model.reconstruct(x, levels=1, seed=1)
    assert np.any(one != model.reconstruct(x[::-1], levels=1, seed=1))
    assert np.any(one != model.reconstruct(x, levels=1, seed=2))


@each_hierarchy
def test_decode_takes_what_encode_gives_and_fills_up_missing_levels_from_the_prior(name):
    model = small(name)
    x = random_batch(model)["x"]
    codes = model.encode(x)
    assert list(codes) == ["z1", "z2"]
    np.testing.assert_allclose(model.decode(codes), model.reconstruct(x), atol=1e-6)
    assert model.decode({"z2": codes["z2"]}).shape == x.shape


BAD = [
    ({"latent_dims": (3, 2), "hidden_units": (5, 4)}, "2 levels .* need 1 perceptrons .* got 2"),
    ({"latent_dims": (), "hidden_units": ()}, "0 levels"),
    ({"latent_dims": (3, 0)}, "latent_dims must be positive"),
    ({"hidden_units": (0,)}, "hidden_units must be positive"),
    ({"latent_dim": 3}, "takes no argument 'latent_dim'; did you mean latent_dims"),
    ({"posterior": "diagonal"}, "takes no argument 'posterior'"),
    ({"num_samples": 0}, "num_samples must be positive"),
]


@each_hierarchy
@pytest.mark.parametrize(("config", "message"), BAD, ids=[m for _, m in BAD])
def test_wrong_sizes_are_refused_in_one_line(name, config, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        small(name, **config)
    assert "\n" not in str(caught.value)


@each_hierarchy
def test_verbs_refuse_what_a_hierarchy_has_not(name):
    model = small(name)
    x = random_batch(model)["x"]
    for call, message in (
        (lambda: model.reconstruct(x, levels=3), "how many of the 2 levels"),
        (lambda: model.reconstruct(x, levels=-1), "how many of the 2 levels"),
        (lambda: model.decode({}), "one or more of z1, z2"),
        (lambda: model.prior(), "use draw"),
        (lambda: model.posterior(x), "use encode"),
    ):
        with pytest.raises(InvalidInput, match=message):
            call()


def test_a_trained_hierarchy_has_pictures_of_its_levels(tmp_path):
    data = {"name": "digits", "split": "train", "limit": 64}
    preset = {
        "model": "lvae",
        "config": SIZES,
        "data": data,
        "recipe": {"epochs": 1, "batch_size": 32, "jit_compile": False},
    }
    training.train(tmp_path / "run", preset, verbose=0)
    for kind in ("levels", "latents", "kl"):
        pictures.draw(tmp_path / "run", kind, tmp_path / f"{kind}.png")
        assert (tmp_path / f"{kind}.png").stat().st_size > 1000
    with pytest.raises(InvalidInput, match="--kind levels"):
        pictures.draw(tmp_path / "run", "traversals", tmp_path / "traversals.png")


@pytest.mark.slow
def test_a_posterior_that_does_not_factorise_has_no_picture_of_its_units(tmp_path):
    data = {"name": "digits", "split": "train", "limit": 64}
    preset = {
        "model": "dlgm",
        "config": SIZES,
        "data": data,
        "recipe": {"epochs": 1, "batch_size": 32, "jit_compile": False},
    }
    training.train(tmp_path / "run", preset, verbose=0)
    with pytest.raises(InvalidInput, match="does not factorise"):
        pictures.draw(tmp_path / "run", "kl", tmp_path / "kl.png")
