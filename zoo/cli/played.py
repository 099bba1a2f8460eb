"""What `zoo sample` and `zoo continue` write of models of music and sound: MIDI and WAV files."""

import numpy as np

from zoo.cli.arrays import saying
from zoo.errors import InvalidInput

PLAYED = (".mid", ".midi", ".wav")
LOUDEST = 0.5  # of full scale: what a peak is turned down to, never up
REST = 2  # frames between draws of music; in sound half a second


def check_played(path):
    """Raise `InvalidInput` unless a file's name ends as those that can be played do."""
    if path.suffix.lower() not in PLAYED:
        raise InvalidInput(f"--output is a file that ends in {', '.join(PLAYED)}, got {str(path)!r}")


def check_format(subject, path):
    """Raise `InvalidInput` where a model of sound is asked for notes."""
    if path.suffix.lower() != ".wav" and not subject.is_music:
        raise InvalidInput(f"{subject.card['name']} is no model of 88 notes: --output is a file that ends in .wav")


def write_played(path, subject, sequences, what):
    """Write sequences [T, *features], one after another, as notes or as sound, and say `what` they are."""
    from zoo.data import synthesize, write_midi, write_wav
    from zoo.data.sound import RATE

    rate, roll = RATE, joined(sequences, REST) if subject.is_music else None
    if path.suffix.lower() != ".wav":
        with saying(path, what):
            return write_midi(path, roll)
    if roll is None:
        rate = subject.rate
        samples = joined([s.reshape(-1) for s in sequences], rate // 2)
    else:
        samples = synthesize(roll)
    peak = float(np.abs(samples).max())
    quieter = f"; its peak, {peak:.2g}, is turned down to {LOUDEST:g} of full scale" if peak > LOUDEST else ""
    with saying(path, f"{what}{quieter}"):
        return write_wav(path, samples * min(1.0, LOUDEST / max(peak, 1e-9)), rate)


def joined(sequences, rest):
    """One array of sequences [T, ...], with `rest` steps of zeros between them."""
    silence = np.zeros((rest, *sequences[0].shape[1:]), sequences[0].dtype)
    parts = [part for sequence in sequences for part in (silence, sequence)]
    return np.concatenate(parts[1:])


def write_draws(subject, path, count, seed, mean, length):
    """Write draws of a model of music or sound, and say so."""
    subject.model.require("a .mid or .wav file", ["steps"])
    check_format(subject, path)
    drawn = np.asarray(subject.model.sample(count, seed=seed, mean=mean, length=length))
    pieces = f"{count} draws" if count > 1 else "a draw"
    write_played(path, subject, list(drawn), f"{pieces} of {drawn.shape[1]} frames from {subject.card['name']}")
