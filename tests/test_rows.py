"""Draws row by row are TensorFlow's own of each row's seed, whatever compiles them."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.rows import categorical_rows, normal_rows, split_rows, uniform_int_rows

EDGES = [[0, 0], [-1, -1], [0, 1], [2**31 - 1, -(2**31)], [-7, 5]]
SEEDS = tf.constant(np.concatenate([EDGES, np.random.RandomState(0).randint(-(2**31), 2**31, (300, 2))]), tf.int32)
LOGITS = tf.constant(np.random.RandomState(1).normal(size=7) * 2, tf.float32)
ROWS = {
    "split": (lambda seeds: split_rows(seeds, 3), lambda seed: tf.random.split(seed, 3)),
    "normal": (lambda seeds: normal_rows(seeds, [5, 3]), lambda seed: tf.random.stateless_normal([5, 3], seed)),
    "one_normal": (lambda seeds: normal_rows(seeds, []), lambda seed: tf.random.stateless_normal([], seed)),
    "uniform_int": (
        lambda seeds: uniform_int_rows(seeds, 10),
        lambda seed: tf.random.stateless_uniform([], seed, maxval=10, dtype=tf.int32),
    ),
    "categorical": (
        lambda seeds: categorical_rows(seeds, LOGITS),
        lambda seed: tfp.distributions.Categorical(logits=LOGITS).sample(seed=seed),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_draws_what_tensorflow_draws_with_its_seed(name):
    by_row, one = ROWS[name]
    expected = np.stack([one(seed) for seed in SEEDS], 1 if name == "split" else 0)
    for compiled in (by_row, tf.function(by_row), tf.function(by_row, jit_compile=True)):
        got = compiled(SEEDS).numpy()
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        if expected.dtype.kind == "i":
            np.testing.assert_array_equal(got, expected)
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_rows_are_drawn_without_a_loop_in_a_saved_model_that_knows_no_zoo(tmp_path):
    module = tf.Module()
    module.draw = tf.function(lambda seeds: normal_rows(seeds, [40]), [tf.TensorSpec([None, 2], tf.int32)])
    graph = module.draw.get_concrete_function().graph
    assert not any("While" in op.type for op in graph.get_operations())
    tf.saved_model.save(module, str(tmp_path / "saved"))
    np.save(tmp_path / "seeds.npy", SEEDS)
    code = (
        "import sys; sys.modules['zoo'] = None\nimport numpy as np, tensorflow as tf\n"
        "draws = tf.saved_model.load('saved').draw(tf.constant(np.load('seeds.npy')))\nnp.save('draws.npy', draws)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "draws.npy"), module.draw(SEEDS))
