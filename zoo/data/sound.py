"""Sound: WAV files in and out, and piano rolls made audible."""

import io
import pathlib
import warnings

import numpy as np

from zoo.errors import InvalidInput, reason
from zoo.files import atomic
from zoo.quiet import say_once

RATE = 22_050  # samples a second of a roll that is played
TEMPO = 120  # quarter notes, which are frames, a minute
OPEN = 0x7FFFF000  # a size from which on it is that of a pipe, whose end the writer did not know
LOUDEST = 2.0  # of floats: what is louder is not on the scale of -1..1
_PARTIALS = 6


def read_wav(path, rate=None):
    """(samples float32 [T] in [-1, 1], samples a second) of a mono WAV file.

    Raises:
        InvalidInput: what is no whole WAV file, several channels, no samples, or another rate than the one asked for.
    """
    samples, found = wave_at(path, path, rate)
    return scaled(samples, repr(str(path))), found


def scaled(samples, said):
    """float32 in [-1, 1] of waveforms as WAV files store them: floats, int16, int32, or uint8 around 128.

    Raises:
        InvalidInput: another dtype, or floats that are not on the scale of -1..1.
    """
    if samples.dtype.kind == "f":
        loudest = float(np.abs(samples).max(initial=0))
        if loudest > LOUDEST:
            raise InvalidInput(
                f"{said} holds floats up to {loudest:g}: samples are in -1..1, divide those of 16 bits by 32768"
            )
        if loudest > 1:
            say_once(f"{said} is louder than 1, up to {loudest:.3g}: it is taken as it is")
        return samples.astype("float32")
    if samples.dtype == np.uint8:
        return (samples.astype("float32") - 128) / 128
    if samples.dtype not in (np.int16, np.int32):
        raise InvalidInput(f"{said} holds {samples.dtype}: samples are floats in -1..1, int16, int32 or uint8")
    if samples.dtype == np.int32 and 0 < np.abs(samples.astype("int64")).max(initial=0) <= 32768:
        raise InvalidInput(f"{said} holds int32 at the scale of 16 bits: pass int16")
    return (samples / -float(np.iinfo(samples.dtype).min)).astype("float32")


def wave(stream, name, rate):
    """The stored numbers [T] of a mono WAV file of that rate; `name` is what errors call it."""
    return wave_at(stream, name, rate)[0]


def wave_at(stream, name, rate=None):
    """(stored numbers [T], samples a second) of a WAV file, of its path or a stream."""
    from scipy.io import wavfile

    try:
        content = stream.read() if hasattr(stream, "read") else pathlib.Path(stream).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)  # of files that end early
            warnings.filterwarnings("ignore", "Chunk .* not understood", wavfile.WavFileWarning)
            found, samples = wavfile.read(io.BytesIO(mended(content)))
    except OSError as error:
        raise InvalidInput(f"cannot read {str(name)!r}: {reason(error)}") from None
    except Exception as error:  # SciPy's reader raises whatever a broken file makes it stumble over
        raise InvalidInput(f"{str(name)!r} is no whole WAV file: {reason(error)}") from None
    if samples.ndim != 1:
        raise InvalidInput(f"{str(name)!r} has {samples.shape[1]} channels, one is taken: mix them down first")
    if not len(samples):
        raise InvalidInput(f"{str(name)!r} holds no samples")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise InvalidInput(f"{str(name)!r} has samples that are NaN or infinite")
    if rate is not None and found != rate:
        raise InvalidInput(f"{str(name)!r} has {found} samples a second, {rate} are taken: resample it first")
    return samples, found


def mended(content):
    """The bytes of a WAV file with the size of its data, which programs leave open that write to a pipe.

    A size of 0 or 0xFFFFFFFF then stands for all that follows. What is behind the data is left out.
    """
    place, fmt = 12, b""
    while content[:4] == b"RIFF" and place + 8 <= len(content):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        start = place + 8
        if name == b"fmt ":
            fmt = content[place : start + size]
        if name == b"data" and len(fmt) >= 24:
            rest = len(content) - start
            if size == 0 and content[start : start + 4] in (b"LIST", b"id3 ", b"fact"):
                return content  # there are no samples
            if size == 0 or (size >= OPEN and size > rest):
                width = max(1, int.from_bytes(fmt[20:22], "little"))  # bytes of a sample of all channels
                size = rest // width * width
            if size > rest:
                return content  # it ends early, as its reader says
            head = b"WAVE" + fmt + b"data" + size.to_bytes(4, "little")
            body = content[start : start + size] + b"\0" * (size % 2)
            return b"RIFF" + (len(head) + len(body)).to_bytes(4, "little") + head + body
        place = start + size + size % 2
    return content


def write_wav(path, samples, rate):
    """Write samples [T] in [-1, 1] as 16-bit mono; where some lie beyond, all are turned down, and none clipped."""
    from scipy.io import wavfile

    samples = np.asarray(samples)
    whole = np.round(samples / max(1.0, np.abs(samples).max(initial=0.0)) * 32767).astype("int16")
    with atomic(path) as temporary:
        wavfile.write(temporary, rate, whole)


def synthesize(roll, rate=RATE, tempo=TEMPO):
    """Samples float32 [T'] in [-1, 1] of a piano roll [T, 88]: each note a sum of decaying partials.

    A frame is a quarter note. A note that goes on is struck once, and rings for a quarter note after its last frame.
    """
    roll = np.asarray(roll) > 0.5
    frame = round(60 / tempo * rate)
    out = np.zeros((len(roll) + 1) * frame)
    for note, start, stop in strokes(roll):
        place = np.arange((stop - start + 1) * frame)
        tone = struck(440 * 2 ** ((note - 69) / 12), place / rate, rate)
        tone *= np.minimum(1, np.minimum((place + 1) / (0.005 * rate), (len(place) - place) / frame))
        out[start * frame : start * frame + len(place)] += tone
    return (out / max(1.0, np.abs(out).max()) * 0.9).astype("float32")


def struck(frequency, seconds, rate):
    """A tone that is struck at 0: partials 1, 2, ... below half the rate, the higher the softer and the shorter."""
    tone = np.zeros(len(seconds))
    for partial in range(1, _PARTIALS + 1):
        if partial * frequency < rate / 2:
            decay = np.exp(-seconds * (1 + 0.7 * partial) * (frequency / 261.6) ** 0.5)
            tone += decay * np.sin(2 * np.pi * partial * frequency * seconds) / partial**1.5
    return 0.25 * tone


def strokes(roll):
    """[(MIDI note, first frame, frame after the last)] of a roll [T, 88], in the order in which they begin."""
    edges = np.diff(np.pad(roll.astype("int8"), ((1, 1), (0, 0))), axis=0)
    found = []
    for key in range(roll.shape[1]):
        starts, stops = np.flatnonzero(edges[:, key] == 1), np.flatnonzero(edges[:, key] == -1)
        found += [(21 + key, int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
    return sorted(found, key=lambda note: (note[1], note[0]))
