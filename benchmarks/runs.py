"""Trainings in folders of their own, which go on where they were interrupted; results that are stored; processes."""

import multiprocessing

from zoo import pretrained
from zoo.files import read_json, write_bytes, write_json
from zoo.training.run import RUN, train


def trained(home, wanted, verbose=0):
    """The model of the preset `wanted`, trained in the folder `home`, or loaded where it is finished."""
    if (home / "card.json").exists():
        return pretrained.load(home)
    if (home / RUN).exists():
        asked = read_json(home / RUN)
        if any(asked.get(part) != wanted[part] for part in wanted):
            raise SystemExit(f"{home} holds a run with other settings: choose another --folder")
        return train(home, resume=True, verbose=verbose)[0]
    return train(home, wanted, verbose=verbose)[0]


def store(path, report, tables):
    """Write a report as JSON, and beside it tables of Markdown, name -> lines."""
    write_json(path, report)
    for name, lines in tables.items():
        write_bytes(path.with_name(f"{name}.md"), ("\n".join(lines) + "\n").encode())


def in_process(function, *arguments):
    """What a function sends from a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=function, args=(there, *arguments))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found
