"""How many updates a call makes, and whether XLA compiles them: by itself, as asked for, or as measured."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small
from test_training import STEPS, X, preset

from zoo import pretrained
from zoo.errors import InvalidInput
from zoo.models.doors import in_batches
from zoo.models.updates import together
from zoo.training import CyclicalKL, ExponentialMovingAverage, LinearKL, Progress, compiling, train
from zoo.training.recipe import Recipe


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "x.npz", x=X)
    return {"name": str(tmp_path / "x.npz"), "split": "train", "validation": "validation"}


def seconds(each, compiling=1.0):
    """What `seconds_of_epochs` is to find: {(XLA, updates a call): seconds an update}."""

    def found(model, optimizer, batches, jit_compile, count):
        later = each[jit_compile, count] * len(batches)
        return later + (compiling if jit_compile else 0.0), later

    return found


@pytest.mark.parametrize(
    ("each", "first", "chosen"),
    [
        ({(False, 1): 10.0, (False, STEPS): 9.0, (True, 1): 8.0, (True, STEPS): 7.0}, 1.0, (True, STEPS)),
        ({(False, 1): 10.0, (False, STEPS): 9.0, (True, 1): 8.9, (True, STEPS): 8.8}, 1.0, (False, STEPS)),
        ({(False, 1): 8.0, (False, STEPS): 9.0, (True, 1): 1.0, (True, STEPS): 1.0}, 1e4, (False, 1)),
    ],
    ids=["XLA wins", "by too little", "to compile takes more than is gained"],
)
def test_tuning_takes_what_is_fastest_for_the_run_and_keeps_it(
    each, first, chosen, monkeypatch, data, tmp_path, capsys
):
    monkeypatch.setattr(compiling, "seconds_of_epochs", seconds(each, first))
    train(tmp_path / "run", preset(data, jit_compile="auto"), tune=True, verbose=False)
    assert f"taken: jit_compile {chosen[0]}, steps_per_execution {chosen[1]}" in capsys.readouterr().out
    for recipe in (
        pretrained.read_card(tmp_path / "run")["recipe"],
        json.loads((tmp_path / "run" / "run.json").read_text())["recipe"],
    ):
        assert (recipe["jit_compile"], recipe["steps_per_execution"]) == chosen


def test_tuning_leaves_the_run_as_it_is(data, tmp_path):
    weights = []
    for tune in (True, False):
        model, _ = train(tmp_path / str(tune), preset(data, ema=None, epochs=1), tune=tune, verbose=False)
        weights.append(model.get_weights())
    recipe = pretrained.read_card(tmp_path / "True")["recipe"]
    for one, other in zip(*weights, strict=True):  # XLA rounds otherwise
        np.testing.assert_allclose(
            one, other, **({"rtol": 1e-3, "atol": 1e-5} if recipe["jit_compile"] else {"rtol": 0})
        )


def test_nothing_is_measured_that_nobody_asks_for(monkeypatch, data, tmp_path):
    monkeypatch.setattr(compiling, "measured", None)
    train(tmp_path / "open", preset(data, jit_compile="auto"), verbose=False)
    recipe = pretrained.read_card(tmp_path / "open")["recipe"]
    assert (recipe["jit_compile"], recipe["steps_per_execution"]) == (False, STEPS)
    train(tmp_path / "said", preset(data, jit_compile=False, steps_per_execution=3), verbose=False)
    assert pretrained.read_card(tmp_path / "said")["recipe"]["steps_per_execution"] == 3


def test_an_earlier_run_that_was_measured_goes_on_as_it_began(data, tmp_path):
    run, found = tmp_path / "run", tmp_path / "run" / compiling.FILE
    train(run, preset(data, jit_compile="auto"), verbose=False)
    found.write_text(json.dumps({"jit_compile": True}))  # as before there was the other
    train(run, resume=True, epochs=5, verbose=False)
    recipe = pretrained.read_card(run)["recipe"]
    assert (recipe["jit_compile"], recipe["steps_per_execution"]) == (True, 1)
    found.write_text(json.dumps({"jit_compile": "yes"}))
    with pytest.raises(InvalidInput, match="compiling.json says nothing of jit_compile"):
        train(run, resume=True, epochs=6, verbose=False)


@pytest.mark.parametrize("value", ["yes", 2, None])
def test_another_word_is_refused(value):
    with pytest.raises(InvalidInput, match="jit_compile"):
        Recipe(jit_compile=value)


@pytest.mark.parametrize("value", ["yes", 0, 2.5, True, None])
def test_another_number_of_updates_in_a_call_is_refused(value):
    with pytest.raises(InvalidInput, match="steps_per_execution"):
        Recipe(steps_per_execution=value)


@pytest.mark.parametrize("together", [4, 5, 6, 100])
def test_an_epoch_has_its_updates_however_many_are_made_at_once(together, data, tmp_path):
    model, _ = train(tmp_path / "run", preset(data, steps_per_execution=together), verbose=False)
    assert int(model.steps) == 4 * STEPS


# ---------------------------------------------------------------- fit


def test_a_call_makes_as_many_updates_as_end_with_the_epoch():
    assert [together(number) for number in (None, 3, 20, 23, 40, 429, 600)] == [20, 3, 20, 10, 20, 13, 20]
    assert [together(None, *exactly) for exactly in ((7,), (23,), (40, 6), (None, 12))] == [7, 1, 2, 12]


def stream(count):
    return tf.data.Dataset.from_tensor_slices(X[: 4 * count]).batch(4)


class Own(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.seen = [*getattr(self, "seen", []), batch]


def test_fit_makes_several_updates_a_call_unless_a_callback_listens_to_batches(tmp_path):
    model, own = small("vae"), Own()
    model.compile("adam")
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    for callbacks, count in (([], 12), ([keep, Progress(), ExponentialMovingAverage()], 12), ([own], 1)):
        model.fit(stream(12), callbacks=callbacks, verbose=0)
        assert model.steps_per_execution == count
    assert own.seen == list(range(12)) and int(model.steps) == 36
    model.compile("adam", steps_per_execution=5)
    model.fit(stream(12), callbacks=[own], verbose=0)
    assert own.seen[12:] == [4, 9, 14] and int(model.steps) == 48


@pytest.mark.parametrize(("count", "steps"), [(3, None), (23, None), (12, 7), (12, 6)])
def test_fit_takes_every_batch_once_and_no_more_however_many_updates_a_call_makes(count, steps):
    model = small("vae")
    model.compile("adam")
    data = stream(count).repeat() if steps else stream(count)
    held_out = {"validation_data": stream(5).repeat(), "validation_steps": 3} if steps else {"validation_data": X[:9]}
    history = model.fit(data, epochs=2, steps_per_epoch=steps, verbose=0, **held_out).history
    assert int(model.steps) == 2 * (steps or count)
    assert int(model.tally.batches) == (3 if steps else 1) and np.isfinite(history["val_loss"]).all()


def test_several_updates_a_call_are_those_of_single_ones_schedules_included():
    found = []
    for count in (None, 1):
        model = small("vae", penalties=["mmd"])
        model.compile(keras.optimizers.SGD(0.01), steps_per_execution=count)
        schedules = [LinearKL(8), CyclicalKL(20, variable="mmd.weight")]
        for _ in range(2):
            history = model.fit(stream(6), validation_data=X[:8], callbacks=schedules, verbose=0).history
        found.append((model.get_weights(), history))
        assert float(model.beta) == 1.0 and float(model.penalties[0].weight) == pytest.approx(0.4)  # update 11 of 20
    for one, other in zip(*(weights for weights, _ in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    for term, values in found[0][1].items():
        assert values == pytest.approx(found[1][1][term], rel=1e-5)


def test_a_schedule_ends_with_its_fit():
    model = small("vae")
    model.compile("adam")
    model.fit(stream(6), callbacks=[LinearKL(100)], verbose=0)
    model.beta.assign(3.0)
    model.train_on_batch(X[:4])
    assert float(model.beta) == 3.0
    model.fit(stream(6), verbose=0)
    assert float(model.beta) == 3.0


# ---------------------------------------------------------------- arrays


def test_fit_takes_the_rows_of_arrays_as_keras_does():
    model, seen = small("vae"), []
    model.compile("adam")
    learn = model.learn
    object.__setattr__(model, "learn", lambda batch: (seen.append(batch["x"].shape[0]), learn(batch))[1])
    history = model.fit(X[:40], batch_size=16, epochs=2, validation_split=0.25, verbose=0).history
    assert int(model.steps) == 4 and len(history["val_loss"]) == 2 and set(seen) <= {None}
    model.compile("adam")
    model.fit(X[:32], None, 16, 1, verbose=0)
    assert seen[-1] == 16 and int(model.steps) == 6  # one shape, known before
    same = model.evaluate(X[30:40], verbose=0, return_dict=True)["loss"]
    assert same == pytest.approx(model.evaluate({"x": X[30:40]}, verbose=0, return_dict=True)["loss"])
    with pytest.raises(InvalidInput, match="leaves none"):
        model.fit(X[:3], validation_split=0.9999, verbose=0)


def test_the_order_of_arrays_is_that_of_the_seed_or_their_own():
    def order(seed, **settings):
        keras.utils.set_random_seed(seed)
        rows = []
        data = in_batches({"x": np.arange(12)}, 4, **settings)
        for _ in range(2):
            rows.append(np.concatenate([batch["x"] for batch in data]).tolist())
        return rows

    first, second = order(0, shuffle=True)
    assert first != second and sorted(first) == sorted(second) == list(range(12))
    assert order(0, shuffle=True) == [first, second] != order(1, shuffle=True)
    assert order(0, shuffle=False) == [list(range(12))] * 2
