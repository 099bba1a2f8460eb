"""Sequences of any lengths: from a named data set, MIDI or WAV files, lists of arrays, or padded arrays."""

import contextlib
import functools
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data.catalogue import DATASETS, resolve_data_dir
from zoo.data.division import divided, files_of_split
from zoo.data.files import IMAGES, read_arrays
from zoo.data.midi import MIDI, read_midi
from zoo.data.prepare import read_sequences
from zoo.data.sizes import LOOK
from zoo.data.sound import SOUNDS, read_wav, scaled
from zoo.data.spec import LABELS, LENGTH
from zoo.errors import InvalidInput, check_positive, choose

FRAME = 200  # samples


class Sequences(NamedTuple):
    """Sequences of one kind, one behind the other."""

    frames: np.ndarray  # [sum of the lengths, *features]
    lengths: np.ndarray  # int32 [N]
    beside: dict  # name -> [N, ...]: labels and the like

    @property
    def offsets(self):
        """Where each begins, int64 [N]."""
        return np.cumsum(self.lengths, dtype="int64") - self.lengths

    def take(self, rows):
        """The sequences of these rows."""
        offsets = self.offsets
        parts = [self.frames[offsets[row] : offsets[row] + self.lengths[row]] for row in rows]
        return Sequences(np.concatenate(parts), self.lengths[rows], {k: v[rows] for k, v in self.beside.items()})

    def labelled(self, labels, said):
        """Without y, or with it where `labels` are asked for; `said` is what the source is called."""
        if labels and LABELS not in self.beside:
            raise InvalidInput(f"{said} has no labels: a folder has them as one sub-folder a class, a dict as y")
        return self._replace(beside={k: v for k, v in self.beside.items() if labels or k != LABELS})

    def padded(self):
        """{"x": float32 [N, T, *features], zeros behind each end; "length": int32 [N]; what else there is}."""
        inside = np.arange(self.lengths.max()) < self.lengths[:, None]
        x = np.zeros((*inside.shape, *self.frames.shape[1:]), "float32")
        x[inside] = self.frames
        return {"x": x, LENGTH: self.lengths, **self.beside}


def is_sequences(source):
    """Whether a source holds sequences, and not examples of one shape."""
    if isinstance(source, str) and source in DATASETS:
        return DATASETS[source].shape[0] is None
    if isinstance(source, dict):
        return LENGTH in source or is_list(source.get("x"))
    if not isinstance(source, (str, os.PathLike)):
        return is_list(source)
    path = Path(source).expanduser()
    if path.suffix == ".npz":
        with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:  # whoever reads it says what is wrong
            return f"{LENGTH}.npy" in archive.namelist()
        return False
    return bool(kind_of(path))


def is_list(value):
    """Whether a value is a list of sequences: arrays [T, features], or of several lengths."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    shapes = [np.shape(one) if hasattr(one, "shape") else None for one in value]
    return None not in shapes and (len(shapes[0]) == 2 or len({shape[:1] for shape in shapes}) > 1)


def is_sound(source):
    """Whether a source of sequences holds waveforms, which are cut into frames."""
    if isinstance(source, str) and source in DATASETS:
        return DATASETS[source].rate is not None
    if isinstance(source, (str, os.PathLike)):
        return kind_of(Path(source).expanduser()) == SOUNDS
    source = source.get("x") if isinstance(source, dict) else source
    return is_list(source) and source[0].ndim == 1


def kind_of(path):
    """The endings of the sequence files that a file is one of, or a folder has; None for other files and folders."""
    levels = ("*", "*/*", "*/*/*")  # of splits and classes
    found = {f.suffix.lower() for level in levels for f in path.glob(level)} if path.is_dir() else {path.suffix.lower()}
    kinds = [kind for kind in (MIDI, SOUNDS) if found & set(kind) and not found & set(IMAGES)]
    if len(kinds) > 1:
        raise InvalidInput(f"{str(path)!r} holds MIDI and WAV files: put them into folders of their own")
    return kinds[0] if kinds else None


def sampling_rate(source):
    """Samples a second of a data set or of WAV files, by the first of these; None of what is no sound."""
    if not isinstance(source, (str, os.PathLike)) or not is_sound(source):
        return None
    if source in DATASETS:
        return DATASETS[source].rate
    path = Path(source).expanduser()
    return read_wav(min(f for f in path.glob("**/*") if f.suffix.lower() in SOUNDS) if path.is_dir() else path)[1]


def source_settings(data):
    """The arguments of `load_dataset` that the data of a preset or card name beside source and split."""
    return {key: data[key] for key in ("data_dir", "frame", "rate", *LOOK, "column") if data.get(key) is not None}


def load_sequences(source, split="train", *, limit=None, data_dir=None, frame=None, rate=None):
    """One split of a source for which `is_sequences`, as `Sequences`; see `load_dataset` for the arguments."""
    sound = is_sound(source)
    for name, value in (("frame", frame), ("rate", rate)):
        if value is not None:
            check_positive(**{name: value})
            if not sound:
                raise InvalidInput(f"{name} is for waveforms, and these are none: leave it out")
    frame = frame or FRAME
    if isinstance(source, str) and source in DATASETS:
        sequences = _named(source, split, str(resolve_data_dir(data_dir)), frame)
        if rate not in (None, DATASETS[source].rate):
            raise InvalidInput(f"{source} has {DATASETS[source].rate} samples a second, {rate} are asked for")
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        sequences = _from_path(path, split, frame, rate)
    else:
        if split not in ("train", "all"):
            raise InvalidInput(f"arrays in memory have no split {split!r}: pass the part that is meant")
        if rate is not None:
            raise InvalidInput("arrays have no sampling rate to be compared with: leave out rate")
        sequences = _from_arrays(source, frame)
    if limit is None:
        return sequences
    check_positive(limit=limit)
    return sequences.take(np.arange(len(sequences.lengths))[:limit])


@functools.lru_cache(maxsize=12)
def _named(name, split, data_dir, frame):
    """Read-only sequences of a named data set; the cache holds whole splits."""
    expression, _ = choose(f"split of {name}:", split, DATASETS[name].parts)
    arrays = read_sequences(name, expression, data_dir)
    sequences = _joined(arrays.pop("x"), frame, arrays)
    for array in (sequences.frames, sequences.lengths, *sequences.beside.values()):
        array.setflags(write=False)
    return sequences


def _from_path(path, split, frame, rate):
    """Sequences of a folder of MIDI or WAV files, of one of them, or of an .npz file."""
    if path.suffix == ".npz":
        whole = _from_arrays(read_arrays(path), frame)
        return whole.take(np.arange(len(whole.lengths))[divided(path, split, len(whole.lengths))])
    kind = kind_of(path)
    if path.is_dir():
        names, labels = files_of_split(path, kind, split)
        files = [path / name for name in names]
    else:
        divided(path, split, 1)  # one file is no more than the whole
        files, labels = [path], np.array([-1], "int32")
    arrays = [read_midi(file) for file in files] if kind == MIDI else _waves(files, rate)
    return _joined(arrays, frame, {} if labels[0] < 0 else {LABELS: labels}, [repr(str(file)) for file in files])


def _waves(files, rate):
    """The samples of WAV files of one rate: the one asked for, or the first file's."""
    waves = []
    for file in files:
        samples, rate = read_wav(file, rate)
        waves.append(samples)
    return waves


def _from_arrays(arrays, frame):
    """Sequences of a list of arrays, or of a dict with x, a list or padded [N, T, *features] with length [N]."""
    arrays = dict(arrays) if isinstance(arrays, dict) else {"x": arrays}
    x, lengths = arrays.pop("x", None), arrays.pop(LENGTH, None)
    if x is None:
        raise InvalidInput(f"arrays need a field 'x' with the sequences; got {sorted(map(str, arrays)) or 'none'}")
    if lengths is not None:
        lengths = np.asarray(lengths)
        if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
            raise InvalidInput(f"{LENGTH} must be a whole number a sequence, [{len(x)}]; got {describe(lengths)}")
    if lengths is not None and not is_list(x):
        x = unpadded(np.asarray(x), lengths)
    x = [np.asarray(one) for one in x]
    if lengths is not None and (wrong := [i for i, one in enumerate(x) if len(one) != lengths[i]]):
        raise InvalidInput(f"sequence {wrong[0]} has {len(x[wrong[0]])} steps, but its {LENGTH} is {lengths[wrong[0]]}")
    beside = {name: np.asarray(values) for name, values in arrays.items()}
    for name, values in beside.items():
        if len(values) != len(x):
            raise InvalidInput(f"{name} has {len(values)} rows, but x has {len(x)} sequences")
        if values.dtype.kind not in "biuf":
            raise InvalidInput(f"{name} holds {values.dtype}, but numbers are needed")
        beside[name] = values.astype("float32" if values.dtype.kind == "f" else "int32")
    return _joined(x, frame, beside)


def describe(array):
    """The type and shape of an array, for a message."""
    return f"{array.dtype} {list(array.shape)}"


def unpadded(x, lengths):
    """The sequences [length, *features] of x [N, T, *features]."""
    if x.ndim < 3:
        raise InvalidInput(f"padded sequences are x [N, T, features], got {list(x.shape)}")
    for row in np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))[:1]:
        raise InvalidInput(f"{LENGTH} is {lengths[row]} in row {row}, but x has 1 to {x.shape[1]} steps")
    return [one[:length] for one, length in zip(x, lengths, strict=True)]


def _joined(arrays, frame, beside=None, names=None):
    """`Sequences` of arrays [T, *features], or of waveforms [samples], checked one by one."""
    if not len(arrays):
        raise InvalidInput("there are no sequences")
    parts = []
    for number, array in enumerate(arrays):
        said = names[number] if names else f"sequence {number}"
        part = _checked(array, frame, said)
        if parts and part.shape[1:] != parts[0].shape[1:]:
            first, other = list(parts[0].shape[1:]), list(part.shape[1:])
            raise InvalidInput(f"{said} has steps of shape {other}, but those before have {first}")
        parts.append(part)
    lengths = np.array([len(part) for part in parts], "int32")
    return Sequences(np.concatenate(parts), lengths, beside or {})


def _checked(array, frame, said):
    """One sequence [T, *features] of finite numbers: small whole ones as uint8, others as float32."""
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{said} holds {array.dtype}, but numbers are needed")
    if not array.ndim or not len(array):
        raise InvalidInput(f"{said} is empty: it has no steps")
    if not array.size:
        raise InvalidInput(f"{said} has steps of shape {list(array.shape[1:])}, which hold nothing")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        step = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))[0]
        raise InvalidInput(f"{said} has values that are NaN or infinite, first at step {step}")
    if array.ndim == 1:
        if len(array) < frame:
            raise InvalidInput(f"{said} has {len(array)} samples, fewer than a frame of {frame}")
        whole = len(array) // frame * frame
        return scaled(array[:whole], said).reshape(-1, frame)
    return array if array.dtype == np.uint8 else array.astype("float32")
