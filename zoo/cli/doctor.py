"""`zoo doctor`: what is wrong with a run or a pretrained model, and the cure."""

import textwrap

from zoo.cli.app import Json, Name, app, import_tensorflow, show
from zoo.errors import InvalidInput
from zoo.pretrained import locate


@app.command()
def doctor(name: Name, json: Json = False):
    """Say what is wrong with a run or a model, and the cure. Example: zoo doctor runs/a

    It looks at the log, and at 200 held-out examples where the data are here.
    """
    home = locate(name)
    import_tensorflow()
    from zoo.evaluation import diagnose, test_data
    from zoo.pictures import Subject

    subject = Subject(home)
    model, where = subject.model, "its log and held-out data"
    try:
        data = test_data(model, subject.card["data"])
    except InvalidInput as error:
        data, where = None, f"its log alone, for its data are not here ({error})"
    found = diagnose(model, data, history_of(subject))
    if json:
        return show([finding._asdict() for finding in found], json)
    lines = [line for finding in found for line in said(finding)]
    return show(lines or [f"{name} is healthy, by {where}"], json)


def history_of(subject):
    """Name -> the numbers of the epochs of a run's last stage; {} where there is no log."""
    header, *rows = subject.rows("log") or [[]]
    return {name: [number(row[place]) for row in rows] for place, name in enumerate(header)}


def number(text):
    """A cell of a log, NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def said(finding):
    """A finding as lines."""
    yield f"{finding.fault}: {finding.saw}"
    yield from textwrap.wrap(f"cure: {finding.cure}", 76, initial_indent="    ", subsequent_indent="    ")
