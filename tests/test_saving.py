"""Every way to save and export a model gives a file that a fresh process reads, or is refused with one that does."""

import copy

import elsewhere
import keras
import numpy as np
import pytest
from support import assert_same, numbers, random_batch, seed, shaken, small, tiered

import zoo
from zoo.errors import InvalidInput

NAMES = ("vae", "m2", "lvae")


def said(model):
    return numbers(model(random_batch(model), num_samples=2, seed=seed(1)))


@pytest.mark.parametrize(
    "order", tiered(["zoo keras", "keras zoo", "zoo tensorflow keras"], ["keras zoo"].__contains__)
)
def test_importing_the_zoo_alone_makes_a_keras_file_readable(tmp_path, order):
    model = small("m2")
    model.compile("adam")
    model.save(tmp_path / "a.keras")
    assert elsewhere.run("bare", tmp_path / "a.keras", order) == "M2"


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_has_the_weights_and_a_clone_the_arguments(name, tmp_path):
    model = shaken(small(name, beta=0.5))
    assert_same(said(copy.deepcopy(model)), said(model))
    clone = keras.models.clone_model(model)
    assert clone.get_config() == model.get_config()
    model.save_weights(tmp_path / "a.weights.h5")
    clone.load_weights(tmp_path / "a.weights.h5")
    assert_same(said(clone), said(model))
    assert_same(said(keras.models.model_from_json(model.to_json())), said(type(model).from_config(model.get_config())))


REFUSED = {
    "HDF5": (lambda model, path: model.save(path / "a.h5"), "zoo.save"),
    "a checkpoint in HDF5": (
        lambda model, path: model.fit(
            random_batch(model), verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(str(path / "a.h5"))]
        ),
        "zoo.save",
    ),
    "int8": (lambda model, path: model.quantize("int8"), "zoo.export_tflite"),
    **{
        format: (lambda model, path, format=format: model.export(path / "a", format=format), "zoo.export_saved_model")
        for format in ("tf_saved_model", "onnx", "openvino", "litert", "torch")
    },
}


@pytest.mark.parametrize("way", REFUSED)
def test_a_way_that_leads_to_no_readable_file_names_one_that_does(way, tmp_path):
    model = small("vae")
    model.compile("adam")
    act, offered = REFUSED[way]
    with pytest.raises(InvalidInput, match=offered) as error:
        act(model, tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("save", [zoo.save, lambda model, path: model.save(path / "a.keras")], ids=["zoo", "keras"])
def test_a_quantised_layer_is_not_saved(save, tmp_path):
    model = small("vae")
    model.decoder.layers[0].quantize("int8")
    with pytest.raises(InvalidInput, match="quantised"):
        save(model, tmp_path)
    assert not list(tmp_path.iterdir())
    assert np.isfinite(said(model)["log_marginal"]).all()


def test_a_loaded_model_keeps_its_card_and_a_made_one_has_none(tmp_path):
    model = small("vae")
    assert model.card is None
    card = zoo.save(model, tmp_path / "a", card={"name": "a", "metrics": {"nll": {"value": 1.0}}})
    loaded = zoo.load(tmp_path / "a")
    assert loaded.card["metrics"] == card["metrics"] and loaded.card["weights"]["sha256"]
    assert zoo.load(tmp_path / "a", beta=2.0).card == loaded.card
    assert type(loaded.card) is dict
