"""What every test finds: the checkout, the tiers (`--all`), and a process that gives back its memory."""

import ctypes
import gc
import pathlib
import resource
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
MOST_GIGABYTES = 4.0


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="the slow tests too: every configuration, export and notebook")


def pytest_collection_modifyitems(config, items):
    """Without --all leave out what is marked slow, and say so in one line."""
    if config.getoption("--all"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]
    config.stash[LEFT_OUT] = len(slow)


LEFT_OUT = pytest.StashKey[int]()


def pytest_report_collectionfinish(config):
    left_out = config.stash.get(LEFT_OUT, 0)
    return f"{left_out} slow tests need --all" if left_out else None


def peak_gigabytes():
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"The process held {peak_gigabytes():.1f} GB at most.")


def pytest_sessionfinish(session, exitstatus):
    """A run of the whole suite that held too much memory fails."""
    if session.config.getoption("--all") and peak_gigabytes() > MOST_GIGABYTES and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True, scope="module")
def memory_is_given_back():
    """Models are circles of references, and what they free stays with the allocator unless it is asked for."""
    yield
    import keras

    keras.backend.clear_session()
    gc.collect()
    if sys.platform.startswith("linux"):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
