"""Which of Keras' ways to save and export a model lead to a file that can be read again."""

import pathlib

from zoo.errors import InvalidInput
from zoo.files import atomic

EXPORTS = "zoo.export_saved_model(model, folder) or zoo.export_tflite(model, file)"


class Saving:
    """Keras' `save`, `export` and `quantize`, of which some are refused; mixed into the models.

    `card` is what is known of a model that `zoo.load` made, the content of its card.json; None of others.
    """

    card = None

    def save(self, filepath, overwrite=True, **kwargs):
        """Keras' `save` into a .keras file, whole or not at all; `keras.models.load_model` reads it."""
        path = pathlib.Path(filepath).expanduser()
        if path.suffix in (".h5", ".hdf5"):
            raise InvalidInput("a whole model in HDF5 cannot be read again: name a .keras file, or use zoo.save")
        self.check_whole()
        if path.suffix != ".keras" or kwargs.get("zipped") is False or (path.exists() and not overwrite):
            super().save(path, overwrite=overwrite, **kwargs)  # Keras refuses the name, or asks
        else:
            with atomic(path) as temporary:
                super().save(temporary, **kwargs)

    def check_whole(self):
        """Raise `InvalidInput` where a layer was quantised: its file would hold weights that no new model takes."""
        for layer in self._flatten_layers():
            if getattr(layer, "quantization_mode", None):
                raise InvalidInput(
                    f"the layer {layer.name} is quantised and cannot be saved; zoo.export_saved_model exports it"
                )

    def export(self, filepath=None, format="tf_saved_model", **kwargs):
        """Keras' export asks for one input and one output; the zoo's has every endpoint of a model."""
        raise InvalidInput(f"this model is exported by {EXPORTS}, not by model.export(format={format!r})")

    def quantize(self, *args, **kwargs):
        """Keras' quantised models cannot be saved."""
        raise InvalidInput(
            "a quantised model cannot be saved: zoo.export_tflite(..., dtype='float16') makes small files"
        )
