"""MIDI files in and out, as piano rolls: 88 keys, MIDI notes 21 (A0) to 108 (C8), and a frame a quarter note."""

import numpy as np

from zoo.data.sound import TEMPO, strokes
from zoo.errors import InvalidInput, reason
from zoo.files import atomic

MIDI = (".mid", ".midi")
LOWEST, KEYS = 21, 88
LONGEST = 100_000  # frames
_DRUMS = 9  # the channel whose notes are no pitches
_TICKS = 480  # a quarter note


def read_midi(path):
    """Piano roll uint8 [T, 88] of a MIDI file: 1 where a note sounds, a frame a quarter note, whatever the tempo.

    Notes begin and end at the nearest frame, and last one at least. Drums, and notes outside of the 88 keys, are left
    out. The roll lasts as long as the tracks do.

    Raises:
        InvalidInput: what is no whole MIDI file, holds no notes, or lasts longer than 100,000 quarter notes.
    """
    import mido

    try:
        file = mido.MidiFile(path)
        ticks = file.ticks_per_beat
        notes, last = _notes(file)
    except Exception as error:  # mido raises whatever a broken file makes it stumble over, OSError among it
        if getattr(error, "errno", None):
            raise InvalidInput(f"cannot read {str(path)!r}: {reason(error)}") from None
        why = "it ends early" if isinstance(error, EOFError) else reason(error)
        raise InvalidInput(f"{str(path)!r} is no whole MIDI file: {why}") from None
    if ticks <= 0:
        raise InvalidInput(f"{str(path)!r} counts time in seconds, not in quarter notes")
    if not notes:
        raise InvalidInput(f"{str(path)!r} has no notes between {LOWEST} and {LOWEST + KEYS - 1}")
    notes = [(note, round(start / ticks), round(stop / ticks)) for note, start, stop in notes]
    steps = max(round(last / ticks), *(max(stop, start + 1) for _, start, stop in notes))
    if steps > LONGEST:
        raise InvalidInput(f"{str(path)!r} lasts {steps} quarter notes, more than the {LONGEST} that are read")
    roll = np.zeros((steps, KEYS), "uint8")
    for note, start, stop in notes:
        roll[start : max(stop, start + 1), note - LOWEST] = 1
    return roll


def _notes(file):
    """([(note, first tick, tick after the last)], the last tick) of the tracks of a MIDI file."""
    notes, last = [], 0
    for track in file.tracks:
        tick, sounding = 0, {}
        for message in track:
            tick += message.time
            if message.type not in ("note_on", "note_off") or message.channel == _DRUMS:
                continue
            key = (message.channel, message.note)
            if key in sounding:
                notes.append((message.note, sounding.pop(key), tick))
            if message.type == "note_on" and message.velocity:
                sounding[key] = tick
        notes += [(note, start, tick) for (_, note), start in sounding.items()]
        last = max(last, tick)
    return [note for note in notes if LOWEST <= note[0] < LOWEST + KEYS], last


def write_midi(path, roll, tempo=TEMPO):
    """Write a piano roll [T, 88], above 0.5 where a note sounds, as a MIDI file: a frame a quarter note.

    A note that goes on is held. `read_midi` of the file gives the roll again.

    Args:
        tempo: quarter notes a minute.
    """
    import mido

    roll = np.asarray(roll) > 0.5
    if roll.ndim != 2 or roll.shape[1] != KEYS:
        raise InvalidInput(f"a piano roll is [T, {KEYS}], got {list(roll.shape)}")
    events = [(stop, 0, note) for note, _, stop in strokes(roll)] + [
        (start, 1, note) for note, start, _ in strokes(roll)
    ]
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo), time=0)])
    now = 0
    for frame, begins, note in sorted(events):
        kind = "note_on" if begins else "note_off"
        track.append(mido.Message(kind, note=note, velocity=80 if begins else 0, time=(frame - now) * _TICKS))
        now = frame
    track.append(mido.MetaMessage("end_of_track", time=(len(roll) - now) * _TICKS))
    with atomic(path) as temporary:
        mido.MidiFile(ticks_per_beat=_TICKS, tracks=[track]).save(temporary)
