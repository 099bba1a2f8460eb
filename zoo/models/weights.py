"""Weights as the bytes of a Keras .weights.h5 file: made in memory, and checked whole before any is taken over.

HDF5 cannot close a file on a full disk and takes the process down at its end, so it never sees one.
"""

import collections
import contextlib
import io
import math
import pathlib

import h5py
import keras
import numpy as np

from zoo.errors import InvalidInput
from zoo.files import LARGEST_FILE, opened_zip, sha256, write_bytes
from zoo.models.saving import check_whole

MOST_OBJECTS = 20_000  # groups and tensors of a file
SPARE, STATES = 2**24, 8  # bytes of a .keras file beside its weights, and how often it may hold them: the optimiser's
INSIDE = "model.weights.h5"  # of a .keras file


class WeightsFile(io.BytesIO):
    """The bytes of a weights file. Keras finds the format by the name, which is what it prints as."""

    def __str__(self):
        return INSIDE


def save_weights(model, filepath, overwrite=True, **kwargs):
    """Keras' `save_weights`; a .weights.h5 file is made in memory, and appears whole."""
    check_whole(model)
    path = str(filepath)
    if not path.endswith(".weights.h5") or "://" in path or (pathlib.Path(path).exists() and not overwrite):
        return keras.Model.save_weights(model, filepath, overwrite, **kwargs)
    return write_bytes(path, weights_bytes(model))


def load_weights(model, filepath, skip_mismatch=False, **kwargs):
    """Keras' `load_weights`; what does not fit, or is not finite, is refused before any weight is taken over.

    Raises:
        InvalidInput: with the name of the file and of the tensor.
    """
    path = str(filepath)
    if not path.endswith((".weights.h5", ".keras")) or "://" in path or skip_mismatch or kwargs:
        return keras.Model.load_weights(model, filepath, skip_mismatch, **kwargs)
    most = min(LARGEST_FILE, SPARE + STATES * 4 * sum(math.prod(weight.shape) for weight in model.weights))
    return take_weights(model, read_weights(path, most), path)


def weights_bytes(model):
    """The content of a .weights.h5 file.

    Raises:
        InvalidInput: a weight is not finite.
    """
    check_whole(model)
    for weight in model.weights:
        if not np.isfinite(weight.numpy().astype("float64")).all():
            raise InvalidInput(f"the weight {weight.path} holds NaN or infinity: such a model is not saved")
    file = WeightsFile()
    keras.Model.save_weights(model, file)
    return file.getvalue()


def take_weights(model, content, source):
    """Take over the weights of a .weights.h5 file's content, once all of them are known to fit.

    Raises:
        InvalidInput: with the name of the file, `source`, and of the tensor.
    """
    check_fit(tensors(content, source), tensors(weights_bytes(model), "the model"), source)
    theirs = digests(content, source)
    before = [weight.numpy() for weight in model.weights]
    try:
        with reading(source):
            keras.Model.load_weights(model, WeightsFile(content))
        for name, digest in expected(digests(weights_bytes(model), source), theirs).items():
            if digest not in theirs.values():
                raise InvalidInput(f"{source} does not fit the model: it lacks {name}")
    except InvalidInput:
        for weight, value in zip(model.weights, before, strict=True):
            weight.assign(value)
        raise


def check_fit(theirs, ours, source):
    """Raise `InvalidInput` unless a file has a tensor of the shape and dtype of each of the model's.

    Not by name: a layer that has two places in a model may be in a file under either.
    """
    ours = expected(ours, theirs)
    spare = collections.Counter(theirs.values())
    spare.subtract(ours.values())
    for name, kind in ours.items():
        if spare[kind] < 0:
            found = described(*theirs[name]) if name in theirs else "nothing"
            raise InvalidInput(f"{source} does not fit the model: {name} is {described(*kind)}, the file has {found}")


def expected(ours, theirs):
    """What a file has to hold of a model: not the optimiser, which Keras leaves where it does not fit.

    Nor the weight of the classification, which files of earlier versions do not have.
    """
    return {
        name: value
        for name, value in ours.items()
        if "optimizer/" not in name and (name in theirs or not name.endswith("classification/vars/0"))
    }


def described(shape, kind):
    """A tensor's kind as "float32 [8, 6]"."""
    return f"{kind} {list(shape)}"


@contextlib.contextmanager
def reading(source):
    """Whatever HDF5 and Keras say of a damaged file becomes `InvalidInput`."""
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"{source} cannot be read as weights: {error}") from error


def read_weights(path, most=LARGEST_FILE):
    """The bytes of a .weights.h5 file, or of that inside a .keras file, where it is of at most so many."""
    path = pathlib.Path(path)
    with reading(path):
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path} is no plain file")
        if path.stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{path} is larger than the {LARGEST_FILE // 2**30} GB that are read")
        if path.suffix != ".keras":
            return path.read_bytes()
        with open(path, "rb") as file, opened_zip(file, path) as archive:
            if (size := archive.getinfo(INSIDE).file_size) > most:
                raise InvalidInput(f"{INSIDE} in {path} has {size:,} bytes; at most {most:,} are read for this model")
            return archive.read(INSIDE)


def tensors(content, source):
    """Name -> (shape, dtype) of the tensors in a .weights.h5 file, from its headers alone.

    Raises:
        InvalidInput: the file is none, links elsewhere, or claims more numbers than its bytes hold.
    """
    with reading(source), h5py.File(io.BytesIO(content)) as file:
        found, groups, seen = {}, [("", file)], {h5py.h5o.get_info(file.id).addr}
        while groups:
            place, group = groups.pop()
            for key in group:
                name = f"{place}{key}"
                if len(seen) > MOST_OBJECTS:
                    raise InvalidInput(f"{source} is no weights file: it holds more than {MOST_OBJECTS} objects")
                if group.get(key, getclass=True, getlink=True) is not h5py.HardLink or name.count("/") > 100:
                    raise InvalidInput(f"{source} is no weights file: {name} is a link")
                before, address = len(seen), h5py.h5o.get_info(group[key].id).addr
                seen.add(address)
                if len(seen) == before:
                    raise InvalidInput(f"{source} is no weights file: {name} has another name too")
                if isinstance(group[key], h5py.Group):
                    groups.append((f"{name}/", group[key]))
                else:
                    found[name] = header(group[key], name, source)
        if sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in found.values()) > len(content):
            raise InvalidInput(f"{source} claims more numbers than it holds")
        return found


def stored_numbers(content, source):
    """How many numbers a .weights.h5 file holds, by its headers."""
    return sum(math.prod(shape) for shape, _ in tensors(content, source).values())


def header(dataset, name, source):
    """(shape, dtype) of a data set that lies in the file as Keras writes it: in one piece, not compressed."""
    if dataset.shape is None or dataset.dtype.kind not in "biufV" or dataset.dtype.hasobject:
        raise InvalidInput(f"{source} is no weights file: {name} holds no numbers")
    if dataset.chunks or dataset.is_virtual or dataset.external:
        raise InvalidInput(f"{source} is no weights file of Keras: {name} is not stored in one piece")
    return tuple(dataset.shape), str(dataset.dtype)


def digests(content, source):
    """Name -> SHA-256 of the tensors in a .weights.h5 file.

    Raises:
        InvalidInput: one of them holds NaN or infinity.
    """
    found = {}
    with reading(source), h5py.File(io.BytesIO(content)) as file:
        for name in tensors(content, source):
            values = file[name][()]
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise InvalidInput(f"the tensor {name} of {source} holds NaN or infinity")
            found[name] = sha256(values.tobytes())
    return found
