"""What stops a training that goes nowhere."""

import keras


class StopWhenNotFinite(keras.callbacks.Callback):
    """Stops training with a clear message once `patience` updates of one epoch, or all of it, were not finite."""

    def __init__(self, patience=100):
        super().__init__()
        self.patience = patience

    def on_train_batch_end(self, batch, logs=None):
        skipped = float(self.model.skipped.result())
        if skipped >= min(self.patience, self.params.get("steps") or self.patience):
            raise FloatingPointError(
                f"{int(skipped)} updates of this epoch had a loss or gradient that is not finite, and were skipped; "
                "training stops. Lower the learning rate, clip gradients (clipnorm) or look for outliers in the data; "
                "the last checkpoint is untouched"
            )
