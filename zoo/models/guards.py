"""What stops a training that goes nowhere, before it begins or once it shows."""

import keras

from zoo.errors import InvalidInput

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def check_precision():
    """Raise `InvalidInput` under a policy of Keras' in which weights, or what is made of them, are not float32."""
    policy, float_type = keras.config.dtype_policy().name, keras.config.floatx()
    if float_type != "float32":
        raise InvalidInput(
            f"models take float32, and Keras' floatx is {float_type}: keras.config.set_floatx('float32')"
        )
    if policy not in POLICIES:
        mixed = f"mixed_{policy}" if f"mixed_{policy}" in POLICIES else "float32"
        raise InvalidInput(
            f"log densities need float32, and Keras' dtype policy is {policy}: keras.config.set_dtype_policy({mixed!r})"
        )


class StopWhenNotFinite(keras.callbacks.Callback):
    """Stops training with a clear message once `patience` updates of one epoch, or all of it, were not finite.

    Not while the scale of a loss in half precision is falling, which takes as many updates as it has to be halved.
    """

    def __init__(self, patience=100):
        super().__init__()
        self.patience = patience

    def on_train_batch_end(self, batch, logs=None):
        skipped = float(self.model.skipped.result())
        if skipped >= min(self.patience, self.params.get("steps") or self.patience) and not self.scale_falls():
            raise FloatingPointError(
                f"{int(skipped)} updates of this epoch had a loss or gradient that is not finite, and were skipped; "
                "training stops. Lower the learning rate, clip gradients (clipnorm) or look for outliers in the data; "
                "the last checkpoint is untouched"
            )

    def scale_falls(self):
        """Whether the loss is scaled, still by more than 1."""
        optimizer = self.model.optimizer
        return isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and bool(optimizer.dynamic_scale > 1)
