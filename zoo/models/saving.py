"""Which of Keras' ways to save a model lead to a file that can be read again."""

import pathlib

import keras

from zoo.errors import InvalidInput
from zoo.files import atomic

EXPORTS = "zoo.export_saved_model(model, folder) or zoo.export_tflite(model, file)"


def save(model, filepath, overwrite=True, **kwargs):
    """Keras' `save` into a .keras file, whole or not at all; `keras.models.load_model` reads it."""
    path = pathlib.Path(filepath).expanduser()
    if path.suffix in (".h5", ".hdf5"):
        raise InvalidInput("a whole model in HDF5 cannot be read again: name a .keras file, or use zoo.save")
    check_whole(model)
    if path.suffix != ".keras" or kwargs.get("zipped") is False or (path.exists() and not overwrite):
        keras.Model.save(model, path, overwrite=overwrite, **kwargs)  # Keras refuses the name, or asks
    else:
        with atomic(path) as temporary:
            keras.Model.save(model, temporary, **kwargs)


def check_whole(model):
    """Raise `InvalidInput` where a layer was quantised: its file would hold weights that no new model takes."""
    for layer in model._flatten_layers():
        if getattr(layer, "quantization_mode", None):
            raise InvalidInput(
                f"the layer {layer.name} is quantised and cannot be saved; zoo.export_saved_model exports it"
            )
