"""What `zoo sample` and `zoo continue` write of models of music and sound: MIDI and WAV files."""

import numpy as np
import typer

from zoo.errors import InvalidInput

PLAYED = (".mid", ".midi", ".wav")
REST = 2  # frames between draws of music; in sound half a second


def check_played(path):
    """Raise `InvalidInput` unless a file's name ends as those that can be played do."""
    if path.suffix.lower() not in PLAYED:
        raise InvalidInput(f"--output is a file that ends in {', '.join(PLAYED)}, got {str(path)!r}")


def check_format(subject, path):
    """Raise `InvalidInput` where a model of sound is asked for notes."""
    if path.suffix.lower() != ".wav" and not subject.is_music:
        raise InvalidInput(f"{subject.card['name']} is no model of 88 notes: --output is a file that ends in .wav")


def write_played(path, subject, sequences):
    """Write sequences [T, *features], one after another, as notes or as sound."""
    from zoo.data import synthesize, write_midi, write_wav
    from zoo.data.sound import RATE

    if not subject.is_music:
        rate = subject.rate
        return write_wav(path, joined([s.reshape(-1) for s in sequences], rate // 2), rate)
    roll = joined(sequences, REST)
    return write_wav(path, synthesize(roll), RATE) if path.suffix.lower() == ".wav" else write_midi(path, roll)


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
    write_played(path, subject, list(drawn))
    typer.echo(f"wrote {path}: {count} of {drawn.shape[1]} frames")
