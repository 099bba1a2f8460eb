"""Training: schedules, averages, guards, runs that are killed and go on, several devices."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small, tiered

import zoo
from zoo.data import open_source
from zoo.errors import InvalidInput, OutputExists
from zoo.models.guards import Guard
from zoo.pictures import draw
from zoo.quiet import say_once
from zoo.training import optimizers, train
from zoo.training.callbacks import EarlyStopping, ExponentialMovingAverage
from zoo.training.checkpoint import FILE, OLDER, Checkpoint
from zoo.training.recipe import Recipe
from zoo.training.schedules import SCHEDULES, CyclicalKL, LinearKL, SigmoidKL

HERE = pathlib.Path(__file__).parent
X = np.random.RandomState(0).randint(0, 256, (120, 4, 4, 1)).astype("uint8")


def batches(*arrays):
    return tf.data.Dataset.from_tensor_slices(np.stack(arrays))


def run_python(script, *arguments, code=0):
    """Run a script in a process of its own, from which this folder's modules can be imported."""
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == code, done.stderr[-3000:]


# ---------------------------------------------------------------- the KL weight


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"name": "linear", "steps": 4}, {0: 0, 1: 0.25, 2: 0.5, 4: 1, 100: 1}),
        ({"name": "linear", "steps": 10, "start": 1.0, "stop": 4.0}, {0: 1, 5: 2.5, 10: 4, 11: 4}),
        ({"name": "sigmoid", "steps": 12}, {0: 0, 6: 0.5, 12: 1, 13: 1, 9: 0.5 + 0.5 * np.tanh(1.5) / np.tanh(3)}),
        # Fu et al. 2019, equation 6: tau = (t mod T/M) / (T/M), beta = tau / R up to R, then 1.
        (
            {"name": "cyclical", "steps": 40, "cycles": 4, "ramp": 0.5},
            {0: 0, 1: 0.2, 5: 1, 9: 1, 10: 0, 12: 0.4, 29: 1, 30: 0, 34: 0.8, 39: 1, 40: 1, 75: 1},
        ),
        ({"name": "cyclical", "steps": 20, "cycles": 2, "ramp": 1.0, "stop": 2.0}, {0: 0, 5: 1, 9: 1.8, 10: 0, 20: 2}),
    ],
    ids=str,
)
def test_kl_schedules_have_their_published_values(spec, expected):
    schedule = SCHEDULES.create(spec)
    for step, value in expected.items():
        assert float(schedule.at(step)) == pytest.approx(value, abs=1e-9), step


def test_a_schedule_moves_beta_with_the_updates_and_the_model_keeps_it(tmp_path):
    model, other = small("vae"), small("vae")
    model.compile("sgd")
    schedule = SCHEDULES.create({"name": "linear", "steps": 8})
    betas = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: betas.append(float(model.beta)))
    for _ in range(2):
        model.fit(batches(X[:5], X[5:10]), epochs=2, callbacks=[schedule, watch], verbose=0)
    assert betas == [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8]
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    assert (float(other.beta), int(other.steps)) == (7 / 8, 8)


@pytest.mark.parametrize("steps", [2, 2000])
def test_a_schedule_that_training_ends_before_is_said_with_its_number_and_the_cure(steps, capfd):
    say_once.cache_clear()
    model = small("vae")
    model.compile("sgd")
    model.fit(batches(X[:5], X[5:10]), callbacks=[LinearKL(steps)], verbose=0)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("beta is")]
    expected = (
        "beta is 0.001 after 2 updates, and its schedule ends at 1: give the schedule fewer steps, or train for more"
    )
    assert [line.startswith(expected) for line in said] == [True] * (steps == 2000)


# ---------------------------------------------------------------- averages and early stopping


def test_the_moving_average_is_its_formula_and_training_goes_on_from_its_own_weights():
    model, decay = small("vae"), 0.3
    model.compile(keras.optimizers.SGD(0.05))
    trained, validated, begun = [], [], []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: trained.append(weights()))
    watch.on_test_batch_begin = lambda batch, logs: validated.append(weights())
    watch.on_epoch_begin = lambda epoch, logs: begun.append(weights())

    def weights():
        return [w.numpy() for w in model.trainable_variables]

    def check(actual, expected):
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-7)

    average, ema, step = weights(), ExponentialMovingAverage(decay), 0
    data = batches(X[:5], X[5:10], X[10:15])
    for _ in range(2):  # the second fit starts from the first's average
        for record in (trained, validated, begun):
            record.clear()
        model.fit(data, epochs=2, validation_data=batches(X[:5]), callbacks=[ema, watch], verbose=0)
        for update, current in enumerate(trained):
            step += 1
            keep = min(decay, (1 + step) / (10 + step))
            average = [keep * a + (1 - keep) * c for a, c in zip(average, current, strict=True)]
            if update == 2:
                check(validated[0], average)
        check(validated[1], average)
        check(begun[1], trained[2])
        check(weights(), average)
        assert any(np.any(a != b) for a, b in zip(average, trained[-1], strict=True))


def epochs_until_stop(losses, betas=None, patience=2):
    """(epochs run, the epoch whose weights are left) of early stopping; the weights are the epoch's number."""
    model = small("vae")
    stopping = EarlyStopping(patience)
    stopping.set_model(model)
    model.stop_training = False
    for epoch, loss in enumerate(losses):
        model.steps.assign(epoch)
        model.beta.assign(betas[epoch] if betas else 1.0)
        stopping.on_test_begin()
        stopping.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    stopping.on_train_end()
    return epoch + 1, int(model.steps)


def test_early_stopping_waits_and_returns_to_the_best_weights():
    assert epochs_until_stop([3.0, 1.0, 2.0, 0.5, 0.6, 0.7, 0.1]) == (6, 3)
    assert epochs_until_stop([3.0, 2.0, 1.0]) == (3, 2)
    assert epochs_until_stop([np.nan, 2.0, np.nan, 3.0, 1.0]) == (4, 1)


def test_early_stopping_does_not_count_while_a_schedule_moves_the_weight_of_the_kl():
    assert epochs_until_stop([1.0, 2.0, 3.0, 4.0, 3.5, 5.0, 6.0], [0.0, 0.3, 0.6, 1.0, 1.0, 1.0, 1.0]) == (6, 0)
    assert epochs_until_stop([5.0, 6.0, 7.0, 4.0, 4.5, 5.0, 6.0], [0.0, 0.3, 0.6, 1.0, 1.0, 1.0, 1.0]) == (6, 3)


@pytest.mark.parametrize(
    "schedule", tiered([LinearKL, SigmoidKL, CyclicalKL], {LinearKL}.__contains__, lambda kl: kl.__name__)
)
def test_validation_is_measured_at_the_weight_of_the_kl_that_the_schedule_ends_with(schedule):
    seen = []
    watch = keras.callbacks.LambdaCallback()
    watch.on_test_batch_begin = lambda batch, logs: seen.append(float(model.beta))
    watch.on_train_batch_end = lambda batch, logs: seen.append(float(model.beta))
    model = small("vae")
    model.compile("adam")
    for _ in range(2):
        kl = schedule(steps=100, stop=2.0)
        history = model.fit(batches(X[:5], X[5:10]), validation_data=X[:5], callbacks=[kl, watch], verbose=0).history
    assert seen[2] == seen[5] == 2.0 and max(seen[:2] + seen[3:5]) < 0.5
    assert float(model.beta) == seen[4]
    model.beta.assign(2.0)
    assert model.evaluate(X[:5], verbose=0, return_dict=True)["loss"] == pytest.approx(history["val_loss"][0])


@pytest.mark.parametrize("first", tiered(["ema", "checkpoint"], {"ema"}.__contains__))
@pytest.mark.parametrize("validated", [True, False])
def test_the_weights_that_are_saved_or_looked_at_are_those_that_were_validated(first, validated, tmp_path):
    model, path, seen = small("vae"), tmp_path / "best.weights.h5", []
    model.compile(keras.optimizers.Adam(0.1))
    monitor = {"monitor": "val_loss" if validated else "loss", "save_best_only": True, "save_weights_only": True}
    callbacks = [keras.callbacks.ModelCheckpoint(path, **monitor), ExponentialMovingAverage(0.9)]
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    callbacks = [look, *(callbacks[::-1] if first == "ema" else callbacks)]
    held_out = {"validation_data": X[:5]} if validated else {}
    history = model.fit(batches(*[X[:16]] * 4), epochs=3, callbacks=callbacks, verbose=0, **held_out).history
    for kept, weight in zip(seen[-1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)
    if validated:
        model.load_weights(path)
        loss = model.evaluate(X[:5], verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(min(history["val_loss"]), rel=1e-6)


def test_two_evaluations_agree_and_each_batch_and_row_has_draws_of_its_own():
    model = small("vae")
    model.compile()
    copies = np.repeat(X[:1], 400, 0)
    one_batch, by_batches = (
        [model.evaluate(copies, batch_size=size, verbose=0, return_dict=True)["loss"] for _ in range(2)]
        for size in (400, 4)
    )
    assert one_batch[0] == one_batch[1] and by_batches[0] == by_batches[1]
    draws = -model(copies, num_samples=100, seed=3).log_weight.numpy()  # [100, 1, 400]: the KL as it was drawn
    exact = model(X[:1], num_samples=40_000, seed=3)
    truth, error = -float(exact.elbo[0]), float(draws.std()) / 20
    for loss in (one_batch[0], by_batches[0]):
        assert abs(loss - truth) < 4 * error


# ---------------------------------------------------------------- updates that are not finite

HUGE = np.float32(1e30)  # finite, so the check of the data lets it through; its square is not


def fitted(*arrays):
    model = small("vae", likelihood="normal")
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(batches(*arrays), verbose=0).history
    return model, history


def test_an_update_that_is_not_finite_leaves_weights_and_moments_alone_and_is_counted():
    good = X[:5].astype("float32") / 255
    expected, _ = fitted(good)
    model, history = fitted(good, good * HUGE)
    assert history["skipped"] == [1.0]
    assert np.isfinite(history["loss"][0])
    assert (int(model.steps), int(model.optimizer.iterations)) == (2, 1)
    states = ([*m.trainable_variables, *m.optimizer.variables] for m in (model, expected))
    for actual, wanted in zip(*states, strict=True):
        np.testing.assert_array_equal(actual.numpy(), wanted.numpy(), err_msg=wanted.path)


def test_an_update_that_is_not_finite_leaves_the_statistics_of_batch_normalisation_alone():
    encoder = {"name": "mlp", "hidden_units": [4], "batch_norm": True}
    model = small("vae", encoder=encoder, likelihood="normal")
    model.compile()
    bad = X[:5].astype("float32") / 255
    model.fit(batches(bad), verbose=0)
    known = [v.numpy() for v in model.non_trainable_weights if v is not model.steps]
    assert len(known) > 2
    model.train_on_batch(bad * HUGE)
    for variable, value in zip((v for v in model.non_trainable_weights if v is not model.steps), known, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize(("per_epoch", "stops_after"), [(3, 3), (130, 104)])
def test_training_stops_when_nothing_is_finite_and_leaves_the_checkpoint(per_epoch, stops_after, tmp_path):
    good = X[:5].astype("float32") / 255
    model = small("vae", likelihood="normal", encoder={"name": "mlp", "hidden_units": [2]})
    model.compile(keras.optimizers.Adam(1e-2))
    checkpoint = Checkpoint(tmp_path, {})
    model.fit(batches(good), callbacks=[checkpoint], verbose=0)
    before = (tmp_path / FILE).read_bytes()
    bad = tf.data.Dataset.from_tensors(good * HUGE).repeat(per_epoch)
    with pytest.raises(FloatingPointError, match="not finite"):
        model.fit(bad, epochs=5, callbacks=[checkpoint], verbose=0)
    assert int(model.steps) == 1 + stops_after
    assert (tmp_path / FILE).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_a_loss_scale_that_overflows_falls_until_updates_are_finite():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small("vae")
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2), initial_scale=2.0**40))
        before = [w.numpy() for w in model.trainable_variables]
        history = model.fit(tf.data.Dataset.from_tensors(X[:5]).repeat(60), verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert 10 < history["skipped"][0] < 50
    assert float(model.optimizer.dynamic_scale) < 2.0**31
    assert all(np.any(a != b) for a, b in zip(before, model.trainable_variables, strict=True))


def test_evaluation_shows_a_loss_that_is_not_finite():
    model = small("vae", likelihood="normal")
    model.compile()
    assert not np.isfinite(model.evaluate(X[:5] * HUGE, verbose=0, return_dict=True)["loss"])


# ---------------------------------------------------------------- runs

MODEL = {"latent_dim": 2, "data_shape": [4, 4, 1], "encoder": {"name": "mlp", "hidden_units": [4]}}
RECIPE = {"epochs": 4, "batch_size": 16, "learning_rate": 0.01, "seed": 5, "jit_compile": False}
FULL_RECIPE = {
    **RECIPE,
    "schedule": "cosine",
    "warmup_steps": 3,
    "kl": {"name": "linear", "steps": 10},
    "ema": 0.9,
    "clipnorm": 1.0,
    "patience": 3,
    "deterministic": True,
    "jit_compile": True,
    "steps_per_execution": 2,
}
STEPS = 6  # 96 training images in batches of 16


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A preset's data: 96 training images, 12 for validation."""
    path = tmp_path_factory.mktemp("data") / "x.npz"
    np.savez(path, x=X)
    return {"name": str(path), "split": "train", "validation": "validation", **open_source(path).about()}


def preset(data, model="vae", config=None, **recipe):
    return {"model": model, "config": {**MODEL, **(config or {})}, "data": data, "recipe": {**RECIPE, **recipe}}


RUNS = """
import json, os, sys
from zoo.models.guards import Guard
from zoo.models.guards import Guard
from zoo.training import optimizers, train

def end(self, batch, logs=None):
    model, _, step = stop_at.rpartition(":")
    if int(self.model.steps) == int(step) and model in ("", self.model.registry_name):
        how()

def interrupt():
    raise KeyboardInterrupt

Guard.on_train_batch_end = end
preset, *runs = sys.argv[1:]
for run in runs:
    directory, how, stop_at = run.split("@")
    how = {"whole": None, "kill": lambda: os._exit(9), "interrupt": interrupt}[how]
    resume = os.path.exists(directory)
    try:
        train(directory, None if resume else json.loads(preset), resume=resume, verbose=0)
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Folders of the same run: twice whole, killed in its third epoch and resumed, stopped in its first and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    text = json.dumps(preset(data, config={"binarize": "dynamic"}, **FULL_RECIPE))
    whole, again, late, early = (folder / name for name in ("whole", "again", "late", "early"))
    run_python(RUNS, text, f"{whole}@whole@-1", f"{early}@interrupt@2", f"{late}@kill@{2 * STEPS + 2}", code=9)
    run_python(RUNS, text, *(f"{path}@whole@-1" for path in (again, early, late)))
    return {path.name: path for path in (whole, again, late, early)}


@pytest.mark.parametrize("other", ["again", "late", "early"])
def test_a_run_with_the_same_seed_is_the_same_run_even_when_it_was_killed_and_resumed(runs, other):
    """EMA, KL schedule, cosine with warm-up, early stopping and dynamic binarisation are all on."""
    whole, same = (dict(np.load(runs[name] / FILE)) for name in ("whole", other))
    assert whole.keys() == same.keys()
    assert {"ema/0", "early_stopping/best", "variable/0", "epoch"} < whole.keys()
    for key in whole:
        np.testing.assert_array_equal(whole[key], same[key], err_msg=key)
    for expected, actual in zip(*(zoo.load(runs[name]).get_weights() for name in ("whole", other)), strict=True):
        np.testing.assert_array_equal(expected, actual)


@pytest.mark.parametrize("name", ["whole", "late", "early"])
def test_the_logs_of_a_run_have_every_epoch_once(runs, name):
    def rows(file):
        with open(runs[name] / file, newline="") as opened:
            return list(csv.reader(opened))

    header, *log = rows("log.csv")
    assert {"epoch", "elbo", "reconstruction", "kl", "loss", "val_loss", "skipped"} <= set(header)
    assert [row[0] for row in log] == ["0", "1", "2", "3"]
    units = rows("kl_per_unit.csv")
    assert [row[:2] for row in units] == [[str(e), "z"] for e in range(4)]
    for entry, row in zip((dict(zip(header, row, strict=True)) for row in log), units, strict=True):
        assert sum(map(float, row[2:])) == pytest.approx(float(entry["kl"]), rel=1e-4)
        assert float(entry["elbo"]) == pytest.approx(float(entry["reconstruction"]) - float(entry["kl"]), abs=1e-4)


def test_the_card_of_a_run_says_how_it_was_made(runs, data):
    card = json.loads((runs["late"] / "card.json").read_text())
    assert card["recipe"] == {**Recipe().__dict__, **FULL_RECIPE}
    assert (card["seed"], card["epochs_trained"], card["data"]) == (5, 4, data)


def test_fine_tuning_starts_from_the_weights_and_counts_anew(runs, data, tmp_path):
    settings = preset(data, epochs=1, learning_rate=1e-9, ema=None, kl={"name": "linear", "steps": 12})
    model, _ = train(tmp_path / "tuned", {**settings, "from": str(runs["whole"])}, verbose=0)
    original = zoo.load(runs["whole"])
    assert model.binarize == "dynamic"
    for tuned, before in zip(model.trainable_variables, original.trainable_variables, strict=True):
        np.testing.assert_allclose(tuned, before, atol=1e-6)
    assert int(model.steps) == STEPS
    assert float(model.beta) == pytest.approx((STEPS - 1) / 12)


def staged(data, **changes):
    """Two stages, of which the second has another bound and more draws."""
    first = {"name": "one_draw", **preset(data, epochs=2, ema=None, steps_per_execution=2)}
    last = {
        "model": "iwae",
        "config": {"num_samples": 3},
        "data": data,
        "recipe": {**RECIPE, "epochs": 2, "steps_per_execution": 2},
    }
    return {**last, "stages": [first], "from": "one_draw", **changes}


def same_weights(one, other):
    for expected, actual in zip(zoo.load(one).get_weights(), zoo.load(other).get_weights(), strict=True):
        np.testing.assert_array_equal(expected, actual)


def test_stages_are_trained_one_after_the_other_each_in_a_run_of_its_own(data, tmp_path, capsys):
    wanted = staged(data)
    whole, _ = train(tmp_path / "whole", wanted, verbose=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("stage")]
    assert lines == ["stage 1 of 2: one_draw, vae", "stage 2 of 2: whole, iwae"]
    card = json.loads((tmp_path / "whole" / "card.json").read_text())
    assert (whole.num_samples, whole.registry_name, card["epochs_trained"]) == (3, "iwae", 4)
    assert (card["stages"], card["from"]) == (wanted["stages"], "one_draw")
    assert zoo.load(tmp_path / "whole" / "one_draw").registry_name == "vae"
    again = zoo.pretrained.preset(tmp_path / "whole")
    assert again["config"] == {**MODEL, "bound": "iwae", "num_samples": 3} and again["stages"] == wanted["stages"]

    alone = {key: value for key, value in wanted["stages"][0].items() if key != "name"}
    train(tmp_path / "alone", alone, verbose=0)
    same_weights(tmp_path / "alone", tmp_path / "whole" / "one_draw")
    single = {key: value for key, value in wanted.items() if key != "stages"}
    train(tmp_path / "then", {**single, "from": str(tmp_path / "alone")}, verbose=0)
    same_weights(tmp_path / "then", tmp_path / "whole")
    nothing_but_stages = [wanted["stages"][0], {"name": "three_draws", **single}]
    train(tmp_path / "listed", {"stages": nothing_but_stages}, verbose=0)
    same_weights(tmp_path / "listed", tmp_path / "whole")
    listed = zoo.pretrained.preset(tmp_path / "listed")
    assert (listed["from"], listed["stages"]) == ("one_draw", wanted["stages"])


@pytest.mark.slow
def test_a_run_of_stages_that_was_killed_in_any_of_them_is_the_run_that_was_not(data, tmp_path):
    text = json.dumps(staged(data))
    whole, early, first, second = (tmp_path / name for name in ("whole", "early", "first", "second"))
    for path, stop in ((early, "vae:2"), (first, f"vae:{STEPS + 2}"), (second, f"iwae:{STEPS + 2}")):
        run_python(RUNS, text, f"{path}@kill@{stop}", code=9)
        assert (path / "one_draw" / "card.json").exists() == (path is second)
        assert not (path / "card.json").exists()
    run_python(RUNS, text, *(f"{path}@whole@-1" for path in (whole, early, first, second)))
    for path in (early, first, second):
        same_weights(path, whole)
        for file in ("log.csv", "one_draw/log.csv"):
            assert len((path / file).read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_stage_of_another_class_takes_over_the_networks_it_has_too(data, tmp_path):
    config = {**MODEL, "num_classes": 2, "m2": {"latent_dim": 2, "hidden_units": 4}}
    wanted = {"stages": [{"name": "images", **preset(data, epochs=1)}], "from": "images", "model": "m1_m2"}
    recipe = {**RECIPE, "epochs": 1, "learning_rate": 1e-9, "ema": None}
    for joint in (False, True):
        run = tmp_path / str(joint)
        last = {"config": {**config, "joint": joint}, "data": labelled(tmp_path), "recipe": recipe}
        train(run, {**wanted, **last}, verbose=0)
        model, images = zoo.load(run), zoo.load(run / "images")
        for name in ("encoder", "decoder", "posterior_head"):
            for ours, theirs in zip(getattr(model, name).weights, getattr(images, name).weights, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-6)
        card = json.loads((run / "card.json").read_text())
        assert card["epochs_trained"] == 1 and "m1" not in card["config"]


def test_a_stage_need_not_begin_from_another(data, tmp_path):
    wanted = {**preset(data, epochs=1), "stages": [{"name": "other", **preset(data, config={"latent_dim": 3})}]}
    train(tmp_path / "both", wanted, verbose=0)
    train(tmp_path / "alone", preset(data, epochs=1), verbose=0)
    same_weights(tmp_path / "both", tmp_path / "alone")


def test_a_stage_may_have_a_penalty_that_the_one_before_has_not(data, tmp_path):
    penalties = [{"name": "mmd", "weight": 3.0}]
    wanted = staged(data, model="vae", config={"penalties": penalties}, recipe={**RECIPE, "epochs": 1})
    model, history = train(tmp_path / "run", wanted, verbose=0)
    assert float(model.scalars["mmd.weight"]) == 3.0 and "mmd" in history.history
    assert zoo.load(tmp_path / "run").get_config()["penalties"] == penalties


def labelled(folder):
    """A preset's data with labels of two classes."""
    np.savez(folder / "labelled.npz", x=X, y=np.arange(len(X)) % 2)
    return {"name": str(folder / "labelled.npz"), "split": "train"}


ENTRY = {"name": "a", "model": "vae", "config": MODEL}
BAD_STAGES = {
    "two of one name": ([ENTRY, ENTRY], "a", "two stages are called 'a'"),
    "the last of a list": ([{**ENTRY, "name": "b"}, ENTRY, ENTRY], None, "two stages are called 'a'"),
    "without a name": ([{**ENTRY, "name": None}], "a", "a stage has a name"),
    "a name that is a path": ([{**ENTRY, "name": "../a"}], "a", "a stage has a name"),
    "a later one": ([{**ENTRY, "from": "b"}, {**ENTRY, "name": "b"}], "b", "'b', which is not trained before it"),
    "itself": ([{**ENTRY, "from": "a"}], "a", "'a', which is not trained before it"),
    "an unknown one": ([ENTRY], "vae_mnits", "did you mean vae_mnist"),
    "an unknown key": ([{**ENTRY, "recpie": {}}], "a", "stage 'a' takes no argument 'recpie'; did you mean recipe"),
    "a wrong recipe": ([{**ENTRY, "recipe": {"epoch": 1}}], "a", "did you mean epochs"),
    "no model": ([{"name": "a"}], "a", "stage 'a' lacks 'model'"),
    "a config that is none": ([{**ENTRY, "config": 3}], "a", "config of a preset or stage is a dict, got 3"),
}


@pytest.mark.parametrize("mistake", BAD_STAGES)
def test_wrong_stages_are_one_line_and_leave_nothing(mistake, data, tmp_path):
    entries, begin, message = BAD_STAGES[mistake]
    with pytest.raises(InvalidInput, match=message) as caught:
        stages = [{**entry, "data": data} for entry in entries]
        last = {**preset(data), "from": begin} if begin else {}
        train(tmp_path / "a", {**last, "stages": stages}, verbose=0)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_mistake_in_a_later_stage_is_found_before_the_first_is_trained(data, tmp_path):
    for change, message in (({"latent_dim": 3}, "do not fit"), ({"latent_dimm": 3}, "did you mean latent_dim")):
        with pytest.raises(InvalidInput, match=message):
            train(tmp_path / "a", staged(data, config=change), verbose=0)
        assert not (tmp_path / "a").exists()


def test_a_prior_is_fitted_to_the_codes_of_an_earlier_stage_whose_networks_stay(data, tmp_path):
    last = {
        "model": "vae",
        "from": "codes",
        "config": {"prior": {"name": "flow", "num_layers": 2, "hidden_units": [8]}},
    }
    kept = {"kept": ["encoder", "posterior", "decoder"], "epochs": 30, "ema": None}
    last |= {"stages": [{"name": "codes", **preset(data, epochs=2)}], "data": data, "recipe": {**RECIPE, **kept}}
    model, history = train(tmp_path / "run", last, verbose=0)
    first = zoo.load(tmp_path / "run" / "codes")
    for name in ("encoder", "decoder", "posterior_head"):
        for ours, theirs in zip(getattr(model, name).weights, getattr(first, name).weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    x = X[:100].astype("float32") / 255
    log_prior = [float(tf.reduce_mean(m(x, num_samples=50, seed=1).log_prior["z"])) for m in (first, model)]
    assert log_prior[1] > log_prior[0] + 0.01
    assert len(history.epoch) == 30
    assert (tmp_path / "run" / "codes" / "kl_per_unit.csv").is_file()
    assert not (tmp_path / "run" / "kl_per_unit.csv").exists()
    with pytest.raises(InvalidInput, match="run has no KL per unit: its posterior or prior does not factorise"):
        draw(tmp_path / "run", "kl", tmp_path / "kl.png")


BAD_KEPT = [(["decodr"], "unknown part of a vae 'decodr'; did you mean decoder")]
BAD_KEPT += [(["encoder", "decoder", "posterior"], "nothing is left to train")]


@pytest.mark.parametrize(("kept", "message"), BAD_KEPT, ids=[m for _, m in BAD_KEPT])
def test_parts_that_cannot_be_kept_are_one_line(kept, message, data, tmp_path):
    with pytest.raises(InvalidInput, match=message):
        train(tmp_path / "a", preset(data, kept=kept), verbose=0)
    assert not (tmp_path / "a").exists()


def test_weights_that_do_not_fit_what_begins_from_them_are_refused(runs, data, tmp_path):
    for change, message in (({"latent_dim": 3}, "do not fit"), ({"latent_dimm": 3}, "did you mean latent_dim")):
        with pytest.raises(InvalidInput, match=message):
            train(tmp_path / "a", {"config": change, "data": data, "from": str(runs["whole"])}, verbose=0)
        assert not (tmp_path / "a").exists()


def test_a_folder_in_use_is_kept_unless_it_holds_a_run_and_is_to_be_overwritten(data, tmp_path):
    quick = preset(data, epochs=1, ema=None)
    (tmp_path / "notes").mkdir()
    note = tmp_path / "notes" / "thesis.txt"
    note.write_text("mine")
    with pytest.raises(OutputExists, match="not empty"):
        train(tmp_path / "notes", quick, verbose=0)
    with pytest.raises(InvalidInput, match="holds no earlier run"):
        train(tmp_path / "notes", quick, overwrite=True, verbose=0)
    assert note.read_text() == "mine"

    run = tmp_path / "run"
    train(run, quick, verbose=0)
    (run / "old").write_text("")
    with pytest.raises(OutputExists):
        train(run, quick, verbose=0)
    # Settings that are wrong are found before anything is deleted.
    for wrong in ({"kl": {"name": "linaer"}}, {"kl": {"name": "linear"}}, {"ema": 2.0}, {"batch_size": 500}):
        with pytest.raises(InvalidInput):
            train(run, preset(data, **wrong), overwrite=True, verbose=0)
        assert (run / "old").exists()
    train(run, quick, overwrite=True, verbose=0)
    assert not (run / "old").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "is a dict of model"),
        ({"stages": {}}, "stages of a preset are a list"),
        ({"stages": [3]}, "is a dict of model"),
        ({"model": "vae", "data": {}}, "the data of a preset lack a name"),
        ({"model": "vae", "data": {"name": "digits"}, "start": "vae_mnist"}, "takes no argument 'start'"),
    ],
    ids=str,
)
def test_what_is_no_preset_is_one_line(wrong, message, tmp_path):
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    with pytest.raises(InvalidInput, match=message) as caught:
        train(tmp_path / "run", zoo.pretrained.preset(tmp_path / "wrong.json"), verbose=0)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["/proc/nowhere/run", "a_file/run"])
def test_a_folder_that_cannot_be_written_is_one_line(place, data, tmp_path):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(InvalidInput, match="cannot write"):
        train(tmp_path / place, preset(data), verbose=0)


BAD_RUNS = [
    ({"epoch": 3}, "did you mean epochs"),
    ({"epochs": 0}, "epochs must be positive"),
    ({"learning_rate": -1.0}, "learning_rate must be positive"),
    ({"schedule": "cosin"}, "did you mean cosine"),
    ({"optimizer": "adma"}, "did you mean adam"),
    ({"optimizer": {"name": "adamw", "weight_deacy": 0.1}}, "did you mean weight_decay"),
    ({"optimizer": {"name": "sgd", "momentum": 3.0}}, "cannot be made of"),
    ({"optimizer": {"name": "adamw", "weight_decay": "much"}}, "cannot be made of"),
    ({"optimizer": {"name": "adam", "learning_rate": 0.1}}, "takes no argument 'learning_rate'"),
    ({"schedules": {"betta": {"name": "linear", "steps": 3}}}, "unknown scalar of a vae"),
    ({"schedules": {"beta": {"name": "liner", "steps": 3}}}, "did you mean linear"),
    ({"schedules": {"beta": {"name": "linear", "steps": 3}}, "kl": {"name": "linear", "steps": 3}}, "leave one"),
    ({"kl": {"name": "cylical", "steps": 3}}, "did you mean cyclical"),
    ({"kl": {"name": "linear", "step": 3}}, "did you mean steps"),
    ({"kl": {"name": "linear"}}, "needs a value for 'steps'"),
    ({"kl": {"name": "cyclical", "steps": 3, "ramp": 0.0}}, "ramp is"),
    ({"ema": 1.0}, "between 0 and 1"),
    ({"patience": 0}, "patience must be positive"),
    ({"clipnorm": 0.0}, "clipnorm must be positive"),
    ({"batch_size": 97}, "do not fill one batch"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_RUNS, ids=[m for _, m in BAD_RUNS])
def test_a_wrong_recipe_is_one_line_and_leaves_nothing(settings, message, data, tmp_path):
    with pytest.raises(InvalidInput, match=message) as caught:
        train(tmp_path / "run", preset(data, **settings), verbose=0)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_early_stopping_without_validation_data_and_resuming_nothing_are_refused(data, tmp_path):
    with pytest.raises(InvalidInput, match="needs validation data"):
        train(tmp_path / "run", preset({**data, "validation": None}, patience=2), verbose=0)
    with pytest.raises(InvalidInput, match="there is no file"):
        train(tmp_path / "run", resume=True)


def test_two_runs_in_one_folder_at_once_are_refused(data, tmp_path):
    quick, run = preset(data, epochs=2), tmp_path / "run"

    def meddle(self, epoch, logs=None):
        for settings in ({"resume": True}, {"overwrite": True}, {}):
            with pytest.raises(InvalidInput, match="another process trains in .*run$"):
                train(run, None if "resume" in settings else quick, verbose=0, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Guard, "on_epoch_begin", meddle)
        train(run, quick, verbose=0)
    assert len((run / "log.csv").read_text().splitlines()) == 3
    train(run, resume=True, verbose=0)
    assert not list(run.glob(".*"))


BROKEN = {"empty": lambda b: b"", "cut off": lambda b: b[: len(b) // 2], "other bytes": lambda b: b"PK" * 500}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_checkpoint_gives_way_to_the_older_one_and_the_run_is_the_same(kind, runs, tmp_path, capsys):
    run = shutil.copytree(runs["whole"], tmp_path / "run")
    (run / FILE).write_bytes(BROKEN[kind]((run / FILE).read_bytes()))
    train(run, resume=True, verbose=0)
    assert "checkpoint.npz is damaged" in (said := capsys.readouterr().out) and "epoch 3" in said
    whole, same = (dict(np.load(folder / FILE)) for folder in (runs["whole"], run))
    for key in whole:
        np.testing.assert_array_equal(whole[key], same[key], err_msg=key)
    assert (run / "log.csv").read_text().splitlines()[0] == (runs["whole"] / "log.csv").read_text().splitlines()[0]
    assert [line.split(",")[0] for line in (run / "log.csv").read_text().splitlines()[1:]] == ["0", "1", "2", "3"]

    for name in (FILE, OLDER):
        (run / name).write_bytes(BROKEN[kind](b"x" * 100))
    with pytest.raises(InvalidInput, match="is damaged"):
        train(run, resume=True, verbose=0)


def test_a_log_with_blank_lines_and_a_row_that_was_cut_off_goes_on(data, tmp_path):
    run, wanted = tmp_path / "run", preset(data, epochs=2)
    train(run, wanted, verbose=0)
    rows = (run / "log.csv").read_text().splitlines()
    (run / "log.csv").write_text("\n".join([rows[0], "", rows[1], "", rows[2], "2,0.", "1"]))
    (run / "run.json").write_text(json.dumps(preset(data, epochs=3)))
    train(run, resume=True, verbose=0)
    assert [row.split(",")[0] for row in (run / "log.csv").read_text().splitlines()] == ["epoch", "0", "1", "2"]
    (run / "log.csv").write_bytes(b"\xff\x00")
    with pytest.raises(InvalidInput, match="log.csv is not a log"):
        train(run, resume=True, verbose=0)


@pytest.mark.parametrize("key", ["model", "data", "recipe", "config"])
def test_a_run_whose_settings_are_damaged_is_one_line(key, data, tmp_path):
    wanted = preset(data)
    for value in ("missing", None, 3, [], {"a": 1}):
        changed = {**wanted, key: value}
        if value == "missing":
            changed.pop(key)
        (tmp_path / "run.json").write_text(json.dumps(changed))
        if value == "missing" and key in ("recipe", "config"):
            continue  # these have defaults
        with pytest.raises(InvalidInput) as caught:
            train(tmp_path, resume=True, verbose=0)
        assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_model_is_refused(runs, tmp_path):
    model = small("vae")
    model.compile("adam")
    checkpoint = Checkpoint(runs["whole"], {})
    checkpoint.set_model(model)
    with pytest.raises(InvalidInput, match="another model or optimiser"):
        checkpoint.restore()


@pytest.mark.parametrize("name", optimizers.known())
def test_every_optimiser_of_keras_is_known_by_name_and_takes_its_arguments(name):
    recipe = Recipe(optimizer={"name": name.upper(), "weight_decay": 1e-3}, learning_rate=0.1, clipnorm=2.0)
    optimizer = recipe.make_optimizer(1)
    assert type(optimizer).__name__.lower().removeprefix("fused") == name
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (1e-3, 2.0)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["muon", "ftrl"])
def test_the_state_of_any_optimiser_is_resumed(name, data, tmp_path):
    wanted = preset(data, epochs=2, optimizer=name)
    train(tmp_path / "whole", wanted, verbose=0)

    def interrupt(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Guard, "on_epoch_begin", interrupt)
        train(tmp_path / "halved", wanted, verbose=0)
    train(tmp_path / "halved", resume=True, verbose=0)
    same_weights(tmp_path / "halved", tmp_path / "whole")


def test_schedules_move_scalars_by_name(data, tmp_path):
    linear, config = {"name": "linear", "steps": 12}, {"penalties": ["mmd"]}
    wanted = preset(data, config=config, epochs=1, kl=linear, schedules={"mmd.weight": {**linear, "stop": 5.0}})
    model, _ = train(tmp_path / "a", wanted, verbose=0)
    assert float(model.beta) == pytest.approx((STEPS - 1) / 12)
    assert float(model.scalars["mmd.weight"]) == pytest.approx(5 * (STEPS - 1) / 12)
    same, _ = train(tmp_path / "b", preset(data, epochs=1, schedules={"beta": linear}), verbose=0)
    assert float(same.beta) == float(model.beta)


def test_the_learning_rate_rises_linearly_and_falls_along_a_cosine():
    rate = Recipe(epochs=10, learning_rate=0.1, schedule="cosine", warmup_steps=20).make_optimizer(10)._learning_rate
    assert [float(rate(step)) for step in (0, 10, 20)] == pytest.approx([0, 0.05, 0.1], abs=1e-6)
    assert float(rate(60)) == pytest.approx(0.1 * (0.01 + 0.99 * 0.5), rel=1e-4)
    assert float(rate(100)) == pytest.approx(0.001, rel=1e-4)
    constant = Recipe(epochs=10, learning_rate=0.1, warmup_steps=20).make_optimizer(10)._learning_rate
    assert [float(constant(step)) for step in (10, 20, 99)] == pytest.approx([0.05, 0.1, 0.1])


def test_a_restart_begins_the_schedule_anew_and_leaves_what_was_before_as_it_was():
    settings = {"learning_rate": 0.1, "schedule": "cosine", "warmup_steps": 5}
    first = Recipe(epochs=6, **settings).make_optimizer(10)._learning_rate
    second = Recipe(epochs=4, **settings).make_optimizer(10)._learning_rate
    whole = Recipe(epochs=10, restarts=[6], **settings).make_optimizer(10)._learning_rate
    assert [float(whole(s)) for s in range(60)] == [float(first(s)) for s in range(60)]
    assert [float(whole(s)) for s in range(60, 100)] == [float(second(s)) for s in range(40)]
    again = type(whole).from_config(whole.get_config())
    assert float(again(70)) == float(whole(70)) > 0


@pytest.mark.parametrize("restarts", [[0], [10], [5, 3], ["5"]])
def test_restarts_lie_within_the_training(restarts):
    with pytest.raises(InvalidInput, match="rising epochs between 0 and 10"):
        Recipe(epochs=10, restarts=restarts)


# ---------------------------------------------------------------- several devices

MIRRORED = """
import contextlib
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from support import small

random = np.random.RandomState(0)
good, other = random.normal(size=(2, 8, 4, 4, 1)).astype("float32")
half_bad = np.where(np.arange(8).reshape(8, 1, 1, 1) < 4, good, 1e30)  # bad on the second device alone

def fitted(strategy, *arrays):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = small("autoencoder", likelihood="normal")
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    logs = model.fit(tf.data.Dataset.from_tensor_slices(np.stack(arrays)), verbose=0).history
    return logs, [w.numpy() for w in [*model.trainable_variables, *model.optimizer.variables]]

def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2
one_logs, one = fitted(None, good, other)
two_logs, both = fitted(two, good, other)
same(one, both)
np.testing.assert_allclose(one_logs["loss"], two_logs["loss"], rtol=1e-4)
bad_logs, skipped = fitted(two, good, half_bad, other)
same(one, skipped)
assert bad_logs["skipped"] == [1.0], bad_logs
assert np.isfinite(bad_logs["loss"][0])

with two.scope():
    model = small("vae")
first, second = two.experimental_local_results(two.run(model.step_seed))
assert (first.numpy() == second.numpy()).all()  # for they draw their rows of the whole batch's numbers
"""


@pytest.mark.slow
def test_two_devices_take_the_step_of_one_skip_what_is_not_finite_together_and_share_their_numbers():
    run_python(MIRRORED)


@pytest.mark.parametrize(
    ("model", "config", "named"),
    [
        ("beta_vae", {"beta": 70000}, "beta of the config"),
        ("vamp_vae", {"num_pseudo_inputs": 20000}, "num_pseudo_inputs"),
        ("vae", {"penalties": [{"name": "mmd", "weight": 1e5}]}, "weight of the config"),
    ],
)
def test_what_could_not_be_saved_is_refused_before_it_is_trained(model, config, named, data, tmp_path):
    with pytest.raises(InvalidInput, match=f"{named} .*more than") as error:
        train(tmp_path / "run", preset(data, model, config), verbose=False)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_run_whose_paths_are_relative_is_resumed_from_any_folder(tmp_path, monkeypatch):
    begun, elsewhere = tmp_path / "begun", tmp_path / "elsewhere"
    for folder in (begun, elsewhere):
        folder.mkdir()
    np.savez(begun / "x.npz", x=X)
    asked = preset({"name": "x.npz", "split": "train", "validation": "validation"}, epochs=1)
    monkeypatch.chdir(begun)
    train("first", asked, verbose=False)
    train("second", {**asked, "from": "first"}, verbose=False)
    for folder in (elsewhere, elsewhere, begun):
        monkeypatch.chdir(folder)
        epochs = json.loads((begun / "second" / "run.json").read_text())["recipe"]["epochs"] + 1
        train(begun / "second", resume=True, epochs=epochs, verbose=False)
        card = json.loads((begun / "second" / "card.json").read_text())
        assert (card["epochs_trained"], card["data"]["name"], card["from"]) == (epochs + 1, "x.npz", "first")
        assert str(tmp_path) not in (begun / "second" / "card.json").read_text()
