"""Export: one SavedModel for TF Serving, one .tflite file for devices, and checks that both say what the model says.

Nothing here knows a variant: everything is read from `model.endpoints` and `model.field_specs`.
"""

from zoo.export.saved_model import export_saved_model
from zoo.export.tflite import export_tflite
from zoo.export.verify import ExportDiffers, gpu_unavailable, require_equal, verify_saved_model, verify_tflite

__all__ = [
    "ExportDiffers",
    "export_saved_model",
    "export_tflite",
    "gpu_unavailable",
    "require_equal",
    "verify_saved_model",
    "verify_tflite",
]
