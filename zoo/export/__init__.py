"""Export: one SavedModel for TF Serving, one .tflite file for devices, and checks that both say what the model says.

Nothing here knows a variant: everything is read from `model.endpoints` and `model.field_specs`.
"""

from zoo.export.saved_model import export_saved_model
from zoo.export.tflite import export_tflite
from zoo.export.verify import gpu_unavailable, verify_saved_model, verify_tflite

__all__ = ["export_saved_model", "export_tflite", "gpu_unavailable", "verify_saved_model", "verify_tflite"]
