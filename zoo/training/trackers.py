"""Where a run is watched from elsewhere, by name in a recipe: TensorBoard, Weights & Biases, MLflow.

Each needs a package that is imported only when it is named:

    zoo train vae --recipe callbacks=wandb --recipe callbacks.project=digits
    zoo train vae --recipe 'callbacks=["tensorboard", {"name": "mlflow", "experiment": "digits"}]'
"""

import importlib.util
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive, reason
from zoo.files import write_bytes
from zoo.registry import Registry

TRACKERS = Registry("callback")
CONTEXT = ("directory", "about", "batch")  # what a run gives to each
PROFILED = (3, 12)  # calls: the first is compiled before it runs


def specs_of(callbacks):
    """The entries of a recipe's `callbacks` as a list, checked: each a known name, its arguments, its package there.

    Raises:
        InvalidInput: with the command that installs a package that is missing.
    """
    specs = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    for spec in specs:
        if not isinstance(spec, (str, dict)):
            raise InvalidInput(f"callbacks of a recipe are names, or dicts with one, got {spec!r}")
        tracker, _, _ = TRACKERS.parse(spec, CONTEXT)
        if importlib.util.find_spec(tracker.package) is None:
            name = spec if isinstance(spec, str) else spec["name"]
            raise InvalidInput(f"callback {name!r} needs {tracker.package}: pip install 'vae-zoo[{name}]'")
    return specs


@TRACKERS.register("tensorboard", package="tensorboard")
class TensorBoard(keras.callbacks.TensorBoard):
    """TensorBoard's logs in the run's folder, with held-out images and below them their reconstructions.

    Args:
        images: how many of these, after each epoch; of data that are no images there are none.
        profile: None, or the first and the last call into TensorFlow, counted from 1, that its profiler records.
    """

    def __init__(self, directory, batch, images=10, profile=None):
        check_positive(images=images)
        if profile is not None:
            check_positive(profile=profile)
            if not isinstance(profile, (list, tuple)) or len(profile) != 2 or profile[0] > profile[1]:
                raise InvalidInput(f"profile is the first and last update to record, as [3, 12], got {profile!r}")
        super().__init__(str(pathlib.Path(directory) / "tensorboard"), profile_batch=profile or 0)
        self.batch, self.images = batch, images

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        name = self.model.fields_of("data")[0]
        shape = self.model.data_spec[name].shape
        if len(shape) == 3 and shape[-1] in (1, 3):
            with tf.summary.create_file_writer(f"{self.log_dir}/images").as_default():
                tf.summary.image("reconstructions", self.rows(name), step=epoch)

    def rows(self, name):
        """[1, 2 H, N W, C]: images of the first batch, and their reconstructions."""
        fields = {key: value[: self.images] for key, value in self.model.fields(self.batch()).items()}
        data = {key: fields[key] for key in self.model.fields_of("data")}
        given = {key: fields[key] for key in self.model.fields_of("condition", "mask") if key in fields}
        found = self.model.reconstruct(data, **given)
        found = found[name] if isinstance(found, dict) else found
        return np.concatenate([np.concatenate(list(np.asarray(x)), 1) for x in (data[name], found)])[None]


class Tracker(keras.callbacks.Callback):
    """Sends what Keras reports of each epoch elsewhere; a resumed run goes on where it stood.

    Args:
        directory: the run's folder, where `<package>.id` says what the run is called elsewhere.
        about: what was asked for, a dict.
    """

    def __init__(self, directory, about):
        super().__init__()
        self.directory, self.about = pathlib.Path(directory), about
        self.path = self.directory / f"{self.package}.id"

    def on_train_begin(self, logs=None):
        known = self.path.read_text().strip() if self.path.exists() else None
        try:
            identity = self.begin(known)
        except Exception as error:  # theirs: no login, no server, a run that was deleted
            raise InvalidInput(f"{self.package} does not begin a run: {reason(error)}") from error
        write_bytes(self.path, f"{identity}\n".encode())

    def on_epoch_end(self, epoch, logs=None):
        self.log({name: float(value) for name, value in (logs or {}).items()}, epoch)


@TRACKERS.register("wandb", package="wandb")
class WeightsAndBiases(Tracker):
    """A run of Weights & Biases.

    Args:
        project, entity: where it is shown.
        mode: "online", "offline" or "disabled"; None: as the environment says.
    """

    def __init__(self, directory, about, project="vae-zoo", entity=None, mode=None):
        super().__init__(directory, about)
        self.settings = {"project": project, "entity": entity, "mode": mode}

    def begin(self, known):
        import wandb

        self.run = wandb.init(dir=self.directory, config=self.about, id=known, resume="allow", **self.settings)
        return self.run.id

    def log(self, values, epoch):
        self.run.log({**values, "epoch": epoch}, step=epoch)

    def on_train_end(self, logs=None):
        self.run.finish()


@TRACKERS.register("mlflow", package="mlflow")
class MLflow(Tracker):
    """A run of MLflow.

    Args:
        experiment: where it is shown.
        tracking_uri: the server or folder; None: as the environment says.
    """

    def __init__(self, directory, about, experiment="vae-zoo", tracking_uri=None):
        super().__init__(directory, about)
        self.experiment, self.tracking_uri = experiment, tracking_uri

    def begin(self, known):
        import mlflow

        if self.tracking_uri is not None:
            mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_experiment(self.experiment)
        run = mlflow.start_run(run_id=known)
        if known is None:
            mlflow.log_params({key: json.dumps(value)[:5000] for key, value in self.about.items()})
        return run.info.run_id

    def log(self, values, epoch):
        import mlflow

        mlflow.log_metrics(values, step=epoch)

    def on_train_end(self, logs=None):
        import mlflow

        mlflow.end_run()
