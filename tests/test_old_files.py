"""Files of earlier versions: what was saved before the rooms were built still loads and says the same.

tests/old_files/NAME.keras and .npz were written by version 0.1.0: a small model, a batch and its log weights.
"""

import pathlib

import keras
import numpy as np
import pytest
from support import seed

import zoo.models  # noqa: F401  (registers the classes)
from zoo.errors import InvalidInput
from zoo.training import Checkpoint

FOLDER = pathlib.Path(__file__).parent / "old_files"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.keras")))
def test_a_keras_file_of_before_says_what_it_said(name):
    model = keras.models.load_model(FOLDER / f"{name}.keras")
    assert isinstance(model.optimizer, keras.optimizers.Adam) and model.optimizer.built
    with np.load(FOLDER / f"{name}.npz") as arrays:
        batch = dict(arrays)
    expected = batch.pop("log_weight")
    inputs = model.fields(batch)
    np.testing.assert_allclose(model(inputs, num_samples=2, seed=seed(1)).log_weight, expected, rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_before_is_refused_in_one_line(tmp_path):
    model = keras.models.load_model(FOLDER / "vae.keras")
    checkpoint = Checkpoint(tmp_path, {})
    checkpoint.set_model(model)
    np.savez(tmp_path / "checkpoint.npz", **{f"variable/{i}": v.numpy() for i, v in enumerate(model.weights)}, epoch=1)
    with pytest.raises(InvalidInput, match="written by an earlier version") as caught:
        checkpoint.restore()
    assert "\n" not in str(caught.value)
