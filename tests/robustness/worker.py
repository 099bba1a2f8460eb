"""A process that reads many damaged files, one after the other, and says of each what became of it.

Every line of its input is JSON: {"kind", "path"}; every line of its output {"outcome", "message", "seconds",
"executions", "gigabytes"}. The outcome is "taken", "refused" (one line of `InvalidInput`), "half" (loaded or written),
"outside" (a file was read or written that is not the case's) or "traceback".
"""

import json
import os
import pathlib
import resource
import sys
import time

ROOM = 3 * 2**30  # bytes that one case may ask for beyond what the libraries have
RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pty.spawn")
executed = []


class Harm(Exception):
    """What must not happen: its arguments are an outcome and a message."""


def watch(event, arguments):
    if event == "socket.connect" and arguments[1][0] == "127.0.0.1":  # the server of a case
        return
    if event in RUNS or (event == "import" and arguments[0] == "robustness_canary"):
        executed.append(event)


def prepare():
    """Import what a user has imported, and limit what comes."""
    import zoo

    zoo.create("vae", data_shape=(4, 4, 1), latent_dim=2)
    zoo.load_dataset("digits", "test")
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from robustness import readers

    commands = {"folders": readers.command, "servers": readers.server, "zips": readers.archive}
    readers.prepare()
    return {"cards": read_card, "weights": read_weights, **commands}


def read_card(path):
    import zoo

    zoo.load(path)
    zoo.pretrained.preset(path)


def read_weights(path):
    """Load them as those of a card, and into a model that must stay as it is where they are refused."""
    import numpy as np

    import zoo

    model = zoo.create("vae", data_shape=(4, 4, 1), latent_dim=2, encoder={"name": "mlp", "hidden_units": [8]})
    before = model.get_weights()
    for load in (lambda: zoo.load(path), lambda: model.load_weights(next(path.glob("*.keras")))):
        try:
            loaded = load() or model
        except ValueError:
            if any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True)):
                raise Harm("half", "half of the weights are loaded") from None
            raise
        if not all(np.isfinite(w).all() for w in loaded.get_weights()):
            raise Harm("half", "weights that are not finite are loaded")


def read_data(path):
    from zoo.data import load_arrays

    assert len(load_arrays(path, "all")["x"])


def outcome(read, path):
    """(outcome, message) of reading a file."""
    from zoo.errors import InvalidInput

    try:
        read(path)
    except InvalidInput as error:
        one_line = "\n" not in str(error) and len(str(error)) < 3_000
        return "refused" if one_line else "traceback", str(error)[:300]
    except Harm as harm:
        return harm.args
    except BaseException as error:
        import traceback

        return "traceback", f"{error!r:.300} {traceback.format_exc()[-600:]}"
    return "taken", ""


def main():
    from zoo.training.timing import peak_memory

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.path.insert(0, sys.argv[1])  # where the canary lies
    readers = prepare()
    sys.addaudithook(watch)
    answers.write('"ready"\n')
    for line in sys.stdin:
        case = json.loads(line)
        executed.clear()
        start = time.process_time()
        result, message = outcome(readers.get(case["kind"], read_data), pathlib.Path(case["path"]))
        seconds = time.process_time() - start
        held = peak_memory() / 2**30
        answer = {"outcome": result, "message": message, "seconds": seconds, "executions": list(executed)}
        answers.write(json.dumps({**answer, "gigabytes": held}) + "\n")


if __name__ == "__main__":
    main()
