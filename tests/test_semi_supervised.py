"""Few labels: what must be true of M1, M2 and M1+M2, and of the data they learn from."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from support import cost, lively, random_batch, seed, small, tiered

import zoo
from zoo import pictures
from zoo.data import load_arrays, load_semi_supervised
from zoo.errors import InvalidInput
from zoo.models.guards import Guard
from zoo.models.m2 import top_values
from zoo.training import train

ALL_IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32").reshape(16, 2, 2, 1)
SEMI = ["m1", "m2", "m1_m2"]
GENERATORS = ["m2", "m1_m2"]


def batch_of(y, size=None):
    x = np.random.RandomState(3).randint(0, 2, (size or len(y), 4, 4, 1)).astype("float32")
    return {"x": tf.constant(x), "y": tf.constant(y, tf.int32)}


def loss(model, batch):
    return cost(model, model.fields(batch) | {k: v for k, v in batch.items() if k == "labelled_fraction"})


def gradients(model, batch, weights):
    with tf.GradientTape() as tape:
        value = loss(model, batch)
    found = tape.gradient(value, weights, unconnected_gradients="zero")
    return [gradient.numpy() for gradient in found]


def classifier(model):
    owner = model if hasattr(model, "classifier") else model.m2
    return [*owner.classifier.trainable_weights, *owner.classifier_output.trainable_weights]


def still(model):
    """The model with posteriors so narrow that the noise of the draws does not show."""
    for head in {id(h): h for h in (model.posterior_head, getattr(model, "m2", model).posterior_head)}.values():
        units = head.latent_dim
        head.dense.bias.assign(np.repeat([0.0, -30.0], units))
        head.dense.kernel.assign(head.dense.kernel * np.repeat([1.0, 0.0], units))
    return model


# ---------------------------------------------------------------- the models


@pytest.mark.parametrize("name", GENERATORS)
def test_the_sum_over_labels_of_p_x_y_is_p_x_under_one_seed(name):
    model = small(name)
    x = random_batch(model, 6)["x"]
    for draws in (1, 7):
        together = model({"x": x, "y": tf.fill([6], -1)}, num_samples=draws, seed=seed(1)).log_marginal
        each = [model({"x": x, "y": tf.fill([6], c)}, num_samples=draws, seed=seed(1)).log_marginal for c in range(3)]
        np.testing.assert_allclose(tf.reduce_logsumexp(tf.stack(each), 0), together, rtol=1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_probabilities_of_all_images_and_labels_sum_to_one(name):
    model, draws, total, error = lively(name), 8000, 0.0, 0.0
    for label in range(3):
        inputs = {"x": tf.constant(ALL_IMAGES), "y": tf.fill([16], label)}
        trace = model(inputs, num_samples=draws, seed=seed(label))
        weight = tf.exp(trace.log_weight[:, label]).numpy()
        np.testing.assert_allclose(tf.exp(trace.log_marginal), weight.mean(0), rtol=1e-4)
        assert weight.mean(0).sum() == pytest.approx(1 / 3, abs=0.05)
        total, error = total + weight.mean(0).sum(), error + (weight.var(0) / draws).sum()
    assert abs(total - 1) < 4 * math.sqrt(error)
    assert error < 0.02**2


def test_with_every_label_seen_m2_is_the_conditional_bound_and_log_p_y():
    model = small("m2", alpha=0.0)
    batch = batch_of([0, 2, 1, 1])
    trace = model(batch, num_samples=3, seed=seed(1))
    posterior = model.posterior(batch["x"], batch["y"])
    z = tf.stack([trace.latents["z"][:, label, row] for row, label in enumerate(batch["y"].numpy())], 1)
    likelihood = model.likelihood(z, batch["y"][None]).log_prob(batch["x"])
    prior = model.prior()
    drawn = tf.reduce_mean(likelihood + prior.log_prob(z) - posterior.log_prob(z), 0)
    np.testing.assert_allclose(trace.elbo, drawn - math.log(3), rtol=1e-4)
    kl = posterior.kl_divergence(prior)
    np.testing.assert_allclose(model.objective(trace), tf.reduce_mean(likelihood, 0) - kl - math.log(3), rtol=1e-4)
    p = model.forward(batch, seed(1), training=True)
    assert float(model.cost(p)) == pytest.approx(-float(tf.reduce_mean(model.objective(p.trace))), rel=1e-6)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("labels", ["enumerated", "top"])
def test_a_labelled_row_does_not_know_the_decodings_of_other_classes(name, labels):
    of_m2 = {"labels": labels} if name == "m2" else {"m2": {"latent_dim": 2, "hidden_units": 8, "labels": labels}}
    model = small(name, num_classes=4, **of_m2)
    owner = getattr(model, "m2", model)
    batch, weights = batch_of([1, 1, 1]), [w for w in model.trainable_weights if "label/kernel" not in w.path]
    before = gradients(model, batch, weights)
    kernel = owner.decoder_label.label.kernel
    own = gradients(model, batch, [kernel])[0]
    kernel.assign(kernel + np.array([[5.0], [0.0], [-3.0], [7.0]]))
    after = gradients(model, batch, weights)
    for weight, a, b in zip(weights, before, after, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=weight.path)
    assert np.any(own[1])
    assert not np.any(own[[0, 2, 3]])


@pytest.mark.parametrize("name", GENERATORS)
def test_without_alpha_labelled_rows_do_not_touch_the_classifier_and_unlabelled_ones_do(name):
    model = small(name, alpha=0.0)
    for gradient in gradients(model, batch_of([0, 1, 2]), classifier(model)):
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))
    for gradient in gradients(model, batch_of([-1, -1, -1]), classifier(model)):
        assert np.any(gradient)


def test_the_classifier_of_m1_learns_from_labelled_rows_alone_and_its_vae_ignores_labels():
    model = small("m1")
    vae = [w for w in model.trainable_weights if "label_logits" not in w.path]
    networks = [w for w in vae if id(w) not in {id(c) for c in classifier(model)}]
    first, second = (gradients(model, batch_of(y), networks) for y in ([0, 1, 2], [-1, -1, -1]))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert not any(np.any(g) for g in gradients(model, batch_of([-1, -1, -1]), classifier(model)))
    assert all(np.any(g) for g in gradients(model, batch_of([0, 1, 2]), classifier(model)))


@pytest.mark.parametrize("name", tiered(SEMI, {"m2"}.__contains__))
def test_the_loss_does_not_depend_on_the_share_of_labelled_rows_in_a_batch(name):
    # The KL of z1 is estimated from its draws: many.
    draws, close = (3000, 2e-3) if name == "m1_m2" else (1, 1e-4)
    model = still(small(name, labelled_fraction=0.3, num_samples=draws))
    batch = batch_of([0, 2, -1, -1, -1])
    rows = [0, 1, 0, 1, 0, 1, 2, 3, 4]
    repeated = {field: tf.gather(value, rows) for field, value in batch.items()}
    told = {**batch, "labelled_fraction": tf.fill([5], 0.3)}
    expected = float(loss(model, batch))
    assert float(loss(model, repeated)) == pytest.approx(expected, rel=close)
    other = still(small(name, num_samples=draws))
    assert float(loss(other, told)) == pytest.approx(expected, rel=close)
    assert abs(float(loss(other, repeated)) / float(loss(other, batch)) - 1) > 2 * close, "the share is not seen"

    # And it is what the paper says: natural proportions of the bounds, alpha times the mean over the labelled.
    trace = model(batch, training=True, seed=seed(1))
    bound = (model.objective(trace) / trace.row_weight).numpy()
    log_q = np.log(model.classify(batch["x"]))
    labelled = 0.1 * -np.mean([log_q[0, 0], log_q[1, 2]])
    assert expected == pytest.approx(labelled - 0.3 * bound[:2].mean() - 0.7 * bound[2:].mean(), rel=1e-3)


def test_m1_m2_is_a_vae_whose_prior_is_an_m2():
    model = small("m1_m2")
    batch = batch_of([0, -1, 2])
    model.m2.likelihood_head.kept.assign([1.0, 0.0, 1.0])
    trace = model(batch, num_samples=4, seed=seed(1))
    z, z1 = trace.latents["z"], trace.latents["z1"]
    vae = small("vae", encoder=model.get_config()["encoder"])
    for part in ("encoder", "decoder", "posterior_head"):
        getattr(vae, part).set_weights(getattr(model, part).get_weights())
    np.testing.assert_allclose(trace.log_likelihood["x"], vae.likelihood(z1).log_prob(batch["x"]), rtol=1e-5)
    np.testing.assert_allclose(trace.log_posterior["z1"], vae.posterior(batch["x"]).log_prob(z1), rtol=1e-4, atol=1e-4)
    prior = model.m2.likelihood(z, tf.eye(3)[None, :, None]).distribution.log_prob(z1).numpy()
    np.testing.assert_allclose(trace.log_prior["z1"], prior.sum(-1), rtol=1e-5)
    # The dropped unit is standard normal, and the m2 does not look at it.
    normal = -0.5 * z1.numpy()[..., 1] ** 2 - 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(prior[..., 1], normal, rtol=1e-5)
    moved = z1[0, 0] + tf.constant([0.0, 9.0, 0.0])
    np.testing.assert_array_equal(model.m2.classify(z1[0, 0]), model.m2.classify(moved))


def test_m1_m2_takes_over_an_m1_and_drops_what_does_not_vary():
    m1 = small("m1", latent_dim=4)
    kernel = m1.posterior_head.dense.kernel
    kernel.assign(kernel * np.repeat([[3.0, 0.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0]], 8, 0))
    model = small("m1_m2", latent_dim=4)
    model.take(m1)
    batch = random_batch(model, 40)
    model.adapt(tf.data.Dataset.from_tensors(batch))
    np.testing.assert_array_equal(model.m2.likelihood_head.kept, [1, 0, 1, 1])
    np.testing.assert_array_equal(model.locations(batch)["z1"], m1.locations(batch)["z"])
    model.compile("adam")
    before = [w.numpy() for layer in model.of_m1 for w in layer.weights]
    model.fit(batch, verbose=0)
    after = [w.numpy() for layer in model.of_m1 for w in layer.weights]
    assert all(np.array_equal(b, a) for b, a in zip(before, after, strict=True))
    assert small("m1_m2", joint=True).encoder.trainable
    with pytest.raises(InvalidInput, match="other sizes"):
        small("m1_m2", latent_dim=5).take(m1)


def test_top_labels_give_the_sum_over_all_without_bias_and_exactly_where_the_rest_has_no_mass():
    log_q = tf.nn.log_softmax(tf.constant(np.random.RandomState(0).normal(size=(1, 6)), tf.float32))
    values = tf.constant(np.random.RandomState(1).normal(size=(1, 6)), tf.float32)
    log_mass = tf.transpose(tf.repeat(log_q, 20000, 0))
    y, mass, log_drawn = top_values(log_mass, 2, seed(1))
    assert y.shape == (1, 3, 20000, 6)
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(mass), 1), 1, rtol=1e-5)
    sums = tf.reduce_sum(tf.exp(mass[0]) * tf.reduce_sum(y[0] * values, -1), 0)
    exact = float(tf.reduce_sum(tf.exp(log_q) * values))
    assert abs(float(tf.reduce_mean(sums)) - exact) < 4 * float(tf.math.reduce_std(sums)) / math.sqrt(20000)
    # The terms of a row with all its mass on two labels are those of the enumeration.
    model, full = (small("m2", num_classes=5, labels=labels) for labels in ({"name": "top", "count": 3}, "enumerated"))
    assert small("m2", num_classes=5)(batch_of([1, -1]), seed=seed(1)).log_mass.shape[1] == 5
    assert model(batch_of([1, -1]), training=True, seed=seed(1)).log_mass.shape == (1, 4, 2)
    for copy in (model, full):
        copy.classifier_output.bias.assign([0.0, 40.0, 0.0, 40.0, 39.0])
    still(model), still(full)
    assert float(loss(model, batch_of([1, -1, -1]))) == pytest.approx(
        float(loss(full, batch_of([1, -1, -1]))), rel=1e-4
    )


def test_sampled_labels_are_known_ones_where_known_and_cost_one_value():
    model = small("m2", labels="sampled")
    batch = batch_of([1, -1, -1])
    for training in (True, False):
        trace = model(batch, num_samples=3, training=training, seed=seed(1))
        y = trace.latents["y"].numpy()
        assert y.shape == (3, 1, 3, 3)
        np.testing.assert_array_equal(y[:, 0, 0], [[0.0, 1.0, 0.0]] * 3)
        np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-5)
        assert np.any((y > 0.01) & (y < 0.99)) == training
        assert trace.log_mass.shape == (1, 1, 3)
    for gradient in gradients(model, batch, model.trainable_weights):
        assert np.any(gradient)
    # Hard labels are draws of q(y | x): their bound is that of the enumeration.
    many = model({k: tf.repeat(v[1:2], 4000, 0) for k, v in batch.items()}, seed=seed(1)).elbo.numpy()
    full = small("m2")({k: tf.repeat(v[1:2], 4000, 0) for k, v in batch.items()}, seed=seed(1)).elbo.numpy()
    assert abs(many.mean() - full.mean()) < 4 * math.sqrt((many.var() + full.var()) / 4000)


@pytest.mark.parametrize("name", GENERATORS)
def test_labels_steer_and_are_inferred_where_unknown(name):
    model = small(name)
    x = random_batch(model, 4)["x"]
    probabilities = model.classify(x)
    np.testing.assert_allclose(tf.reduce_sum(probabilities, -1), 1, rtol=1e-5)
    z = model.encode(x)
    np.testing.assert_allclose(z, model.posterior(x, probabilities).mean(), atol=1e-6)
    labels = [np.full(4, c, "int32") for c in range(3)]
    assert np.any(model.decode(z, y=labels[0]) != model.decode(z, y=labels[1]))
    assert np.any(model.encode(x, y=labels[0]) != model.encode(x, y=labels[2]))
    assert model.sample(3, seed=1, y=[0, -1, 2]).shape == (3, 4, 4, 1)
    out = model.serve_classify(x=x)
    np.testing.assert_array_equal(out["label"], np.argmax(probabilities, -1))


@pytest.mark.parametrize("name", GENERATORS)
def test_the_printed_kl_of_a_label_is_that_of_its_probabilities_from_equal_ones(name):
    model = small(name)
    batch = {"x": random_batch(model, 6)["x"], "y": tf.constant([-1, -1, -1, 0, 1, 2])}
    terms = model.terms(model(batch, num_samples=2, seed=seed(1)))
    q = model.classify(batch["x"]).numpy()[:3]
    truth = [*(math.log(3) + (q * np.log(q)).sum(-1)), *[math.log(3)] * 3]
    np.testing.assert_allclose(terms["kl_y"], truth, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sum(terms[f"kl_{n}"] for n in (*model.latent_names, "y")), terms["kl"], rtol=1e-4)


@pytest.mark.parametrize("name", tiered(SEMI, {"m2"}.__contains__))
def test_evaluation_hides_labels_and_counts_errors(name):
    model = small(name)
    batch = batch_of([0, 1, 2, -1, 1, 1])
    metrics = zoo.evaluate(model, batch, num_samples=3)
    wrong = np.argmax(model.classify(batch["x"]), -1) != batch["y"].numpy()
    assert metrics["error_percent"]["value"] == pytest.approx(100 * wrong[[0, 1, 2, 4, 5]].mean())
    assert metrics["error_percent"]["num_examples"] == 5
    hidden = zoo.evaluate(model, {**batch, "y": np.full(6, -1)}, num_samples=3)
    assert "error_percent" not in hidden
    for name in ("nll", "elbo"):
        assert hidden[name] == pytest.approx(metrics[name], rel=1e-5)


@pytest.mark.parametrize("name", ["vae", *SEMI])
def test_features_are_the_locations_and_labels_come_along(name):
    model = small(name)
    batch = random_batch(model, 7)
    found, labels = zoo.features(model, {k: v.numpy() for k, v in batch.items()})
    hidden = {"x": batch["x"], "y": tf.fill([7], -1)} if name != "vae" else batch
    expected = np.concatenate(list(model.locations(hidden).values()), 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert labels is None if name == "vae" else np.array_equal(labels, batch["y"])
    with pytest.raises(InvalidInput, match="unknown latent 'w'"):
        zoo.features(model, batch["x"].numpy(), latent="w")


# ---------------------------------------------------------------- the data


def test_label_subsets_are_balanced_depend_on_their_seed_alone_and_show_nothing_else():
    truth = load_arrays("digits", "train", labels=True)
    seen = []
    for chosen, order in ((0, 0), (0, 5), (1, 0)):
        data = load_semi_supervised(
            "digits", 20, chosen, batch_size=100, labelled_per_batch="natural", order_seed=order
        )
        rows = [(x.tobytes(), int(y)) for b in data for x, y in zip(b["x"].numpy(), b["y"].numpy(), strict=True)]
        assert len(rows) == 1300
        seen.append({row for row in rows if row[1] >= 0})
    assert seen[0] != seen[2]
    assert len(seen[0] | seen[1]) <= 20
    images = {x.tobytes(): int(y) for x, y in zip(truth["x"], truth["y"], strict=True)}
    assert all(images[x] == y for x, y in seen[0])
    mixed = load_semi_supervised("digits", 20, batch_size=50, labelled_per_batch=20)
    shown = {
        (x.tobytes(), int(y)) for b in mixed for x, y in zip(b["x"].numpy(), b["y"].numpy(), strict=True) if y >= 0
    }
    assert np.array_equal(np.bincount([y for _, y in shown]), np.full(10, 2))


@pytest.mark.parametrize(("wanted", "rows"), [(12, 12), (0.25, 10), (None, 4)])
def test_batches_hold_the_stated_ratio_and_a_pass_goes_once_through_the_unlabelled(wanted, rows):
    data = load_semi_supervised("digits", 30, batch_size=40, labelled_per_batch=wanted)
    batches = list(data)
    assert len(batches) == data.cardinality() == (1397 - 30) // (40 - rows)
    for batch in batches:
        assert batch["x"].dtype == tf.uint8
        assert np.array_equal(batch["y"].numpy() >= 0, np.arange(40) < rows)
        np.testing.assert_allclose(batch["labelled_fraction"], 30 / 1397)
    unlabelled = [x.tobytes() for b in batches for x in b["x"].numpy()[rows:]]
    distinct = len({x.tobytes() for x in load_arrays("digits")["x"]})
    assert len(set(unlabelled)) >= len(unlabelled) - (1397 - distinct)
    labelled = [x.tobytes() for b in batches for x in b["x"].numpy()[:rows]]
    counts = np.unique(labelled, return_counts=True)[1]
    assert len(counts) == min(30, len(labelled))
    assert counts.max() - counts.min() <= 1


def test_a_resumed_pass_is_that_of_an_uninterrupted_run():
    def first(epoch, passes):
        data = load_semi_supervised("digits", 20, batch_size=100, first_epoch=epoch)
        steps = int(load_semi_supervised("digits", 20, batch_size=100).cardinality())
        return [b["x"].numpy() for b in data.take(passes * steps)]

    whole, resumed = first(0, 2), first(1, 1)
    np.testing.assert_array_equal(whole[len(resumed) :], resumed)
    assert np.any(whole[0] != resumed[0])


def test_held_out_labels_are_hidden_and_labels_of_ones_own_are_kept():
    held_out = load_semi_supervised("digits", 20, split="validation")
    batches = list(held_out)
    assert sum(len(b["y"]) for b in batches) == 200
    assert all(np.all(b["y"].numpy() == -1) for b in batches)
    mine = {"x": np.zeros((10, 2, 2, 1), "uint8"), "y": np.array([0, 1, -1, -1, -1, -1, -1, -1, 0, 1])}
    batch = next(iter(load_semi_supervised(mine, None, batch_size=4, labelled_per_batch=2)))
    assert set(batch["y"].numpy()) <= {-1, 0, 1}
    np.testing.assert_allclose(batch["labelled_fraction"], 0.4)


MINE = {"x": np.zeros((12, 2, 2, 1), "uint8"), "y": np.arange(12) % 3}
MISTAKES = [
    ({"num_labels": 100}, "34 of each class|cannot be shared"),
    ({"num_labels": 4}, "cannot be shared equally by 3 classes"),
    ({"num_labels": 15}, "class 0 has 4"),
    ({"num_labels": 0}, "num_labels must be positive"),
    ({"num_labels": 3, "labelled_per_batch": 5, "batch_size": 8}, "only 3 examples are labelled"),
    ({"num_labels": 6, "labelled_per_batch": 8, "batch_size": 8}, "leave no place"),
    ({"num_labels": 6, "labelled_per_batch": 0.3, "batch_size": 8}, "does not make whole numbers"),
    ({"num_labels": 6, "labelled_per_batch": 1.5, "batch_size": 8}, "does not make whole numbers"),
    ({"num_labels": 6, "labelled_per_batch": 2, "batch_size": 50}, "do not fill"),
    ({"num_labels": 3, "num_classes": 2}, "label 2, but labels are 0..1"),
    ({"y": MINE["y"] - 2}, "label -2"),
    ({"y": MINE["y"].astype("float32")}, "whole numbers"),
    ({"y": np.full(12, -1), "num_labels": None}, "no labelled row"),
]


@pytest.mark.parametrize(("settings", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_wrong_labels_and_shares_are_one_line(settings, message):
    settings = {"num_labels": 3, "batch_size": 4, **settings}
    arrays = {"x": MINE["x"], "y": settings.pop("y", MINE["y"])}
    with pytest.raises(InvalidInput, match=message) as caught:
        load_semi_supervised(arrays, **settings)
    assert "\n" not in str(caught.value)


def test_a_class_without_labels_is_named_in_a_warning_and_fit_refuses_what_cannot_be_learnt():
    y = np.where(MINE["y"] == 1, -1, MINE["y"])
    with pytest.warns(UserWarning, match="class 1 is labelled"):
        load_semi_supervised({"x": MINE["x"], "y": y}, None, batch_size=4)
    model = small("m2", data_shape=(2, 2, 1))
    model.compile("adam")
    with pytest.warns(UserWarning, match="class 1 is labelled"):
        model.fit({"x": MINE["x"], "y": y}, verbose=0)
    for wrong, message in ((np.full(12, -1), "no labelled row"), (y * 2, "up to 4"), (y * 1.0, "whole numbers")):
        with pytest.raises(InvalidInput, match=message):
            model.fit({"x": MINE["x"], "y": wrong}, verbose=0)


BAD_CONFIGS = [
    ("m2", {"num_classes": 1}, "at least 2"),
    ("m2", {"alpha": -1.0}, "alpha must not be negative"),
    ("m2", {"labelled_fraction": 1.5}, "labelled_fraction is a share"),
    ("m2", {"labels": "enumerate"}, "did you mean enumerated"),
    ("m2", {"labels": {"name": "sampled", "temperature": 0.0}}, "temperature must be positive"),
    ("m2", {"labels": {"name": "sampled", "count": 1}}, "take the argument temperature"),
    ("m2", {"labels": {"name": "top", "count": 2}}, "no fewer than 3"),
    ("m1_m2", {"m2": {"labels": "sampled"}}, "enumerated or top"),
]


@pytest.mark.parametrize(("name", "config", "message"), BAD_CONFIGS, ids=[m for _, _, m in BAD_CONFIGS])
def test_wrong_arguments_are_one_line(name, config, message):
    with pytest.raises(InvalidInput, match=message):
        small(name, **config)


def test_labels_of_an_m1_do_not_steer():
    with pytest.raises(InvalidInput, match="do not steer"):
        small("m1").sample(2, y=[0, 1])


@pytest.mark.slow
def test_a_trained_m2_has_pictures_of_styles_and_analogies(tmp_path):
    data = {"name": "digits", "split": "train", "limit": 64}
    config = {"data_shape": [8, 8, 1], "latent_dim": 2, "hidden_units": 8}
    preset = {
        "model": "m2",
        "config": config,
        "data": data,
        "recipe": {"epochs": 1, "batch_size": 32, "jit_compile": False},
    }
    train(tmp_path / "run", preset, verbose=0)
    for kind in ("styles", "analogies"):
        pictures.draw(tmp_path / "run", kind, tmp_path / f"{kind}.png")
        assert (tmp_path / f"{kind}.png").stat().st_size > 1000


POOLED = {"name": "pooled_conv", "filters": [3, 4], "hidden_units": [5], "dropout": [0.1, 0.2, 0.5]}


def test_a_classifier_drops_values_in_training_alone():
    model = small("m2", data_shape=(9, 7, 1), classifier=POOLED)
    x = random_batch(model, 6)["x"]
    features = [model.classifier(x, training=training).numpy() for training in (True, True, False, False)]
    assert features[0].shape == (6, 5)
    assert (features[0] != features[1]).any()
    np.testing.assert_array_equal(features[2], features[3])
    np.testing.assert_array_equal(model.classify(x), model.classify(x))


DROPOUTS = [0.5, [0.5], [0.1, 0.2, 1.0]]


@pytest.mark.parametrize("wrong", [*({"dropout": shares} for shares in DROPOUTS), {"filters": [4] * 6}])
def test_shares_and_stages_that_do_not_fit_are_one_line(wrong):
    with pytest.raises(InvalidInput, match="dropout takes 3 shares|use fewer filters"):
        zoo.create("m2", data_shape=(8, 8, 1), classifier={**POOLED, **wrong})


@pytest.mark.slow
def test_a_resumed_run_drops_what_an_uninterrupted_one_drops(tmp_path):
    config = {"data_shape": [8, 8, 1], "num_classes": 10, "latent_dim": 2, "hidden_units": 8, "classifier": POOLED}
    data = {"name": "digits", "num_labels": 50, "labels_seed": 0}
    preset = {
        "model": "m2",
        "config": config,
        "data": data,
        "recipe": {"epochs": 2, "batch_size": 100, "jit_compile": False},
    }
    whole, _ = train(tmp_path / "whole", preset, verbose=0)

    def interrupt(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Guard, "on_epoch_begin", interrupt)
        train(tmp_path / "halved", preset, verbose=0)
    resumed, _ = train(tmp_path / "halved", resume=True, verbose=0)
    for weight, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
