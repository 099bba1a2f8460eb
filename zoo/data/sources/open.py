"""What a thing is: the one place that asks, and gives a `Source` of it."""

import os
from pathlib import Path

import numpy as np

from zoo.data.midi import read_midi
from zoo.data.sizes import LOOK, look_of
from zoo.data.sound import read_wav
from zoo.data.source import Source
from zoo.data.sources import arrays, sequences, tables
from zoo.data.sources.folder import TAKEN, Files, files_of, is_pattern, kind_of
from zoo.data.sources.named import Named
from zoo.data.sources.pictures import Pictures, read_picture
from zoo.data.sources.records import Records
from zoo.data.spec import LENGTH
from zoo.data.tfds.catalogue import DATASETS, list_datasets
from zoo.errors import InvalidInput, check_positive, nearest
from zoo.quiet import say_once

SETTINGS = ("frame", "rate", *LOOK, "column")  # arguments of `load_dataset` that presets and cards keep
READERS = {"pictures": read_picture, "sounds": read_wav, "piano rolls": read_midi, "tables": tables.read_table}


def open_source(
    thing,
    *,
    labels=False,
    data_dir=None,
    frame=None,
    rate=None,
    size=None,
    color=None,
    fit=None,
    column=None,
    like=None,
    skip_bad=False,
) -> Source:
    """A `Source` of whatever people have: see `load_dataset` for what is taken, and for the arguments.

    Args:
        labels: whether y is wanted; of a table also the name of its column.
        like: None, or the data of a card or a run, whose settings hold where nothing else is said, and whose names of
            columns and classes mean what they meant there.
        skip_bad: leave out the files of a folder that cannot be read, and say which, instead of stopping.

    Raises:
        InvalidInput: what is none of these, in one line that says what it was taken for and what is taken; columns and
            classes of `like` that it lacks.
    """
    of_files = isinstance(thing, (str, os.PathLike)) and (is_pattern(thing) or Path(thing).expanduser().is_dir())
    if skip_bad and not of_files:
        raise InvalidInput("skip_bad leaves out files of a folder or pattern that cannot be read: there are none here")
    skip_bad = of_files and (skip_bad or (like or {}).get("skip_bad", False))
    given = {"data_dir": data_dir, "frame": frame, "rate": rate, "size": size, "color": color, "fit": fit}
    given = {name: value for name, value in {**given, "column": column}.items() if value is not None}
    if thing is None:
        raise InvalidInput("the card names no data that are here: name yours, by --dataset or --input")
    inherited = settings_of(like or {})
    if given.keys() & set(LOOK):
        inherited = {name: value for name, value in inherited.items() if name not in LOOK}
    asked = {**inherited, **given}
    for name in ("frame", "rate"):
        if asked.get(name) is not None:
            check_positive(**{name: asked[name]})
    look = look_of(*(asked.get(part) for part in LOOK))
    said = repr(str(thing)) if isinstance(thing, (str, os.PathLike)) else f"this {type(thing).__name__}"
    by_position = like is not None and like.get("division", "position") == "position"
    found = _opened(thing, said, labels, {**asked, "look": look}, like, skip_bad, by_position)
    of_card = bool(like) and str(like.get("name")) == str(thing)
    refuse_settings(found, said, asked if of_card else given)
    if of_card and like.get("fingerprint", found.fingerprint()) != found.fingerprint():
        say_once(f"{said} is not what it was: {like.get('rows')} rows when the model was trained, {found.count} now")
    return found.labelled(labels).say_left_out()


def settings_of(data):
    """The arguments of `load_dataset` that the data of a preset or card name beside source and split."""
    return {key: data[key] for key in SETTINGS if data.get(key) is not None}


def _opened(thing, said, labels, asked, like, skip_bad, by_position):
    """The source of a thing, whatever it is."""
    frame, rate, look, column = (asked.get(name) for name in ("frame", "rate", "look", "column"))
    of_table = {"labels": labels, "column": column, "look": look, "like": like}
    if not isinstance(thing, (str, os.PathLike)):
        if (
            isinstance(thing, dict)
            and thing
            and "x" not in thing
            and all(tables.package_of(part) for part in thing.values())
        ):
            return tables.in_memory(thing, said, **of_table)
        if tables.package_of(thing):
            return tables.in_memory(thing, said, **of_table)
        x = thing.get("x") if isinstance(thing, dict) else thing
        if sequences.is_list(x) or (isinstance(thing, dict) and LENGTH in thing):
            return sequences.of_arrays(thing, frame, said)
        return looked(arrays.in_memory(thing, said), look)
    if isinstance(thing, str) and thing in DATASETS:  # a path of that name is a path
        return Named(thing, asked.get("data_dir"), frame, rate, look)
    path = Path(thing).expanduser()
    if not is_pattern(thing) and path.suffix in arrays.ARRAYS and path.is_file():
        found = arrays.read_arrays(path)
        if isinstance(found, dict) and LENGTH in found:
            return sequences.of_arrays(found, frame, said, True, by_position)
        return looked(arrays.of_file(found, said, by_position), look)
    streamed = is_pattern(thing)
    if streamed or path.is_dir():
        files = files_of(thing, said, by_position)
    elif path.is_file() and kind_of(path.name):
        files = Files(
            str(path.parent), kind_of(path.name), [path.name], np.array([-1], "int32"), None, None, [], alone=True
        )
    else:
        raise InvalidInput(refusal(thing, path, said, asked.get("data_dir")))
    files = without_bad(files, said) if skip_bad else files
    if like and like.get("classes") and files.classes:
        files = numbered_as(files, like["classes"], labels, said)
    if files.kind == "records":
        return Records(files, said, look, column, by_position)
    if files.kind == "tables":
        return tables.of_files(files, said, by_position, **of_table)
    if files.kind == "pictures":
        return Pictures(files, said, look, streamed, by_position)
    return sequences.SequenceFiles(files, said, frame, rate, by_position)


def check_taken(thing):
    """Raise `InvalidInput` for a name or path that `open_source` would refuse, without opening it."""
    path = Path(thing).expanduser()
    is_data = path.is_file() and (path.suffix in arrays.ARRAYS or kind_of(path.name))
    if not (is_data or thing in DATASETS or is_pattern(thing) or path.is_dir()):
        raise InvalidInput(refusal(thing, path, repr(str(thing))))


def refusal(thing, path, said, data_dir=None):
    """Why a name or path is nothing that is taken."""
    if path.is_file():
        return f"{said} is none of .npy, .npz, {TAKEN} files, and no folder"
    if isinstance(thing, str) and not path.suffix and os.sep not in thing:
        return f"unknown data set {thing!r}; {nearest(thing, list_datasets(data_dir))}"
    return f"there is no file or folder {said}"


def looked(source, look):
    """Arrays whose pictures are as a look has them."""
    if look:
        source.fields = {**source.fields, "x": look.apply_to_all(source.fields["x"], source.said)}
    return source


def numbered_as(files, classes, labels, said):
    """Files whose classes have the numbers that they have in a list of names; -1 where they are not in it."""
    unknown = [name for name in files.classes if name not in classes]
    if unknown and labels:
        raise InvalidInput(
            f"{said} has a class {unknown[0]!r}, which the model does not know; {nearest(unknown[0], classes)}"
        )
    number = {name: place for place, name in enumerate(classes)}
    numbers = np.array([number.get(name, -1) for name in files.classes], "int32")
    return files._replace(labels=np.where(files.labels < 0, -1, numbers[files.labels]), classes=list(classes))


def without_bad(files, said):
    """Those files that can be read."""
    if files.kind == "records":
        raise InvalidInput(f"skip_bad leaves out files of a folder, and {said} holds records: all of a file, or none")
    bad = {}
    for name, path in zip(files.names, files.paths, strict=True):
        try:
            READERS[files.kind](Path(path))
        except InvalidInput as error:
            bad[name] = str(error)
    if len(bad) == len(files.names):
        raise InvalidInput(f"none of the {len(bad)} files of {said} can be read: {next(iter(bad.values()))}")
    if not bad:
        return files
    names = "; ".join(list(bad.values())[:3]) + (" ..." if len(bad) > 3 else "")
    kept = files.take(np.array([name not in bad for name in files.names]))
    return kept._replace(left_out=[*kept.left_out, f"{len(bad)} of {len(files.names)} that cannot be read: {names}"])


def refuse_settings(found, said, given):
    """Raise `InvalidInput` for a setting that is given and has no effect on this kind of source."""
    sound = found.sequential and (found.rate is not None or found.kind == "waveforms")
    if found.sequential and (named := [name for name in (*LOOK, "column") if name in given]):
        raise InvalidInput(f"size, color, fit and column are not for sequences, as in {said}: leave out {named[0]}")
    if not sound and (named := [name for name in ("frame", "rate") if name in given]):
        raise InvalidInput(f"{named[0]} is for waveforms, and {said} has none: leave it out")
    if "rate" in given and found.rate is None:
        raise InvalidInput("arrays have no sampling rate to be compared with: leave out rate")
    if "column" in given and not isinstance(found, (Records, tables.Cells)):
        raise InvalidInput(f"column is for tables with named columns, and {said} is none")
