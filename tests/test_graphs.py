"""Verbs as graphs: the same numbers, of the weights as they are, from any thread, and nothing that piles up."""

import gc
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf
from support import random_batch, small

from zoo.models.graphs import MOST


def called(model):
    """What a model's verbs give under a seed."""
    batch = random_batch(model, 3)
    condition = {name: batch[name] for name in model.conditions}
    data = {name: batch[name] for name in model.fields_of("data", "length") if name in batch}
    code = {**dict.fromkeys(model.latent_spec), **model.locations(model.inputs_of(data, condition))}
    code = {name: code[name] for name in model.latent_spec}
    return [
        *tf.nest.flatten(model.encode(data, **condition)),
        *tf.nest.flatten(model.reconstruct(data, **condition)),
        *(tf.nest.flatten(model.decode(code, **condition)) if "decoder" in model.offers else ()),
        *tf.nest.flatten(model.simulate(3, seed=1, mean=True, **condition)),
        model.log_prob(data, num_samples=2, seed=1, **condition),
    ]


@pytest.mark.parametrize("name", ["vae", "lvae", "m2", "vrnn", "planar_vae"])
def test_a_verb_gives_what_its_operations_do_one_by_one(name):
    model = small(name)
    graphs = called(model)
    tf.config.run_functions_eagerly(True)
    try:
        single = called(model)
    finally:
        tf.config.run_functions_eagerly(False)
    for one, other in zip(graphs, single, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_verb_sees_weights_that_are_set_or_learnt():
    model = small("vae")
    z = np.ones((2, model.latent_spec["z"].shape[0]), "float32")
    model.compile("adam")
    first = model.decode(z)
    model.set_weights([w + 0.1 if w.dtype == "float32" else w for w in model.get_weights()])
    second = model.decode(z)
    model.fit(random_batch(model, 8), epochs=2, verbose=0)
    seen = [np.asarray(x) for x in (first, second, model.decode(z), model.means({"z": tf.constant(z)}, {})["x"])]
    assert np.abs(seen[0] - seen[1]).min() > 0 and np.abs(seen[1] - seen[2]).max() > 0
    np.testing.assert_array_equal(seen[2], seen[3])


def test_no_graph_keeps_a_model_or_piles_up():
    model = small("vae")
    for rows in range(1, 12):
        model.reconstruct(np.zeros((rows, 4, 4, 1), "float32"))
        model.sample(rows, seed=1)
    assert {graph.experimental_get_tracing_count() for graph in model.graphs.values()} <= {1, 2}
    for draws in range(1, MOST + 4):
        model.log_prob(np.zeros((1, 4, 4, 1), "float32"), num_samples=draws)
    assert max(graph.experimental_get_tracing_count() for graph in model.graphs.values()) <= MOST
    known = weakref.ref(model)
    del model
    gc.collect()
    assert known() is None


def test_threads_share_a_model():
    model, found = small("lvae"), []
    wanted = np.asarray(model.sample(4, seed=1, mean=True))

    def sample():
        for _ in range(20):
            found.append(np.asarray(model.sample(4, seed=1, mean=True)))

    threads = [threading.Thread(target=sample) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for one in found:
        np.testing.assert_array_equal(one, wanted)
