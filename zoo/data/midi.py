"""MIDI files in and out, as piano rolls: 88 keys, MIDI notes 21 (A0) to 108 (C8), and a frame a quarter note."""

import numpy as np

from zoo.data.sound import TEMPO, strokes
from zoo.errors import InvalidInput, reason
from zoo.files import atomic

LOWEST, KEYS = 21, 88
LONGEST = 100_000  # frames
LONGEST_NUMBER, END_OF_TRACK = 5, 0x2F  # bytes; a meta event
_DRUMS = 9  # the channel whose notes are no pitches
_TICKS = 480  # a quarter note, of what is written


def read_midi(path):
    """Piano roll uint8 [T, 88] of a MIDI file: 1 where a note sounds, a frame a quarter note, whatever the tempo.

    Notes begin and end at the nearest frame, and last one at least. Drums, and notes outside of the 88 keys, are left
    out. The roll lasts as long as the tracks do.

    What players pass over is passed over: unknown chunks and meta events, bytes beyond 127.

    Raises:
        InvalidInput: what is no MIDI file, or has no notes, several patterns (type 2) or over 100,000 quarter notes.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {reason(error)}") from None
    try:
        form, ticks, notes, last = _notes(content)
    except (IndexError, ValueError) as error:
        why = "it ends early" if isinstance(error, IndexError) else reason(error)
        raise InvalidInput(f"{str(path)!r} is no whole MIDI file: {why}") from None
    if form == 2:
        raise InvalidInput(f"{str(path)!r} holds patterns of their own (type 2): save each as a file")
    if not 0 < ticks < 2**15:
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


def _notes(content):
    """(type, ticks a quarter note, [(note, first tick, tick after the last)], the last tick) of a MIDI file's bytes."""
    if not content[:4] == b"MThd"[: len(content)]:
        raise ValueError("it does not begin as one")
    if len(content) < 14:
        raise IndexError
    form, _, ticks = (int.from_bytes(content[place : place + 2], "big") for place in (8, 10, 12))
    place, notes, last = 8 + int.from_bytes(content[4:8], "big"), [], 0
    while place + 8 <= len(content):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "big")
        place += 8
        if name == b"MTrk":
            if place + size > len(content):
                raise IndexError
            found, end = _notes_of_track(content[place : place + size])
            notes, last = notes + found, max(last, end)
        place += size
    return form, ticks, [note for note in notes if LOWEST <= note[0] < LOWEST + KEYS], last


def _notes_of_track(track):
    """([(note, first tick, tick after the last)], the last tick) of the events of a track."""
    place, tick, status, notes, sounding = 0, 0, 0, [], {}

    def number():
        """What a variable number of bytes of seven bits stands for."""
        nonlocal place
        value = 0
        for _ in range(LONGEST_NUMBER):
            value, place = value << 7 | track[place] & 127, place + 1
            if track[place - 1] < 128:
                return value
        raise ValueError("a number has too many bytes")

    while place < len(track):
        tick += number()
        event = status
        if track[place] >= 128:
            event, place = track[place], place + 1
            status = event if event < 0xF0 else status  # what others say does not end a running status
        if event in (0xFF, 0xF0, 0xF7):  # a meta event, which has a type, or a system's
            if event == 0xFF and track[place] == END_OF_TRACK:
                break
            place += event == 0xFF
            size = number()
            place += size
            continue
        if event >= 0xF0:
            place += {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(event, 0)
            continue
        if status < 128:
            raise ValueError("an event has no status")
        kind, channel = status >> 4, status & 15
        note, velocity = track[place], track[place + 1] if kind not in (0xC, 0xD) else 0
        place += 1 + (kind not in (0xC, 0xD))
        if kind not in (8, 9) or channel == _DRUMS:
            continue
        if (channel, note) in sounding:
            notes.append((note, sounding.pop((channel, note)), tick))
        if kind == 9 and velocity:
            sounding[channel, note] = tick
    return notes + [(note, start, tick) for (_, note), start in sounding.items()], tick


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
