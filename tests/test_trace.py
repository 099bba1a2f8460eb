"""What a trace prints."""

import numpy as np
import pytest
import tensorflow as tf
from support import random_batch, small


@pytest.mark.parametrize("name", ["vae", "lvae", "m2"])
def test_a_trace_prints_on_one_screen_with_shapes_and_means(name):
    model = small(name)
    trace = model(random_batch(model, 500), num_samples=3)
    lines = str(trace).splitlines()
    assert repr(trace) == str(trace)
    assert len(lines) < 20 and max(map(len, lines)) < 100
    assert "3 draws" in lines[0] and "500 examples" in lines[0]
    for latent in model.latent_names:
        assert any(f"latents['{latent}']" in line and "500" in line for line in lines)
    assert f"mean {np.mean(trace.log_marginal):.4g}" in lines[-1]


def test_a_trace_in_a_graph_prints_its_shapes(capsys):
    model = small("vae")

    @tf.function
    def traced():
        print(model(random_batch(model)))
        return 0

    traced()
    assert "log_marginal" in capsys.readouterr().out
