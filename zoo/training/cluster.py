"""Which devices train together: those of this machine, or of the hosts that TF_CONFIG names.

TF_CONFIG is what Kubernetes' training operator, Ray Train or a line of shell gives to each process:

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}

The cluster has workers and, or not, one chief before them; the chief, or else worker 0, writes what is written.
"""

import contextlib
import functools
import json
import os
import socket
import time
from typing import NamedTuple

import tensorflow as tf

from zoo.errors import InvalidInput, choose, reason

DISTRIBUTE = ("auto", "mirrored", "multi_worker")
ROLES = ("chief", "worker")
WAIT = 300  # seconds, for the other workers to start
EXCHANGE = 600  # seconds, for one exchange with them: as long as the chief may write between two updates


class Cluster(NamedTuple):
    """Where the workers listen, the chief's address first, and which of them this process is."""

    addresses: tuple
    index: int


def strategy_of(distribute):
    """The strategy that shares batches among devices, None for one device alone.

    Args:
        distribute: None; "mirrored": all devices of this machine; "multi_worker": those of all hosts in TF_CONFIG;
            "auto": the second where TF_CONFIG names several workers, the first where there are several devices.

    Raises:
        InvalidInput: there is one device; TF_CONFIG is wrong; a worker does not answer within five minutes.
    """
    if distribute is None:
        return None
    choose("distribute", distribute, dict.fromkeys(DISTRIBUTE))
    text = os.environ.get("TF_CONFIG", "")
    if distribute == "multi_worker" or (distribute == "auto" and text and len(read_cluster(text).addresses) > 1):
        return multi_worker(text)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return mirrored(*(device.name for device in devices))
    if distribute == "mirrored":
        raise InvalidInput("mirrored needs several devices, and TensorFlow sees one here: leave distribute out")
    return None


@functools.cache  # a second one would number its exchanges as the first did, and take up what is left of them
def mirrored(*devices):
    """The strategy of several devices of this machine."""
    return tf.distribute.MirroredStrategy(devices)


@functools.cache  # a process joins its cluster once
def multi_worker(text):
    """The strategy of a cluster whose workers have all answered."""
    meet(read_cluster(text))
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=EXCHANGE)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        raise InvalidInput(f"multi_worker has to come before all else that TensorFlow does: {reason(error)}") from None


def read_cluster(text):
    """The `Cluster` that TF_CONFIG describes.

    Raises:
        InvalidInput: it is missing, no JSON, or contradicts itself.
    """
    if not text:
        raise InvalidInput("multi_worker reads the workers' addresses from TF_CONFIG, which is not set")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"TF_CONFIG is not valid JSON: {error}") from None
    cluster, task = (config.get(key) if isinstance(config, dict) else None for key in ("cluster", "task"))
    if not (isinstance(cluster, dict) and cluster and isinstance(task, dict)):
        raise InvalidInput('TF_CONFIG is {"cluster": {"worker": ["host:port", ...]}, "task": {"type", "index"}}')
    addresses = [address for role in (*ROLES, *cluster) if role in cluster for address in check_role(role, cluster)]
    addresses = list(dict.fromkeys(addresses))
    if len(addresses) < sum(map(len, cluster.values())):
        raise InvalidInput("TF_CONFIG names an address twice: each worker listens on one of its own")
    if len(cluster.get("chief", [])) > 1:
        raise InvalidInput(f"TF_CONFIG names {len(cluster['chief'])} chiefs: a cluster has one at most")
    role, index = task.get("type"), task.get("index")
    if role not in cluster:
        raise InvalidInput(f"TF_CONFIG says that this process is a {role!r}, but its cluster has {', '.join(cluster)}")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(cluster[role]):
        raise InvalidInput(f"TF_CONFIG says that this process is {role} {index!r} of {len(cluster[role])}, from 0")
    return Cluster(tuple(addresses), addresses.index(cluster[role][index]))


def check_role(role, cluster):
    """The addresses of a role, of the kinds that train and in their form."""
    if role not in ROLES:
        raise InvalidInput(f"TF_CONFIG names a {role!r}: workers and one chief train here, and nobody else")
    addresses = cluster[role]
    if not isinstance(addresses, list) or not addresses or not all(map(is_address, addresses)):
        raise InvalidInput(f"TF_CONFIG names the addresses of each {role} as host:port, got {addresses!r}")
    return addresses


def is_address(address):
    """Whether a value is "host:port"."""
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 2**16


def meet(cluster):
    """Wait until every other worker listens, and listen meanwhile, so that TensorFlow does not wait without an end."""
    deadline = time.monotonic() + WAIT
    with listening(cluster.addresses[cluster.index]):
        for index, address in enumerate(cluster.addresses):
            if index != cluster.index:
                knock(index, address, deadline)


@contextlib.contextmanager
def listening(address):
    """Take calls on the port of an address while the block runs."""
    port, both = int(address.rpartition(":")[2]), socket.has_dualstack_ipv6()
    try:
        server = socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, backlog=1024, dualstack_ipv6=both
        )
    except OSError as error:
        raise InvalidInput(f"TF_CONFIG has this worker at {address}, whose port is not free: {reason(error)}") from None
    with server:
        yield


def knock(index, address, deadline):
    """Call an address until it answers."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            return socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise InvalidInput(
                    f"worker {index} of TF_CONFIG, {address}, did not answer within {WAIT} s: {reason(error)}"
                ) from None
            time.sleep(0.2)
