"""What both exports share: a model's endpoints in a Keras export archive, and silence."""

import contextlib
import errno

import keras
import tensorflow as tf

from zoo.quiet import quiet_logger, quiet_stderr, waiting


def write_archive(model, endpoints, specs, directory, batch_size=None):
    """Write a SavedModel with one signature per endpoint, inputs and outputs named.

    Args:
        model: a built `LatentVariableModel`.
        endpoints: name -> (method, names of its inputs); the first is `serving_default` too.
        specs: name -> `FieldSpec` of every input.
        directory: where; must not exist.
        batch_size: the leading axis; None leaves it open.

    Raises:
        OSError: the disk is full, and the like.
    """
    archive = keras.export.ExportArchive()
    for name, (method, inputs) in endpoints.items():
        signature = {i: tf.TensorSpec([batch_size, *specs[i].shape], specs[i].dtype, name=i) for i in inputs}
        archive.add_endpoint(name, spread(method), input_signature=[signature])
    try:
        archive.write_out(str(directory), verbose=False)
    except tf.errors.OpError as error:
        reason = error.message.split(";")[-1].split("[Op")[0].strip()  # TensorFlow names operations and files before it
        raise OSError(errno.EIO, reason or "the disk is full, or not ours") from error


def spread(method):
    """The method as a function of one dict, which is what a signature with named inputs calls."""
    return lambda fields: method(**fields)


@contextlib.contextmanager
def quiet(what):
    """Hold back what TensorFlow and MLIR write to the error stream and TensorFlow's logger; a terminal says `what`."""
    with quiet_logger(), waiting(what), quiet_stderr():
        yield
