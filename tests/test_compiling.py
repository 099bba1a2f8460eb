"""Whether XLA compiles the update, and how many a call makes: as asked for, or as measured, once for all of a run."""

import json

import numpy as np
import pytest
from test_training import STEPS, X, preset

from zoo import pretrained
from zoo.errors import InvalidInput
from zoo.training import compiling, train
from zoo.training.recipe import Recipe


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "x.npz", x=X)
    return {"name": str(tmp_path / "x.npz"), "split": "train", "validation": "validation"}


@pytest.fixture
def measured(monkeypatch):
    """Runs of any length are measured; a function that says what the measurements are to be, and what they were of."""
    monkeypatch.setattr(compiling, "FEWEST", 1)
    asked = []

    def set_seconds(without, with_xla, first=1.0):
        def seconds(model, optimizer, batch, jit_compile):
            assert batch["x"].shape == (16, 4, 4, 1)
            asked.append(jit_compile)
            return {"first": first, "each": with_xla} if jit_compile else {"first": 0.0, "each": without}

        monkeypatch.setattr(compiling, "seconds_of_updates", seconds)
        return asked

    return set_seconds


@pytest.mark.parametrize(
    ("without", "with_xla", "first", "asked", "chosen"),
    [
        (10.0, 8.0, 1.0, [False, True], True),
        (10.0, 9.5, 1.0, [False, True], False),
        (10.0, 8.0, 1e4, [False, True], False),  # to compile takes more than is gained
        (1e-3, 1e-4, 1.0, [False], False),
    ],
)
def test_xla_is_taken_where_it_wins_in_a_run_that_is_long(
    without, with_xla, first, asked, chosen, measured, data, tmp_path
):
    seen = measured(without, with_xla, first)
    train(tmp_path / "run", preset(data, jit_compile="auto"), verbose=False)
    assert seen == asked
    assert pretrained.read_card(tmp_path / "run")["recipe"]["jit_compile"] is chosen


@pytest.mark.parametrize(("each", "together"), [(0.001, 10), (0.5, 1)])
@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_short_updates_are_made_several_in_a_call(jit_compile, each, together, measured, data, tmp_path):
    seen = measured(each, each)
    train(tmp_path / "run", preset(data, jit_compile=jit_compile, steps_per_execution="auto"), verbose=False)
    recipe = pretrained.read_card(tmp_path / "run")["recipe"]
    assert (recipe["jit_compile"], recipe["steps_per_execution"], seen) == (False, together, [False])


def test_what_is_said_is_not_measured(measured, data, tmp_path):
    seen = measured(0.001, 0.001)
    train(tmp_path / "run", preset(data, jit_compile=False, steps_per_execution=3), verbose=False)
    assert not seen and pretrained.read_card(tmp_path / "run")["recipe"]["steps_per_execution"] == 3


def test_a_run_goes_on_as_it_began(measured, data, tmp_path):
    measured(10.0, 1.0)
    train(tmp_path / "run", preset(data, jit_compile="auto"), verbose=False)
    seen = measured(1.0, 10.0)
    train(tmp_path / "run", resume=True, epochs=5, verbose=False)
    assert pretrained.read_card(tmp_path / "run")["recipe"]["jit_compile"] and len(seen) == 2
    (tmp_path / "run" / compiling.FILE).write_text(json.dumps({"jit_compile": "yes"}))
    with pytest.raises(InvalidInput, match="compiling.json says nothing of jit_compile"):
        train(tmp_path / "run", resume=True, epochs=6, verbose=False)
    (tmp_path / "run" / compiling.FILE).write_text(json.dumps({"jit_compile": True}))  # as before there was the other
    train(tmp_path / "run", resume=True, epochs=6, verbose=False)
    assert pretrained.read_card(tmp_path / "run")["recipe"]["steps_per_execution"] == 1


def test_the_measurement_leaves_the_run_as_it_is(monkeypatch, data, tmp_path):
    weights = []
    for fewest in (1, 10**9):
        monkeypatch.setattr(compiling, "FEWEST", fewest)
        asked = preset(data, jit_compile="auto", steps_per_execution=2)
        weights.append(train(tmp_path / str(fewest), asked, verbose=False)[0].get_weights())
        assert (tmp_path / str(fewest) / compiling.FILE).exists() == (fewest == 1)
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


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
