"""Training on several devices or hosts: Keras' `fit`, as far as a run needs it, with a step under `strategy.run`.

Every replica takes its rows of each batch, and what is counted or drawn is so over the whole of it (`zoo.replicas`):
weights, logs and checkpoints are those of one device with the same batches, to rounding, whatever number of devices
shares them. Keras' own `fit` does not train on several hosts (its issues 20329 and 20585).
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
import zlib
from pathlib import Path

import keras
import tensorflow as tf

from zoo.errors import InvalidInput, WorkerLost, reason
from zoo.models.doors import guarded
from zoo.training.cluster import read_cluster

LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
WATCHED = ("tensorboard", "wandb", "mlruns", "*.id")  # in a run's folder, that only the chief goes on with


def scope(strategy):
    """In which variables are made."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def several_hosts(strategy):
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy):
    """Whether this process writes."""
    return not several_hosts(strategy) or read_cluster(os.environ["TF_CONFIG"]).index == 0


def sizes(strategy):
    """{"devices": how many share a batch, "hosts": how many processes}, {} for one alone."""
    hosts = len(read_cluster(os.environ["TF_CONFIG"]).addresses) if several_hosts(strategy) else 1
    return {"devices": strategy.num_replicas_in_sync, "hosts": hosts} if strategy else {}


def check_batch_size(strategy, batch_size):
    """Raise `InvalidInput` unless every device has as many rows of a batch."""
    count = strategy.num_replicas_in_sync if strategy else 1
    if batch_size % count:
        nearby = [size for size in (batch_size - batch_size % count, batch_size + count - batch_size % count) if size]
        raise InvalidInput(
            f"batch_size must be a multiple of the {count} devices that share it, such as "
            f"{' or '.join(map(str, nearby))}, got {batch_size}"
        )


@contextlib.contextmanager
def workplace(strategy, directory, resume):
    """The folder in which this process trains: `directory` for the chief, for others one that is gone afterwards.

    They write as the chief does, so that all take the same steps; a run that goes on does so from a copy.

    Raises:
        WorkerLost: another worker is gone.
    """
    if not several_hosts(strategy):
        yield directory
        return
    try:
        with contextlib.ExitStack() as stack:
            folder = directory
            if not is_chief(strategy):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zoo-worker-"))) / directory.name
                if resume:
                    copied(directory, folder)
            yield folder
            same_everywhere(strategy)  # nobody leaves before the chief has written
    except LOST as error:
        said = re.search(r"aborted by: (.*)", str(error))
        said = said[1] if said else reason(error)
        raise WorkerLost(f"another worker is lost ({said}); resume with any number of workers") from None


def copied(directory, folder):
    """Copy a run's folder."""
    if not directory.is_dir():
        raise InvalidInput(f"there is no folder {directory}: all workers need the run's folder to go on with")
    shutil.copytree(directory, folder, ignore=shutil.ignore_patterns(*WATCHED))


def same_everywhere(strategy, **facts):
    """Wait for all workers, and raise `InvalidInput` unless their facts, by what they are called, are the same."""
    if not several_hosts(strategy):
        return
    numbers = [zlib.crc32(json.dumps(fact, sort_keys=True, default=str).encode()) for fact in facts.values()]
    own = tf.constant([[0, *numbers]], tf.int64)
    gathered = tf.function(lambda own: strategy.run(all_gather, args=(own,)))(own)
    rows = strategy.experimental_local_results(gathered)[0].numpy()
    for name, values in zip(facts, rows.T[1:], strict=True):
        if len(set(values)) > 1:
            raise InvalidInput(f"the workers do not have the same {name}: give all of them the same command and files")


def all_gather(value):
    return tf.distribute.get_replica_context().all_gather(tf.identity(value), 0)


def shared(strategy, dataset):
    """An iterator without an end over batches, of which each replica has its rows.

    Every worker reads all of the data, and keeps the rows of its own replicas: the first of a batch are those of the
    first replica, and so on. So an epoch has the batches that it has on one device.
    """
    count = strategy.num_replicas_in_sync

    def of_worker(context):
        each = count // context.num_input_pipelines
        first = context.input_pipeline_id * each

        def rows_of(batch):
            rows = tf.cast(tf.shape(tf.nest.flatten(batch)[0])[0], tf.int64)
            return tf.data.Dataset.range(first, first + each).map(
                lambda r: tf.nest.map_structure(lambda v: v[r * rows // count : (r + 1) * rows // count], batch)
            )

        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.repeat().flat_map(rows_of).apply(endless).prefetch(2 * each)

    return iter(strategy.distribute_datasets_from_function(of_worker))


def stepper(strategy, model, step):
    """A function that takes so many steps with an iterator, and gives the logs of this worker's first replica."""

    @tf.function
    def take(iterator, count):
        for _ in tf.range(count):
            strategy.run(step, args=(next(iterator),))
        return strategy.run(model.get_metrics_result)

    def taken(iterator, count):
        logs = take(iterator, tf.constant(count))
        return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

    return taken


def fit_together(strategy, model, data, epochs, initial_epoch, callbacks):
    """Train a compiled model, and validate it after each epoch, as Keras' `fit` does: its history.

    Args:
        data: (training data without an end, validation data or None, updates per epoch).
    """
    train_data, validation_data, steps = data
    batches, update = shared(strategy, train_data), stepper(strategy, model, model.train_step)
    if validation_data is not None:
        held_out = shared(strategy, validation_data), int(validation_data.cardinality())
        check = stepper(strategy, model, model.test_step)
    callbacks = keras.callbacks.CallbackList(
        guarded(callbacks), add_history=True, model=model, epochs=epochs, steps=steps, verbose=0
    )
    model.follow(callbacks.callbacks)
    model.stop_training, logs = False, {}
    callbacks.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        train_epoch(model, update, batches, steps, callbacks)
        logs = results(model)
        if validation_data is not None:
            logs |= {f"val_{name}": value for name, value in validate(model, check, *held_out, callbacks).items()}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callbacks.on_train_end(logs)
    return model.history


def train_epoch(model, update, batches, steps, callbacks):
    """So many updates, `steps_per_execution` at a time."""
    for first in range(0, steps, model.steps_per_execution):
        count = min(model.steps_per_execution, steps - first)
        callbacks.on_train_batch_begin(first)
        callbacks.on_train_batch_end(first + count - 1, update(batches, count))
        if model.stop_training:
            return


def validate(model, check, batches, steps, callbacks):
    """The results on so many batches."""
    callbacks.on_test_begin()
    model.reset_metrics()
    for batch in range(steps):
        callbacks.on_test_batch_begin(batch)
        callbacks.on_test_batch_end(batch, check(batches, 1))
    logs = results(model)
    callbacks.on_test_end(logs)
    return logs


def results(model):
    """Name -> number of all metrics, over all replicas."""
    return {name: float(value) for name, value in model.get_metrics_result().items()}
