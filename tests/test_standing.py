"""What is published stands use: evaluations again and again, and signatures from many threads at once."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from zoo import pretrained
from zoo.cli import app
from zoo.export.warmup import read_warmup

pytestmark = pytest.mark.slow
NAMES = pretrained.list_pretrained()
TIMES, THREADS, CALLS = 20, 8, 200


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_is_done_twenty_times_without_a_failure(name, monkeypatch):
    """In four chunks of draws a batch, two of them at a time, each time by a graph traced anew."""
    monkeypatch.setattr("zoo.evaluation.importance.CHUNK_BYTES", 1)
    said = ["evaluate", name, "--num-samples", "4", "--limit", "2", "--json"]
    done = [CliRunner().invoke(app, said) for _ in range(TIMES)]
    assert [(each.exit_code, each.exception) for each in done] == [(0, None)] * TIMES
    assert len({each.stdout for each in done}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_exported_signatures_stand_many_threads(name):
    """Each thread calls one signature after the other, and gets what a call alone gives."""
    path = pretrained.locate(name) / "1"
    signatures = tf.saved_model.load(str(path)).signatures
    asked = {name: {k: tf.constant(v) for k, v in inputs.items()} for name, inputs in reversed(read_warmup(path))}
    alone = {name: signatures[name](**inputs) for name, inputs in asked.items()}
    done, failed = [], []

    def work():
        try:
            for call in range(CALLS):
                name = list(asked)[call % len(asked)]
                for output, value in signatures[name](**asked[name]).items():
                    np.testing.assert_allclose(value, alone[name][output], rtol=1e-4, atol=1e-4)
                done.append(name)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(done) == THREADS * CALLS
