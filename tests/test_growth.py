"""What a repository and a SavedModel may weigh: new weights are small, and no variable is stored twice."""

import collections
import json
import pathlib

import keras
import pytest
import tensorflow as tf
from support import random_batch, small, tiered
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import zoo
from zoo import pretrained
from zoo.models.weights import stored_numbers

HOMES = sorted(path.parent for path in pretrained.folder().glob("*/card.json"))
LARGEST = 2**20  # numbers in the weights of a new model, of 4 bytes each
OLDER = {  # published before there was a bound
    "conditional_vae_mnist",
    "conv_vae_binarized_mnist",
    "conv_vae_mnist",
    "dlgm_binarized_mnist",
    "flow_prior_vae_mnist",
    "iaf_vae_binarized_mnist",
    "lvae_mnist",
    "m1_mnist",
    "m2_mnist_100",
    "m2_mnist_2d",
    "planar_vae_binarized_mnist",
    "vae_fashion_mnist",
    "vamp_vae_mnist",
}


def weight_bytes(home):
    return sum(path.stat().st_size for path in home.glob("*.h5"))


def test_weights_of_new_models_have_at_most_4_megabytes():
    files = [path for home in HOMES for path in home.glob("*.h5")]
    assert {f.parent.name for f in files if stored_numbers(f.read_bytes(), f.name) > LARGEST} == OLDER


@pytest.mark.parametrize("home", [h for h in HOMES if weight_bytes(h)], ids=lambda home: home.name)
def test_a_published_model_stores_its_variables_once(home):
    stored = sum(path.stat().st_size for path in (home / "1" / "variables").glob("*.data*"))
    assert stored <= weight_bytes(home) == json.loads((home / "card.json").read_text())["weights"]["bytes"]
    assert {path.name for path in home.iterdir() if path.is_dir()} == {"1"}


@pytest.mark.slow
@pytest.mark.parametrize("name", tiered(["vae", "iaf_vae", "lvae", "m2"], {"vae"}.__contains__))
def test_a_new_export_stores_each_variable_once_and_none_of_the_optimizer(name, tmp_path):
    model = small(name)
    model.compile(keras.optimizers.Adam(use_ema=True))
    model.fit(random_batch(model), epochs=1, verbose=0)
    path = pathlib.Path(zoo.export_saved_model(model, tmp_path / "m"))
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    stored = [shape for shape in map(tuple, reader.get_variable_to_shape_map().values()) if shape]
    ours = collections.Counter(tuple(weight.shape) for weight in model.weights)
    assert not collections.Counter(stored) - ours, "more than the model has"
    weights = {weight.numpy().tobytes() for weight in model.weights if weight.shape.num_elements() > 20}
    assert not [
        const.name for const in constants(path) if tf.make_ndarray(const.attr["value"].tensor).tobytes() in weights
    ]


def constants(path):
    """The constants in the graph of a SavedModel."""
    saved = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    return [node for node in (*nodes, *saved.meta_graphs[0].graph_def.node) if node.op == "Const"]
