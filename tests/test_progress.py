"""What is printed while one waits and trains."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from support import random_batch, small

from zoo.quiet import waiting
from zoo.training import Progress
from zoo.training.progress import duration, fitting, words

LINE = r"1/2  ELBO (-\d+\.\d) \(val (-\d+\.\d)\)  KL (\S+)  rec (\S+)  units \d/3  \d+\.\d s"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fitted(model, capsys, **settings):
    """The lines that two epochs print, and their logs."""
    batch = random_batch(model, 20)
    model.compile("adam")
    history = model.fit(batch, epochs=2, verbose=0, callbacks=[Progress()], **settings).history
    return capsys.readouterr().out.splitlines(), history


def test_an_epoch_is_one_line_with_the_numbers_of_the_logs(capsys):
    model = small("vae")
    lines, history = fitted(model, capsys, batch_size=5, validation_data=random_batch(model, 5))
    assert lines[0] == "4 updates an epoch; the first one is compiled before it runs"
    assert "to go" in lines.pop(2)
    assert len(lines) == 3
    found = re.fullmatch(LINE, lines[1])
    assert found, lines
    named = ("elbo", "val_elbo", "kl", "reconstruction")
    for text, name in zip(found.groups(), named, strict=True):
        assert float(text) == pytest.approx(history[name][0], abs=0.051), name


def test_what_is_trained_beside_the_elbo_has_its_place(capsys):
    lines, history = fitted(small("vae", bound="iwae", num_samples=4, penalties=["mmd"]), capsys)
    assert f"loss {history['loss'][0]:.1f}" in lines[1] and "mmd " in lines[1]
    assert "val" not in lines[1] and "skipped" not in lines[1]
    assert re.search(r"units \d\+\d/3\+2", fitted(small("lvae"), capsys)[0][1])
    autoencoder = fitted(small("autoencoder"), capsys)[0][1]
    assert autoencoder.startswith("1/2  loss ") and "ELBO" not in autoencoder


def test_skipped_updates_are_named_where_there_are_any():
    model, logs = small("vae"), {"loss": 3.0, "elbo": -3.0, "kl": 1.0, "reconstruction": -2.0}
    assert "skipped 2" in list(words(model, {**logs, "skipped": 2.0}))
    assert not any("skipped" in word for word in words(model, {**logs, "skipped": 0.0}))
    assert (duration(0.34), duration(75)) == ("0.3 s", "1:15 min")


def test_a_terminal_has_a_bar_that_is_gone_afterwards(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    model = small("vae")
    model.compile("adam")
    model.fit(random_batch(model, 20), batch_size=5, epochs=2, verbose=0, callbacks=[Progress()])
    said = terminal.getvalue()
    assert "compiling the first update" in said and "/4" in said
    lines = [line for line in said.split("\n") if "ELBO" in line]
    assert len(lines) == 2


def test_a_wait_is_named_on_a_terminal_and_nowhere_else(monkeypatch, capsys):
    with waiting("reading"):
        pass
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(ZeroDivisionError), waiting("reading"):
        raise ZeroDivisionError
    assert terminal.getvalue() == "reading ...\r\x1b[2K\r"


def test_the_command_s_import_of_tensorflow_is_named_on_a_terminal_and_silent_elsewhere():
    code = "from zoo.cli.app import import_tensorflow; import_tensorflow()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stderr=theirs)
    os.close(theirs)
    assert os.read(ours, 1000).startswith(b"importing TensorFlow ...\r")
    os.close(ours)


@pytest.mark.slow
def test_a_run_prints_its_epochs_unless_it_is_told_not_to(tmp_path, capsys):
    from zoo.training import train

    config = {"latent_dim": 2, "data_shape": (8, 8, 1), "encoder": {"name": "mlp", "hidden_units": [8]}}
    preset = {"model": "vae", "config": config, "data": {"name": "digits", "limit": 200}, "recipe": {"epochs": 1}}
    train(tmp_path / "loud", preset)
    assert "1/1  ELBO" in capsys.readouterr().out
    train(tmp_path / "quiet", preset, verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["vae", "lvae", "deep_vae", "m1_m2", "jmvae", "vrnn", "kl_autoencoder", "hvi_vae"])
def test_an_epoch_s_line_fits_into_a_terminal(name):
    model = small(name, penalties=["mmd"]) if name in ("vae", "lvae") else small(name)
    units = {metric.name: metric.total.shape[0] for metric in model.unit_metrics.values() if metric.total is not None}
    large = {"loss": 12340.5, "elbo": -12345.6, "val_elbo": -12345.6, "kl": 1234.5, "reconstruction": -11111.1}
    steps = {"elbo_per_step": -123.4567, "val_elbo_per_step": -123.4567} if "steps" in model.offers else {}
    logs = {**dict.fromkeys(model.term_metrics, 12345.6), **large, **steps, **units}
    line = fitting(["100/100", *words(model, {**logs, "skipped": 2.0}), "10:00 min"])
    assert "\n" not in line and line.startswith("100/100  ") and line.endswith("min")
    assert len(line) <= 80, line


def test_units_of_many_levels_are_counted_together():
    model = small("lvae", latent_dims=(4, 3, 2, 1), hidden_units=(5, 5, 5))
    logs = {"loss": 1.0, "elbo": -1.0, **{metric.name: 0.0 for metric in model.unit_metrics.values()}}
    assert "units 0/10" in list(words(model, logs))


def test_a_notebook_s_line_is_written_anew_without_widgets(monkeypatch, capsys):
    monkeypatch.setattr("zoo.training.progress.in_notebook", lambda: True)
    lines, _ = fitted(small("vae"), capsys, batch_size=5)
    said = "\n".join(lines)
    assert "4/4" in said and any(line.split("\r")[-1].startswith("1/2  ELBO") for line in said.split("\n"))
