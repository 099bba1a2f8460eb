"""What a training costs: seconds, memory, and on which machine."""

import pathlib
import platform
import statistics
import sys
import time

import keras
import tensorflow as tf

from zoo.replicas import num_cores
from zoo.training.logs import read_rows, write_rows

HEADER = ["epoch", "seconds", "peak_memory_bytes"]


class TimingLogger(keras.callbacks.Callback):
    """Writes the seconds of each epoch, with its validation, and the process' largest memory so far: a row an epoch."""

    def __init__(self, path):
        super().__init__()
        self.path = pathlib.Path(path)

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = [epoch, f"{time.perf_counter() - self.begun:.3f}", peak_memory() or ""]
        write_rows(self.path, [*(read_rows(self.path) or [HEADER]), row])


def timing(paths, shared=None):
    """A card's entry of what training took, from the logs of its stages, the last one's last.

    Args:
        paths: the logs.
        shared: among how many devices and hosts, for the machine's entry.

    Returns:
        {"seconds_per_epoch": the median of the last stage's epochs but its first, in which the update is compiled,
        "seconds": of all epochs, of all pieces of a run that was resumed and of all stages, "peak_memory_bytes": the
        largest of a process, "machine": see `machine`}; {} where there are no logs.
    """
    stages = [list(epochs(path)) for path in paths]
    if not stages or not stages[-1]:
        return {}
    last = [seconds for seconds, _ in stages[-1]]
    every = [epoch for stage in stages for epoch in stage]
    memory = {"peak_memory_bytes": max(peak for _, peak in every)} if any(peak for _, peak in every) else {}
    return {
        "seconds_per_epoch": round(statistics.median(last[1:] or last), 3),
        "seconds": round(sum(seconds for seconds, _ in every), 3),
        **memory,
        "machine": {**machine(), **(shared or {})},
    }


def epochs(path):
    """(seconds, bytes or 0) of each epoch of a log; rows that hold other things are passed over."""
    for row in read_rows(path):
        try:
            yield float(row[1]), int(row[2] or 0)
        except (ValueError, IndexError):
            continue


def peak_memory():
    """The most bytes that this process has held so far, None on a system that does not say.

    Linux says it in `/proc`; its `getrusage` begins with those of the process that started this one.
    """
    try:
        return int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):  # no Linux
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine():
    """{"cores", "processor", "system"} and, where there are such, "accelerators": what it is, not what it is called."""
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    accelerators = [details.get("device_name", "GPU") for details in gpus]
    return {
        "cores": num_cores(),
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        **({"accelerators": accelerators} if accelerators else {}),
    }


def processor():
    """The model of the processor, or its architecture where the system does not say."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]
