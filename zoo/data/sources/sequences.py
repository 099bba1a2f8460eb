"""Sequences of any lengths: MIDI and WAV files, lists of arrays, or padded arrays."""

import numpy as np

from zoo.data.division import divided, parts_of_rows, whole
from zoo.data.midi import read_midi
from zoo.data.sound import read_wav, scaled
from zoo.data.source import Sequences, Source
from zoo.data.spec import LABELS, LENGTH
from zoo.errors import InvalidInput

FRAME = 200  # samples


class SequenceFiles(Source):
    """MIDI or WAV files; a waveform is cut into frames."""

    sequential = True

    def __init__(self, files, said, frame=None, rate=None, by_position=False):
        rows_of = files.rows_of(said, by_position)
        there = bool(len(files.labels)) and files.labels.min() >= 0
        known = {"names": files.names, "classes": files.classes if there else None, "left_out": files.left_out}
        division = None if by_position or files.parts is not None else "name"
        super().__init__(said, files.kind, len(files.names), rows_of, has_labels=there, division=division, **known)
        self.paths, self.numbers, self.frame = np.array(files.paths), files.labels, frame or FRAME
        if files.kind == "sounds":
            self.rate = rate or read_wav(min(self.paths))[1]

    def select(self, rows):
        self.paths, self.numbers = self.paths[rows], self.numbers[rows]

    def in_memory(self):
        read = read_midi if self.rate is None else lambda path: read_wav(path, self.rate)[0]
        arrays = [read(path) for path in self.paths]
        beside = {LABELS: self.numbers} if self.has_labels else {}
        said = [repr(str(path)) for path in self.paths]
        return self.loaded(joined(arrays, self.frame, beside, said, self.said, self.kind, self.rows_of))

    def arrays(self):
        return self.in_memory().arrays()


def of_arrays(arrays, frame, said, in_file=False, by_position=False):
    """A source of a list of arrays, or of a dict with x, a list or padded [N, T, *features] with length [N]."""
    arrays = dict(arrays) if isinstance(arrays, dict) else {"x": arrays}
    x, lengths = arrays.pop("x", None), arrays.pop(LENGTH, None)
    if x is None:
        raise InvalidInput(f"arrays need a field 'x' with the sequences; got {sorted(map(str, arrays)) or 'none'}")
    if lengths is not None:
        lengths = np.asarray(lengths)
        if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
            raise InvalidInput(
                f"{LENGTH} must be a whole number a sequence, [{len(x)}]; got {lengths.dtype} {list(lengths.shape)}"
            )
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
    rows_of = whole("arrays")
    if in_file:
        rows_of = divided(said, len(x), lambda: parts_of_rows([len(x)]), by_position)
    found = joined(x, frame or FRAME, beside, None, said, "waveforms" if is_sound(x) else "sequences", rows_of)
    found.division = "name" if in_file and not by_position else None
    return found


def is_list(value):
    """Whether a value is a list of sequences: arrays [T, features], or of several lengths."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    shapes = [np.shape(one) if hasattr(one, "shape") else None for one in value]
    return None not in shapes and (len(shapes[0]) == 2 or len({shape[:1] for shape in shapes}) > 1)


def is_sound(x):
    """Whether sequences are waveforms [samples]."""
    return is_list(x) and np.ndim(x[0]) == 1


def unpadded(x, lengths):
    """The sequences [length, *features] of x [N, T, *features]."""
    if x.ndim < 3:
        raise InvalidInput(f"padded sequences are x [N, T, features], got {list(x.shape)}")
    for row in np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))[:1]:
        raise InvalidInput(f"{LENGTH} is {lengths[row]} in row {row}, but x has 1 to {x.shape[1]} steps")
    return [one[:length] for one, length in zip(x, lengths, strict=True)]


def joined(arrays, frame, beside, names, said, kind, rows_of):
    """`Sequences` of arrays [T, *features], or of waveforms [samples], checked one by one."""
    if not len(arrays):
        raise InvalidInput("there are no sequences")
    parts = []
    for number, array in enumerate(arrays):
        name = names[number] if names else f"sequence {number}"
        part = checked(array, frame, name)
        if parts and part.shape[1:] != parts[0].shape[1:]:
            first, other = list(parts[0].shape[1:]), list(part.shape[1:])
            raise InvalidInput(f"{name} has steps of shape {other}, but those before have {first}")
        parts.append(part)
    lengths = np.array([len(part) for part in parts], "int32")
    return Sequences(np.concatenate(parts), lengths, beside, said, kind, rows_of)


def checked(array, frame, said):
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
        frames = len(array) // frame * frame
        return scaled(array[:frames], said).reshape(-1, frame)
    return array if array.dtype == np.uint8 else array.astype("float32")
