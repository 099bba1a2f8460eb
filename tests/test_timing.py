"""What a training took: in its log, on its card and page, and how long it is still to take."""

import json
import platform
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

from zoo import pretrained
from zoo.pretrained import page
from zoo.training import train
from zoo.training.logs import read_rows
from zoo.training.progress import compiling
from zoo.training.timing import machine, peak_memory, timing

CONFIG = {"data_shape": [8, 8, 1], "latent_dim": 2, "encoder": {"name": "mlp", "hidden_units": [8]}}
DATA = {"name": "digits", "limit": 256}


def preset(epochs, **more):
    return {"model": "vae", "config": CONFIG, "data": DATA, "recipe": {"epochs": epochs}, **more}


def seconds(folder):
    return [float(row[1]) for row in read_rows(folder / "timing.csv")[1:]]


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A run of two epochs that was resumed for two more, and the wall time of both pieces."""
    folder = tmp_path_factory.mktemp("timing") / "run"
    begun = time.perf_counter()
    train(folder, preset(2), verbose=False)
    train(folder, resume=True, epochs=4, verbose=False)
    return folder, time.perf_counter() - begun


def test_a_card_says_what_all_pieces_of_a_run_took(resumed):
    folder, wall = resumed
    took, each = pretrained.read_card(folder)["timing"], seconds(folder)
    assert len(each) == 4 and all(s > 0 for s in each)
    assert took["seconds"] == pytest.approx(sum(each), abs=1e-3) and took["seconds"] < wall
    assert took["seconds_per_epoch"] == pytest.approx(statistics.median(each[1:]), abs=1e-3)
    assert 50e6 < took["peak_memory_bytes"] < 100e9


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere memory begins with the starter's")
def test_memory_is_that_of_this_process_and_not_of_the_one_that_started_it():
    held = np.ones(2**27)  # a GiB
    code = "from zoo.training.timing import peak_memory; print(peak_memory())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 50e6 < int(said) < peak_memory() - held.nbytes / 2


def test_the_machine_is_described_and_not_named(resumed):
    said = json.dumps(pretrained.read_card(resumed[0])["timing"]["machine"])
    assert machine()["cores"] >= 1 and machine()["processor"] in said
    assert len(platform.node()) < 3 or platform.node() not in said


def test_a_page_says_it_and_one_of_an_older_card_does_not(resumed):
    card = {**pretrained.read_card(resumed[0]), "command": "zoo train"}
    said = r"`zoo train` in \d+\.\d minutes, \d+\.\d\d s an epoch, \d+\.\d GiB of memory at most, on \d+ cores?"
    assert re.search(f"Trained by {said}", page.page(resumed[0], card))
    del card["timing"]
    assert "Trained by `zoo train`.\n" in page.page(resumed[0], card)


@pytest.mark.slow
def test_the_seconds_of_a_run_are_those_of_its_stages_too(tmp_path):
    stage = {"name": "first", "model": "vae", "config": CONFIG, "data": DATA, "recipe": {"epochs": 1}}
    train(tmp_path / "run", {**preset(1), "from": "first", "stages": [stage]}, verbose=False)
    first, last = seconds(tmp_path / "run" / "first"), seconds(tmp_path / "run")
    assert pretrained.read_card(tmp_path / "run")["timing"]["seconds"] == pytest.approx(sum(first + last), abs=1e-3)
    assert pretrained.read_card(tmp_path / "run" / "first")["timing"]["seconds"] == pytest.approx(sum(first), abs=1e-3)


def test_a_log_that_is_missing_or_damaged_costs_its_rows_alone(tmp_path):
    assert timing([tmp_path / "timing.csv"]) == {}
    (tmp_path / "timing.csv").write_text("epoch,seconds,peak_memory_bytes\n0,3.5,1000\n1,half,2\n2\n3,2.5,\n")
    took = timing([tmp_path / "timing.csv"])
    assert (took["seconds"], took["seconds_per_epoch"], took["peak_memory_bytes"]) == (6.0, 2.5, 1000)


def test_the_time_of_compiling_is_what_the_first_call_took_beyond_the_others():
    # 30 s to compile and make 10 updates, 9 s for the other 90
    assert compiling([(0, 100.0), (10, 130.0), (100, 139.0)]) == pytest.approx(29.0)
    assert compiling([(0, 100.0), (10, 139.0)]) == compiling([]) == 0


def test_the_end_is_estimated_once_after_the_first_epoch(tmp_path, capsys):
    train(tmp_path / "run", preset(3))
    lines = capsys.readouterr().out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("1/3"))
    assert re.fullmatch(r"about \d+\.\d s to go, until \d\d:\d\d", lines[place + 1]), lines
    assert sum("to go" in line for line in lines) == 1


@pytest.fixture
def estimates(monkeypatch, capsys):
    """(calls that train and that validate, seconds of each, of the first ones) -> what is said in 11 epochs."""
    from support import small

    from zoo.training import Progress, progress

    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def said(calls, each, first):
        report = Progress()
        report.set_model(small("vae"))
        report.set_params({"epochs": 11, "steps": calls[0]})
        report.on_train_begin()
        ends = report.on_train_batch_end, report.on_test_batch_end
        for epoch in range(11):
            for part, begin in enumerate((lambda epoch=epoch: report.on_epoch_begin(epoch), report.on_test_begin)):
                begin()
                for batch in range(calls[part]):
                    now[0] += (each if epoch or batch else first)[part]
                    ends[part](batch)
            report.on_epoch_end(epoch, {"loss": np.float32(1.0)})
        return re.findall(r"about (.+) to go", capsys.readouterr().out)

    return said


@pytest.mark.slow
def test_an_estimate_is_near_what_the_rest_takes(estimates):
    assert estimates(calls=(5, 4), each=(0.2, 0.1), first=(2.0, 3.0)) == ["14.0 s"]


@pytest.mark.slow
def test_an_estimate_with_all_the_compiling_in_it_is_corrected(estimates):
    assert estimates(calls=(1, 1), each=(0.5, 0.5), first=(20.0, 10.0)) == ["5:00 min", "9.0 s"]
