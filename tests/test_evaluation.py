"""Evaluation: effective sample size, what each level carries, and collapse in words."""

import contextlib
import pathlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from support import lively, random_batch, small
from test_truth import ALL_IMAGES, linear_gaussian

import zoo
from zoo import evaluation
from zoo.errors import InvalidInput
from zoo.evaluation import collapse_report, report
from zoo.pretrained import cards, page


def test_draws_of_the_exact_posterior_are_all_effective():
    model, marginal = linear_gaussian()
    metrics = zoo.evaluate(model, marginal.sample(20, seed=4).numpy().astype("float32"), num_samples=60)
    assert metrics["effective_sample_size"]["value"] == pytest.approx(60, rel=1e-3)
    assert metrics["effective_sample_size"]["num_samples"] == 60


@pytest.mark.parametrize(
    ("limit", "counted", "said"),
    [
        (None, True, [(4, 12), (8, 12), (10, 10)]),
        (6, True, [(4, 6), (6, 6)]),
        (20, True, [(4, 12), (8, 12), (10, 10)]),
        (None, False, [(4, None), (8, None), (10, None)]),
        (6, False, [(4, 6), (6, 6)]),
    ],
)
def test_progress_says_how_many_examples_there_are(limit, counted, said):
    found, data = [], tf.data.Dataset.from_tensor_slices({"x": ALL_IMAGES[:10]}).batch(4)
    data = data if counted else data.filter(lambda batch: True)
    zoo.evaluate(lively("vae"), data, num_samples=2, limit=limit, progress=lambda *call: found.append(call))
    assert found == said


@pytest.mark.parametrize(("name", "given"), [("conditional_vae", {"y"}), ("vae", {None})])
def test_numbers_of_a_conditional_model_say_what_is_given(name, given):
    model = small(name)
    metrics = zoo.evaluate(model, random_batch(model), num_samples=2)
    assert {metrics[key].get("given") for key in ("nll", "elbo", "bits_per_dim")} == given


@pytest.mark.parametrize("name", ["vae", "conditional_vae"])
def test_effective_sample_size_is_that_of_the_weights_in_one_chunk_or_several(name, monkeypatch):
    model = lively(name)
    fields = {"x": tf.constant(ALL_IMAGES), **({"y": tf.zeros([16], tf.int32)} if name != "vae" else {})}
    estimator = evaluation.Estimator(model, 4000)
    monkeypatch.setattr("zoo.evaluation.importance.CHUNK_BYTES", 2**40)
    whole = estimator(fields, seed=(0, 0))["effective_sample_size"]
    key = tf.random.fold_in(tf.random.fold_in(tf.constant([0, 0]), 101, alg="philox"), 0, alg="philox")
    weight = np.exp(model(fields, num_samples=4000, seed=key).log_weight[:, 0].numpy().astype("float64"))
    np.testing.assert_allclose(whole, weight.sum(0) ** 2 / (weight**2).sum(0), rtol=1e-4)
    assert np.all(whole < 3999)
    monkeypatch.setattr("zoo.evaluation.importance.CHUNK_BYTES", 4 * 3000 * 16 * 1500)  # 1024 draws and more
    np.testing.assert_allclose(estimator(fields, seed=(0, 0))["effective_sample_size"], whole, rtol=0.2)


@pytest.mark.parametrize("share", [0.3, 1])
def test_draws_that_overflow_weigh_nothing_and_are_counted(share, monkeypatch):
    model, draws = lively("vae"), 60
    key = tf.random.fold_in(tf.random.fold_in(tf.constant([0, 0]), 101, alg="philox"), 0, alg="philox")
    scores = model({"x": tf.constant(ALL_IMAGES)}, num_samples=draws, seed=key).log_likelihood["x"][:, 0]
    limit = np.inf if share == 1 else np.quantile(scores, share)
    weight = np.exp(model({"x": tf.constant(ALL_IMAGES)}, num_samples=draws, seed=key).log_evidence, dtype="float64")
    weight, over = np.where(scores <= limit, 0, weight), np.asarray(scores) <= limit
    given = model.score
    monkeypatch.setattr(model, "score", lambda *a: {k: tf.where(v <= limit, np.nan, v) for k, v in given(*a).items()})
    metrics = zoo.evaluate(model, ALL_IMAGES, num_samples=draws)
    assert metrics["overflow_percent"]["value"] == pytest.approx(100 * over.mean(), rel=1e-5)
    if share == 1:
        assert "nll" not in metrics
    else:
        np.testing.assert_allclose(metrics["nll"]["value"], -np.log(weight.mean(0)).mean(), rtol=1e-5)
    assert all(np.isfinite(entry["value"]) for entry in metrics.values())
    assert not {"elbo", "reconstruction"} & metrics.keys() and "active_units" in metrics


def test_an_evaluation_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    model, calls, measured = lively("vae"), [], evaluation.Estimator.__call__
    data = tf.data.Dataset.from_tensor_slices({"x": ALL_IMAGES}).batch(4)

    def counted(estimator, fields, seed):
        calls.append(seed)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return measured(estimator, fields, seed)

    def evaluated(seed=0):
        kept = evaluation.Kept(tmp_path / "kept")
        return kept, zoo.evaluate(model, data, num_samples=20, seed=seed, kept=kept)

    whole = zoo.evaluate(model, data, num_samples=20)
    monkeypatch.setattr(evaluation.Estimator, "__call__", counted)
    stop = 3
    with pytest.raises(KeyboardInterrupt):
        evaluated()
    assert "going on" not in capsys.readouterr().err
    stop, broken = None, sorted((tmp_path / "kept").iterdir())[0]
    calls.clear()
    kept, metrics = evaluated()
    assert metrics == whole and [start for _, start in calls] == [8, 12]
    assert "going on with an evaluation that was stopped" in capsys.readouterr().err
    broken.write_bytes(b"PK")
    calls.clear()
    assert evaluated()[1] == whole and len(calls) == 1
    calls.clear()
    assert evaluated(seed=1)[1] != whole and len(calls) == 4, "other draws"
    calls.clear()
    model.weights[0].assign(model.weights[0] + 0.1)
    evaluated()
    assert len(calls) == 4, "other weights"
    kept.clear()
    assert len(list((tmp_path / "kept").iterdir())) == 8, "what others keep stays"


@pytest.mark.parametrize(
    ("value", "limit", "sizes"),
    [(0.001, None, [1000]), (0.0075, None, [1000, 4000, 16000]), (0.0075, 3000, [1000, 3000]), (0.3, None, [1000])],
)
def test_the_bias_of_half_the_bits_is_taken_of_as_many_examples_as_tell_it(value, limit, sizes, monkeypatch):
    """The standard error of 1,000 examples is 0.004 nats; 16,000 and no fewer tell 0.0075 from the bound of 0.01."""
    asked, spread = [], 0.004 * np.sqrt(1000)

    def compare(model, exact, dataset, num_samples, size, *rest):
        asked.append(size)
        return {"nll_difference": {"value": value, "standard_error": spread / np.sqrt(size), "num_examples": size}}

    monkeypatch.setattr(report, "compare", compare)
    known = contextlib.nullcontext() if value < 0.01 and limit is None else pytest.raises(InvalidInput, match="more ex")
    with known:
        report.bias_of(None, None, None, limit, 0, None, None)
    assert asked == sizes


def test_an_evaluation_in_half_the_bits_says_what_that_does_and_is_refused_where_it_is_too_much(tmp_path):
    model, kept = lively("vae"), evaluation.Kept(tmp_path / "kept")
    x = np.random.default_rng(0).integers(0, 2, (40, *model.data_spec["x"].shape)).astype("float32")
    exact = zoo.evaluate(model, x, num_samples=20, kept=kept)
    half = zoo.evaluate(model, x, num_samples=20, kept=kept, precision="bfloat16")
    bias = half["bfloat16_bias"]
    assert half.keys() == {*exact, "bfloat16_bias"} and (bias["num_examples"], bias["num_samples"]) == (40, 100)
    assert 0 < abs(half["nll"]["value"] - exact["nll"]["value"]) < 1e-3 * exact["nll"]["value"]
    assert 0 < abs(bias["value"]) < 2e-3
    bias_of_decoder = model.decoder.weights[-1]
    assert len(bias_of_decoder.shape) == 1
    bias_of_decoder.assign(tf.fill(bias_of_decoder.shape, 100.3))  # 100.5 in bfloat16
    with pytest.raises(InvalidInput, match=r"bfloat16 moves the NLL by .* on 40 examples, where 0.01 and"):
        zoo.evaluate(model, 0 * x, num_samples=5, precision="bfloat16")
    with pytest.raises(InvalidInput, match="leave out refine or precision"):
        zoo.evaluate(model, x, num_samples=5, refine="hmc", precision="bfloat16")
    with pytest.raises(InvalidInput, match="did you mean bfloat16"):
        zoo.evaluate(model, x, num_samples=5, precision="bfloat")


def test_a_chunk_is_as_large_as_its_widest_tensor_allows(monkeypatch):
    """Of what grows with the draws, whatever layer makes it; and an explicit number is taken as it is."""
    model = small("vae", decoder={"name": "mlp", "hidden_units": [8, 5000]})
    fields = {"x": random_batch(model, 7)["x"]}
    monkeypatch.setattr("zoo.evaluation.importance.CHUNK_BYTES", 4 * 5000 * 7 * 10)
    assert evaluation.Estimator(model, 300).draws_of(fields) == 8  # of 10, a power of two
    assert evaluation.Estimator(model, 3).draws_of(fields) == 3
    assert evaluation.Estimator(model, 300, draws_per_chunk=50).draws_of(fields) == 50
    assert evaluation.Estimator(small("vae"), 300).draws_of(fields) == 16  # of 5000 / 3000 as many


def test_of_longer_sequences_a_chunk_takes_fewer_draws():
    model = small("vrnn")
    estimator = evaluation.Estimator(model, 2**20)
    short, long = (estimator.draws_of(model.fields({"x": np.zeros((2, steps, 3), "float32")})) for steps in (4, 64))
    assert short == 16 * long


def test_a_probe_is_repeated_draw_by_draw_however_large_chunks_have_become(monkeypatch):
    model = lively("vae")
    monkeypatch.setattr("zoo.evaluation.importance.CHUNK_BYTES", 4 * 3000 * 16 * 30)
    first = evaluation.probe(model, ALL_IMAGES)
    assert (first["draws_per_chunk"], first["num_samples"], first["metric"]) == (16, 100, "nll")
    monkeypatch.undo()
    assert evaluation.probe(model, ALL_IMAGES)["value"] != first["value"]
    assert evaluation.probe(model, ALL_IMAGES, first) == first


def test_penalties_have_lines_of_their_own_in_their_unit():
    model = small("vae", penalties=[{"name": "mmd", "weight": 3.0}])
    x = random_batch(model, 250)["x"]
    metric = zoo.evaluate(model, x, num_samples=2)["mmd"]
    assert (metric["num_examples"], metric["num_batches"]) == (250, 3)
    p = model.run({"x": x[100:200]}, num_samples=1, training=False, seed=tf.constant([29, 100]))
    assert metric["unit"] == model.penalties[0].unit
    assert abs(metric["value"] - float(model.penalties[0](p, model))) < 10 * metric["standard_error"] + 0.05


def test_a_metric_is_there_where_the_model_meets_its_needs():
    metrics = {
        name: set(zoo.evaluate(small(name), random_batch(small(name), 9), num_samples=2)) for name in ("m1", "vae")
    }
    of_point = set(zoo.evaluate(small("autoencoder"), random_batch(small("vae"), 9)["x"], num_samples=2))
    assert of_point == {"reconstruction", "active_units"}
    assert metrics["m1"] - metrics["vae"] == {"error_percent", "classification"}
    assert {"nll", "elbo", "kl", "bits_per_dim", "unused_units", *of_point} <= metrics["vae"]


def test_a_collapsed_posterior_is_called_unused_and_a_unit_too():
    model = small("vae")
    x = random_batch(model, 50)["x"]
    assert collapse_report(zoo.evaluate(model, x, num_samples=5)) == []
    dense = model.posterior_head.dense
    kernel, bias = (weight.numpy() for weight in (dense.kernel, dense.bias))
    for units, expected in (([1], "1 of its 3 units are not"), ([0, 1, 2], "The latent is unused")):
        for unit in units:  # q = p: location 0, and the scale 1
            kernel[:, [unit, 3 + unit]] = 0
            bias[[unit, 3 + unit]] = 0, np.log(np.e - 1)
        dense.set_weights([kernel, bias])
        metrics = zoo.evaluate(model, x, num_samples=5)
        assert metrics["unused_units"] == {"value": len(units), "of": 3, "num_examples": 50}
        (sentence,) = collapse_report(metrics)
        assert expected in sentence


def two_levels(kl_below, kl_above, spread_above):
    """Metrics of a model of two latents: z1 with 4 units, z2 with 2."""
    random = np.random.default_rng(0)
    model = SimpleNamespace(latent_names=("z1", "z2"), offers={"bound"}, penalties=[], fields_of=lambda role: ())
    scores = {"nll": random.normal(size=30), "kl": np.full(30, kl_below + kl_above)}
    for name, units, kl, spread in (("z1", 4, kl_below, 1.0), ("z2", 2, kl_above, spread_above)):
        scores[f"kl_{name}"] = np.full(30, kl)
        scores[f"units/{name}"] = np.full((30, units), kl / units)
        scores[f"location/{name}"] = spread * random.normal(size=(30, units))
    return evaluation.summary(model, scores, 10)


def test_each_level_has_its_kl_and_units():
    metrics = two_levels(8.0, 0.001, 0.0)
    assert metrics["kl_z1"]["value"] == 8.0
    assert metrics["kl_z2"]["num_examples"] == 30
    assert metrics["active_units_z1"]["value"] == metrics["active_units_z1"]["of"] == 4
    assert metrics["unused_units_z1"]["value"] == 0
    assert metrics["unused_units_z2"] == {"value": 2, "of": 2, "num_examples": 30}


@pytest.mark.parametrize(
    "kl, said",
    [
        (0.019, ["Latent z2 is unused: the KL of its 2 units is 0.019 nats."]),
        (0.021, ["Every one of the 2 latents is used."]),
    ],
)
@pytest.mark.parametrize("spread", [0.0, 1.0])  # of the location, which moves with the prior's too
def test_a_level_is_unused_where_its_kl_is_below_a_hundredth_a_unit(kl, said, spread):
    assert collapse_report(two_levels(8.0, kl, spread)) == said


@pytest.mark.parametrize("kl, said", [(0.9, "unused"), (1.1, "used")])
def test_a_map_of_many_units_is_used_where_it_says_a_nat(kl, said):
    metrics = two_levels(8.0, kl, 0.0)
    metrics["active_units_z2"]["of"] = 1568
    assert f" {said}" in collapse_report(metrics)[0]


def test_a_card_says_which_levels_are_unused():
    metrics = two_levels(8.0, 0.0, 0.0)
    card = {"name": "m", "model": "lvae", "config": {}, "metrics": metrics, "versions": {}, "date": ""}
    card["weights"] = {"bytes": 1, "sha256": ""}
    text = page.page(pathlib.Path("no such folder"), card)
    assert "\nLatent z2 is unused" in text


def test_annealed_numbers_and_the_others_stand_beside_each_other(tmp_path):
    home = tmp_path / "m"
    zoo.save(small("vae"), home, card={"data": {"name": "digits"}})
    plain = {"nll": {"value": 1.0, "standard_error": 0.1, "num_examples": 3, "num_samples": 5}}
    chains = {"num_chains": 4, "num_temperatures": 9, "num_examples": 3, "standard_error": 0.1}
    for metrics, command in (
        (plain | {"old": plain["nll"]}, "first"),
        ({"nll_ais": {"value": 2.0, **chains}}, "second"),
        (plain, "third"),
    ):
        cards.record(home, metrics, {}, command, "test")
    card = zoo.pretrained.read_card(home)
    assert list(card["metrics"]) == ["nll", "nll_ais"]
    assert card["evaluation"]["command"] == "third"
    assert card["evaluation"]["annealed"]["command"] == "second"
    text = (home / "README.md").read_text()
    assert "`second`" in text
    assert "4 chains of 9" in text
