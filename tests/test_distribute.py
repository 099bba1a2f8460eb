"""Training on several devices and hosts: it takes the course of one device, and ends in a line where it cannot."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from conftest import SMALL

from zoo.errors import InvalidInput
from zoo.training import cluster
from zoo.training.distribute import check_batch_size

HERE = Path(__file__).parent
PAIR = {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}


def config(cluster, role="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": role, "index": index}})


def free_ports(count):
    """Ports that nobody listens on."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "which is not set"),
        ("{", "not valid JSON"),
        ('{"task": {"type": "worker", "index": 0}}', '{"cluster": {"worker"'),
        ('{"cluster": {}, "task": {"type": "worker", "index": 0}}', '{"cluster": {"worker"'),
        ("[]", '{"cluster": {"worker"'),
        (config(PAIR, index=2), "worker 2 of 2, from 0"),
        (config(PAIR, index="0"), "worker '0' of 2, from 0"),
        (config(PAIR, "chief"), "is a 'chief', but its cluster has worker"),
        (config({**PAIR, "ps": ["127.0.0.1:2224"]}), "names a 'ps'"),
        (config({**PAIR, "chief": ["a:1", "b:1"]}), "2 chiefs"),
        (config({"worker": ["127.0.0.1:2222"] * 2}), "an address twice"),
        (config({"worker": ["127.0.0.1"]}), "as host:port"),
        (config({"worker": "127.0.0.1:2222"}), "as host:port"),
        (config({"worker": ["127.0.0.1:99999"]}), "as host:port"),
    ],
)
def test_a_tf_config_that_lies_is_told_in_a_line(zoo, tmp_path, monkeypatch, text, said):
    monkeypatch.setenv("TF_CONFIG", text)
    code, _, lines = zoo("train", "vae", "--distribute", "multi_worker", "--output", tmp_path / "run")
    assert (code, len(lines)) == (2, 1) and said in lines[0] and "TF_CONFIG" in lines[0]
    assert not (tmp_path / "run").exists()


def test_a_worker_that_never_starts_is_named_after_a_while(zoo, tmp_path, monkeypatch):
    own, other = free_ports(2)
    monkeypatch.setattr(cluster, "WAIT", 0.5)
    monkeypatch.setenv("TF_CONFIG", config({"worker": [f"127.0.0.1:{own}", f"127.0.0.1:{other}"]}))
    code, _, lines = zoo("train", "vae", "--distribute", "auto", "--output", tmp_path / "run")
    assert (code, len(lines)) == (2, 1) and f"worker 1 of TF_CONFIG, 127.0.0.1:{other}, did not answer" in lines[0]


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InvalidInput, match=f"{address}, whose port is not free"):
            cluster.meet(cluster.Cluster((address,), 0))


def test_workers_that_start_one_after_another_meet():
    ports, met = free_ports(3), []
    addresses = tuple(f"127.0.0.1:{port}" for port in ports)

    def worker(index):
        cluster.meet(cluster.Cluster(addresses, index))
        met.append(socket.create_server(("", ports[index])))  # as TensorFlow does next

    threads = [threading.Thread(target=worker, args=[index], daemon=True) for index in range(3)]
    for thread in threads:
        assert not met
        thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join(20)
    assert len(met) == 3
    for server in met:
        server.close()


def test_a_chief_comes_before_the_workers():
    found = cluster.read_cluster(config({"worker": ["a:1", "b:1"], "chief": ["c:1"]}, index=1))
    assert found == cluster.Cluster(("c:1", "a:1", "b:1"), 2)


def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_ones():
    check_batch_size(types.SimpleNamespace(num_replicas_in_sync=4), 128)
    with pytest.raises(InvalidInput, match="multiple of the 3 devices that share it, such as 126 or 129, got 128"):
        check_batch_size(types.SimpleNamespace(num_replicas_in_sync=3), 128)


@pytest.mark.parametrize(("distribute", "said"), [("mirrored", "TensorFlow sees one here"), ("miror", "mirrored?")])
def test_what_cannot_be_shared_is_refused(zoo, tmp_path, distribute, said):
    code, _, lines = zoo("train", "vae", "--distribute", distribute, "--output", tmp_path / "run")
    assert (code, len(lines)) == (2, 1) and said in lines[0]


# ---------------------------------------------------------------- several devices


@pytest.mark.slow
@pytest.mark.parametrize("case", ["images", "sequences"])
def test_runs_on_two_devices_take_the_course_of_one(tmp_path, case):
    for count in (1, 2):
        elsewhere.run("course", case, count, tmp_path / str(count))
    same_run(tmp_path / "1", tmp_path / "2")


def same_run(first, second, atol=2e-6):
    """Two folders hold the same weights and logs, to rounding."""
    (a, b), (one, two) = ([read(folder) for folder in (first, second)] for read in (weights_of, log_of))
    for path in a:
        np.testing.assert_allclose(b[path], a[path], rtol=1e-5, atol=atol, err_msg=path)
    assert one[0] == two[0] and len(one) == len(two)
    np.testing.assert_allclose(np.array(two[1:], float), np.array(one[1:], float), rtol=1e-3, atol=1e-3)


def weights_of(folder):
    with np.load(folder / "checkpoint.npz") as arrays:
        return {name: arrays[name] for name in arrays}


def log_of(folder):
    with open(folder / "log.csv") as file:
        return list(csv.reader(file))


# ---------------------------------------------------------------- several hosts


@pytest.fixture
def start():
    """A function that starts processes of `zoo train` that share each batch; none is left afterwards."""
    started = []

    def begin(count, *arguments):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        script = "import sys; from zoo.cli import main; main(sys.argv[1:])"
        command = [sys.executable, "-c", script, "train", *map(str, arguments), "--distribute", "multi_worker"]
        for index in range(count):
            environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
            environment["TF_CONFIG"] = config({"worker": addresses}, index=index)
            pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
            started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return started[-count:]

    yield begin
    for process in started:
        process.kill()


@pytest.mark.slow
def test_hosts_take_the_course_of_one_device_end_where_one_is_killed_and_resume_in_any_number(zoo, start, tmp_path):
    options = ["vae", "--dataset", "digits", "--limit", "120", *SMALL, "--recipe", "batch_size=24", "--epochs", "12"]
    options += ["--recipe", "kl.name=linear", "--recipe", "kl.steps=8", "--recipe", "patience=50"]
    assert zoo("train", *options, "--output", tmp_path / "one")[0] == 0
    folder = tmp_path / "hosts"
    chief, other = start(2, *options, "--output", folder)
    while not (folder / "checkpoint.npz").exists():
        assert chief.poll() is None, chief.stderr.read()
        time.sleep(0.1)
    other.send_signal(signal.SIGKILL)
    begun = time.monotonic()
    lines = chief.communicate(timeout=60)[1].splitlines()
    assert time.monotonic() - begun < 30
    assert chief.returncode == 1 and lines[-1].startswith("zoo: another worker is lost"), lines
    assert 1 < len(log_of(folder)) < 13
    for worker in start(3, "--resume", folder):
        errors = worker.communicate(timeout=600)[1]
        assert worker.returncode == 0, errors
    same_run(tmp_path / "one", folder)
    card = json.loads((folder / "card.json").read_text())
    assert card["timing"]["machine"]["devices"] == card["timing"]["machine"]["hosts"] == 3
