"""Benchmarks: what they write follows from what they measured. The scripts themselves run for hours."""

import importlib.util
import json
import pathlib
import pickle
import sys

import numpy as np
import pytest

import zoo.data
from tools import reproduce

FOLDER = pathlib.Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """A function that imports a benchmark by name."""
    monkeypatch.syspath_prepend(FOLDER)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_division_of_frey_faces_holds_every_frame_once(script, tmp_path, monkeypatch):
    frames = np.arange(30, dtype="uint8").reshape(30, 1, 1, 1) * np.ones((1, 28, 20, 1), "uint8")
    parts = {"train": frames[:20], "validation": frames[20:25], "test": frames[25:]}
    real = zoo.data.load_arrays
    monkeypatch.setattr(
        zoo.data, "load_arrays", lambda source, part, **_: {"x": parts[part]} if source == "frey_faces" else None
    )
    benchmark = script("frey_faces")
    assert benchmark.division(0, tmp_path) == "frey_faces"
    home = benchmark.division(1, tmp_path)
    found = {part: real(home, part)["x"][:, 0, 0, 0] for part in parts}
    assert {part: len(x) for part, x in found.items()} == {"train": 20, "validation": 5, "test": 5}
    assert sorted(np.concatenate(list(found.values()))) == list(range(30))
    assert sorted(found["test"]) != list(range(25, 30))


def test_the_table_of_labels_has_the_mean_over_the_subsets(script):
    benchmark = script("semi_supervised")
    rows = [{"method": "m2", "labels": 100, "error_percent": e} for e in (7.0, 8.0, 9.0)]
    line = next(line for line in benchmark.markdown(rows).splitlines() if line.startswith("| m2"))
    assert line.split(" | ")[1] == "8.00 ± 0.58 (3)"


def test_flows_are_judged_by_their_time_over_the_diagonal(script):
    benchmark = script("flow_speed")
    cells = [("ours", "planar", 10, 1.6, 9), ("pythae", "planar", 40, 3.0, 2)]
    names = ("side", "kind", "layers", "over_diagonal", "build")
    entries = [{**dict(zip(names, cell, strict=True)), "amortized": True} for cell in cells]
    assert benchmark.verdicts(entries) == {
        "amortised planar, 10 layers over diagonal": {"value": pytest.approx(1.6), "aim": 1.3, "met": False}
    }


def test_leapfrog_steps_are_judged_by_the_race_and_by_their_growth(script):
    benchmark = script("hamiltonian_speed")
    each = {0: 0.001, 4: 0.005, 8: 0.009, 16: 0.021}
    cells = {n: {"sides": {"ours": {"each": t}}, "ratios": {}} for n, t in each.items()}
    cells[4]["ratios"] = {"ours/pythae": {"ratio": 0.6}}
    assert benchmark.verdicts(cells) == {
        "4 leapfrog steps over pythae's": {"value": 0.6, "aim": 0.7, "met": True},
        "a leapfrog step of 8 to 16 over one before": {"value": pytest.approx(1.5), "aim": 1.25, "met": False},
    }


@pytest.mark.slow
def test_our_side_of_the_speed_of_leapfrog_steps_can_be_sent_to_another_process_and_trains(script):
    benchmark = script("hamiltonian_speed")
    make = pickle.loads(pickle.dumps(benchmark.ours))
    step, parameters = make(np.zeros((2 * benchmark.BATCH, 28, 28, 1), "uint8"), 1)
    assert np.isfinite(step())
    assert parameters == 784 * 200 + 2 * 200 * 200 + 3 * 50 * 200 + 200 * 784 + 4 * 200 + 100 + 784


@pytest.mark.slow
def test_the_sides_of_the_speed_of_few_labels_can_be_sent_to_another_process_and_train(script, monkeypatch):
    benchmark = script("semi_supervised_speed")
    monkeypatch.setattr(benchmark, "STEPS", 1)
    images = np.zeros((benchmark.BATCH, 28, 28, 1), "uint8")
    for name in ("labelled", "m2_5"):
        make = pickle.loads(pickle.dumps(benchmark.SIDES[name][0]))
        step, _ = make(images)
        assert np.isfinite(step())


def test_the_table_of_sequences_has_both_means_beside_what_is_published(script):
    entry = {"value": -7.1, "standard_error": 0.1, "pooled": -7.2}
    row = {"data": "jsb_chorales", "parameters": 59_000, "updates": 4000.0, "metrics": {"elbo_per_step": entry}}
    lines = script("sequences").table({"jsb_chorales/vrnn": row})
    assert lines[2] == "| jsb_chorales | vrnn | -7.10 ± 0.10 |  |  | -7.20 | -8.60, -7.86, -6.90 | 59,000 |"
    assert "jsb_chorales 4,000" in lines[-1]


@pytest.mark.slow
def test_every_model_of_the_table_of_sequences_has_as_many_parameters(script):
    benchmark = script("sequences")
    for model in benchmark.MODELS:
        count = benchmark.parameters(model, benchmark.width_of(model, 60_000))
        assert 54_000 <= count <= 60_000


def test_sequences_are_judged_by_the_race_and_by_their_growth(script):
    benchmark = script("sequence_speed")
    report = {
        "training": {"vrnn": {"ours": {"median": 1.0}, "pytorch": {"median": 2.0}}},
        "milliseconds_by_length": {"vrnn": {25: 5.0, 100: 30.0}},
        "milliseconds_by_particles": {1: 2.0, 128: 30.0},
    }
    found = {name: (round(entry["value"], 6), entry["met"]) for name, entry in benchmark.aims(report).items()}
    assert found == {
        "training vrnn, ours over pytorch": (0.5, True),
        "vrnn: a step of 100 over one of 25": (1.5, False),
        "128 particles over one": (15.0, True),
    }


def test_a_second_core_that_halves_the_time_is_fully_used(script):
    threads = script("threads")
    found = threads.compared({threads.ONE: [4.0, 4.0, 9.0], threads.TWO: [2.0, 2.0, 8.0], threads.APART: [4.0]})
    assert found["efficiency"] == {threads.TWO: 1, threads.APART: 0.5}


@pytest.mark.slow
def test_a_preset_that_is_trained_again_with_its_seed_is_reproduced(run_folder, tmp_path, capsys):
    output = tmp_path / "reproduced.json"
    reproduce.main([str(run_folder), "--folder", str(tmp_path), "--num-samples", "20", "--output", str(output)])
    (row,) = json.loads(output.read_text()).values()
    assert reproduce.is_reproduced(row["difference"]) and row["difference"]["value"] == pytest.approx(0, abs=1e-3)
    assert row["again"]["num_examples"] == row["difference"]["num_examples"] > 100
    assert f"| {run_folder} | 2 |" in output.with_suffix(".md").read_text()


def test_growth_is_fitted_by_a_fixed_part_a_part_by_size_and_an_exponent(script):
    benchmark, sizes = script("growth"), np.array([1, 2, 4, 8, 16, 32])
    linear = benchmark.fitted(sizes, 3.0 + 2.0 * sizes)
    assert (linear["fixed"], linear["each"]) == (pytest.approx(3), pytest.approx(2))
    assert (linear["even"], linear["exponent"]) == (pytest.approx(1.5), pytest.approx(1))
    assert benchmark.fitted(sizes, 0.1 * sizes**2.0)["exponent"] > 1.5
    assert benchmark.fitted(sizes, np.full(6, 7.0))["exponent"] is None
