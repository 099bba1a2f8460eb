"""What every test finds: the checkout, the tiers (`--all`), and a process that gives back its memory."""

import ctypes
import datetime
import faulthandler
import gc
import os
import pathlib
import resource
import sys
import tempfile
import zlib

import pytest

TURNS = 10  # days in which each slow test has its turn

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
MOST_GIGABYTES, MOST_OF_ALL = 7.0, 12.0  # of a plain run, and with --all: TensorFlow keeps every graph it has compiled


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="the slow tests too: every configuration, export and notebook")
    parser.addoption("--daily", action="store_true", help="a tenth of the slow tests, others each day")


def pytest_xdist_auto_num_workers(config):
    """Two processes for the whole suite, none beside this one for single files; `-n 4` where there are more cores."""
    narrow = any(pathlib.Path(argument.split("::")[0]).is_file() for argument in config.args)
    return 0 if narrow else min(2, os.cpu_count())


def pytest_collection_modifyitems(config, items):
    """Without --all leave out what is marked slow, with --daily what has its turn on another day."""
    slow = {item for item in items if item.get_closest_marker("slow")}
    if config.getoption("--all"):
        turn = datetime.date.today().toordinal() % TURNS if config.getoption("--daily") else None
        slow = {item for item in slow if turn not in (None, turn_of(item))}
    config.hook.pytest_deselected(items=list(slow))
    items[:] = [item for item in items if item not in slow]


def turn_of(item):
    """Which of the `TURNS` days a test has, by its name."""
    return zlib.crc32(item.nodeid.encode()) % TURNS


def peak_gigabytes():
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--all"):
        terminalreporter.write_line("The slow tests need --all.")
    peaks = ", ".join(f"{peak:.1f}" for peak in config.stash.get(PEAKS, [peak_gigabytes()]))
    terminalreporter.write_line(f"Every process held so many GB at most: {peaks}.")
    if TOO_MUCH in config.stash:
        terminalreporter.write_line(config.stash[TOO_MUCH], red=True)
    terminalreporter.write("".join(config.stash.get(STACKS, [])))


PEAKS, TOO_MUCH, STACKS = pytest.StashKey[list](), pytest.StashKey[str](), pytest.StashKey[list]()


def stack_file(workerinput):
    """Where a process that crashes leaves the stacks of its threads."""
    return pathlib.Path(tempfile.gettempdir(), "zoo-tests-{testrunuid}-{workerid}".format_map(workerinput))


@pytest.hookimpl(trylast=True)  # after pytest's own, which would write between the lines of the other processes
def pytest_configure(config):
    if hasattr(config, "workerinput"):
        faulthandler.enable(stack_file(config.workerinput).open("w"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    peak = getattr(node, "workeroutput", {}).get("peak")
    node.config.stash.setdefault(PEAKS, []).extend([peak] if peak else [])
    path = stack_file(node.workerinput)
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        own = [
            line for line in lines if not any(f"/{name}/" in line for name in ("_pytest", "pluggy", "xdist", "execnet"))
        ]
        node.config.stash.setdefault(STACKS, []).extend(own)
        path.unlink()


def pytest_sessionfinish(session, exitstatus):
    """A run in which a process held too much memory fails."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = peak_gigabytes()
    most = max([peak_gigabytes(), *session.config.stash.get(PEAKS, [])])
    allowed = MOST_OF_ALL if session.config.getoption("--all") else MOST_GIGABYTES
    if most > allowed and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[TOO_MUCH] = f"Failed: that is more than the {allowed:.1f} GB allowed."


@pytest.fixture(autouse=True)
def garbage_is_collected(request):
    """After every fiftieth test, for a module of hundreds of models would hold them all."""
    yield
    count = request.session.stash[TESTS_RUN] = request.session.stash.get(TESTS_RUN, 0) + 1
    if count % 50 == 0:
        give_back()


TESTS_RUN = pytest.StashKey[int]()


def give_back():
    """Collect circles of references, and hand what they held from the allocator to the system: where that is much.

    It takes seconds where thousands of graphs are alive.
    """
    if held_gigabytes() < HELD[0] + MORE:
        return
    gc.collect()
    if sys.platform.startswith("linux"):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    HELD[0] = held_gigabytes()


HELD, MORE = [1.0], 0.7  # gigabytes: what was held when it was last given back, and what may come to that


def held_gigabytes():
    """The memory that this process holds now; endless where the system does not say."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


@pytest.fixture(autouse=True, scope="module")
def memory_is_given_back():
    """Models are circles of references, and what they free stays with the allocator unless it is asked for."""
    yield
    import keras

    keras.backend.clear_session()
    give_back()


SMALL = ["--set", "latent_dim=2", "--set", "encoder.hidden_units=[32]"]  # a model, for the command line


@pytest.fixture
def zoo(capsys):
    """A function that runs the command: (exit code, standard output, lines of standard error)."""
    from zoo import cli

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err.splitlines()

    return run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A VAE with two latent units, trained for two epochs on the embedded digits."""
    from zoo import cli

    folder = tmp_path_factory.mktemp("cli") / "digits_2d"
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "vae", "--dataset", "digits", "--epochs", "2", "--output", str(folder), *SMALL])
    assert not exit_.value.code
    return folder
