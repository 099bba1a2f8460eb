"""One endpoint of a model as a SavedModel for a pipeline's workers, and the handler that calls it."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from zoo.beam.batches import Result, arrays_of, specs_from
from zoo.export.archive import quiet, write_archive
from zoo.files import write_json

INPUTS = "assets.extra/inputs.json"
ROWS = 2**14  # the most rows times draws that are scored at a time


def write_served(model, endpoint, directory, num_samples):
    """Write a SavedModel of one endpoint, and what its inputs are; pixels are binarised before they are scored.

    Args:
        num_samples: draws a row of `score`.
    """
    method, inputs = model.endpoints[endpoint]
    if endpoint == "score":

        def method(**fields):
            return model.serve_score(**model.as_binary(fields, None, training=False))

    kept, model.score_samples = model.score_samples, num_samples
    try:
        with quiet("exporting the model"):
            write_archive(model, {endpoint: (method, inputs)}, model.field_specs, directory)
    finally:
        model.score_samples = kept
    (directory / INPUTS).parent.mkdir(exist_ok=True)
    write_json(directory / INPUTS, {name: model.field_specs[name]._asdict() for name in inputs})


@dataclasses.dataclass
class Loaded:
    """A signature, and input -> `FieldSpec`."""

    signature: Callable
    specs: dict


class Served(ModelHandler):
    """Calls one signature of a SavedModel on `Batch`es, which come as they are, one at a time.

    Args:
        directory: of the SavedModel, where every worker can read it.
        seed: of the run.
        threads: of TensorFlow in a worker, where several share a machine; 0 takes all cores.
        rows: that are given to the model at a time, None for all of a batch.
    """

    def __init__(self, directory, endpoint, seed, threads, rows=None):
        super().__init__(min_batch_size=1, max_batch_size=1)
        self.directory, self.endpoint, self.seed, self.threads, self.rows = directory, endpoint, seed, threads, rows

    def load_model(self):
        """`Loaded`."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # TensorFlow runs already
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
        with tf.io.gfile.GFile(os.path.join(self.directory, INPUTS)) as file:
            specs = specs_from(json.load(file))
        return Loaded(tf.saved_model.load(self.directory).signatures[self.endpoint], specs)

    def run_inference(self, batch, model, inference_args=None):
        """A `Result` of each batch."""
        for rows in batch:
            keys, arrays, failed = arrays_of(rows, model.specs, self.seed)
            yield Result(keys, self.called(model.signature, arrays, len(keys)) if keys else {}, failed)

    def called(self, signature, arrays, count):
        """Name -> array [N, ...] of all outputs."""
        step = self.rows or count
        parts = [
            signature(**{k: v[start : start + step] for k, v in arrays.items()}) for start in range(0, count, step)
        ]
        if len(parts) == 1:
            return {name: np.asarray(memoryview(value)) for name, value in parts[0].items()}  # .numpy() would copy
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}

    def get_num_bytes(self, batch):
        """Of a batch, for Beam's metrics."""
        return sum(rows.nbytes for rows in batch)
