"""Music and sound: files in and out, what is refused, and what the command line writes."""

import pathlib
import struct

import mido
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from zoo.cli import continue_, pictures
from zoo.data import FieldSpec, load_arrays, read_midi, read_wav, synthesize, write_midi, write_wav
from zoo.errors import InvalidInput
from zoo.pictures import Subject, roll_figure, save_figure, spectrogram_figure, waveform_figure

RANDOM = np.random.default_rng(0)
ROLL = RANDOM.random((40, 88)) < 0.05
CHORD = np.zeros((4, 88))
CHORD[:3, [48 - 21, 69 - 21]] = 1  # C3 and A4 (440 Hz) for three quarter notes


def save_midi(path, *messages, **file):
    """A MIDI file with one track of these messages."""
    mido.MidiFile(tracks=[mido.MidiTrack(messages)], **file).save(path)
    return path


def note(note, start=0, stop=480, channel=0):
    """A note as two messages, `start` ticks after what came before."""
    return [
        mido.Message("note_on", note=note, time=start, channel=channel),
        mido.Message("note_off", note=note, time=stop, channel=channel),
    ]


# ---------------------------------------------------------------- MIDI


def test_a_roll_comes_back_from_a_midi_file(tmp_path):
    silent_ends = np.pad(ROLL, ((3, 5), (0, 0)))
    for roll in (ROLL, silent_ends, np.ones((2, 88)), CHORD):
        write_midi(tmp_path / "a.mid", roll)
        again = read_midi(tmp_path / "a.mid")
        assert again.dtype == np.uint8
        np.testing.assert_array_equal(again, roll)


def test_a_midi_file_lasts_as_long_as_its_tempo_says(tmp_path):
    write_midi(tmp_path / "a.mid", ROLL, tempo=90)
    assert mido.MidiFile(tmp_path / "a.mid").length == pytest.approx(40 * 60 / 90, rel=1e-4)


def test_notes_begin_and_end_at_the_nearest_quarter_note_whatever_the_ticks(tmp_path):
    messages = [
        *note(60, 30, 100 * 2 - 60),
        *note(62, 0, 10),
        *note(64, 40, 20),
    ]  # .3-1.7, 1.7-1.8, 2.2-2.4
    roll = read_midi(save_midi(tmp_path / "a.mid", *messages, ticks_per_beat=100))
    assert roll.shape == (3, 88)
    assert np.argwhere(roll).tolist() == [[0, 39], [1, 39], [2, 41], [2, 43]]


def test_tracks_sound_together_and_drums_and_far_notes_do_not(tmp_path):
    tracks = [mido.MidiTrack(note(60)), mido.MidiTrack([*note(64), *note(36, channel=9), *note(120)])]
    mido.MidiFile(tracks=tracks, ticks_per_beat=480).save(tmp_path / "a.mid")
    roll = read_midi(tmp_path / "a.mid")
    assert np.argwhere(roll).tolist() == [[0, 39], [0, 43]]


def test_a_note_without_an_end_lasts_as_long_as_its_track(tmp_path):
    messages = [mido.Message("note_on", note=60), mido.MetaMessage("end_of_track", time=960)]
    assert read_midi(save_midi(tmp_path / "a.mid", *messages, ticks_per_beat=480))[:, 39].tolist() == [1, 1]


LATE = [*note(60, 2**27, 2**27)]
BAD = {
    "no notes": (lambda path: save_midi(path, mido.MetaMessage("set_tempo", tempo=1)), "no notes between 21 and 108"),
    "drums alone": (lambda path: save_midi(path, *note(60, channel=9)), "no notes"),
    "an age": (lambda path: save_midi(path, *LATE, ticks_per_beat=1), "268435456 quarter notes, more than the 100000"),
    "seconds": (lambda path: save_midi(path, *note(60), ticks_per_beat=-6400), "counts time in seconds"),
    "text": (lambda path: path.write_text("no music"), "no whole MIDI file"),
    "nothing": (lambda path: path.write_bytes(b""), "no whole MIDI file: it ends early"),
    "cut": (
        lambda path: path.write_bytes(save_midi(path, *note(60), *note(61)).read_bytes()[:-12]),
        "no whole MIDI file: it ends early",
    ),
    "a folder": (lambda path: path.mkdir(), "cannot read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_midi_file_that_gives_no_roll_is_refused_by_name(tmp_path, kind):
    make, said = BAD[kind]
    path = tmp_path / "odd.mid"
    make(path)
    with pytest.raises(InvalidInput, match=said) as error:
        read_midi(path)
    assert "odd.mid" in str(error.value) and "\n" not in str(error.value) and "Errno" not in str(error.value)


def test_what_is_no_roll_is_not_written(tmp_path):
    with pytest.raises(InvalidInput, match=r"a piano roll is \[T, 88\], got \[5, 80\]"):
        write_midi(tmp_path / "a.mid", np.zeros((5, 80)))
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- WAV


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32"])
def test_samples_of_every_kind_lie_between_minus_one_and_one(tmp_path, dtype):
    wave = np.sin(np.arange(300) / 9) * 0.9
    scale, middle = {"int16": (2**15, 0), "int32": (2**31, 0), "uint8": (128, 128), "float32": (1, 0)}[dtype]
    wavfile.write(tmp_path / "a.wav", 8000, (wave * scale + middle).astype(dtype))
    samples, rate = read_wav(tmp_path / "a.wav", rate=8000)
    assert rate == 8000 and samples.dtype == np.float32
    np.testing.assert_allclose(samples, wave, atol=1 / 100)


def test_a_wav_file_is_what_other_readers_read(tmp_path):
    write_wav(tmp_path / "a.wav", [0.0, 0.5, 2.0, -2.0], 8000)
    rate, samples = wavfile.read(tmp_path / "a.wav")
    assert rate == 8000 and samples.dtype == np.int16 and samples.tolist() == [0, 8192, 32767, -32767]


WAVES = {
    "stereo": (lambda path: wavfile.write(path, 8000, np.zeros((9, 2), "int16")), "2 channels, one is taken"),
    "nothing": (lambda path: path.write_bytes(b""), "no whole WAV file"),
    "text": (lambda path: path.write_text("no sound at all, but text"), "no whole WAV file"),
    "cut": (lambda path: cut(path), "no whole WAV file: reached EOF"),
    "silence": (lambda path: wavfile.write(path, 8000, np.zeros(0, "int16")), "holds no samples"),
    "NaN": (lambda path: wavfile.write(path, 8000, np.array([0, np.nan], "float32")), "NaN or infinite"),
    "a bomb": (lambda path: bomb(path), "no whole WAV file|holds no samples"),
    "another rate": (lambda path: wavfile.write(path, 44100, np.zeros(9, "int16")), "44100 samples a second, 8000 are"),
    "no file": (lambda path: None, "cannot read"),
}


def cut(path):
    """A file that ends in the middle of its samples."""
    write_wav(path, np.zeros(100), 8000)
    path.write_bytes(path.read_bytes()[:150])


def bomb(path):
    """A header that promises 4 GB of samples."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    path.write_bytes(b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVE" + form + b"data" + struct.pack("<I", 2**32 - 9))


@pytest.mark.parametrize("kind", WAVES)
def test_a_wav_file_that_gives_no_waveform_is_refused_by_name(tmp_path, kind):
    make, said = WAVES[kind]
    make(tmp_path / "odd.wav")
    with pytest.raises(InvalidInput, match=said) as error:
        read_wav(tmp_path / "odd.wav", rate=8000)
    assert "odd.wav" in str(error.value) and "\n" not in str(error.value)


def test_chunks_of_other_programs_are_skipped(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(4), 8000)
    content = (tmp_path / "a.wav").read_bytes() + b"zoo " + struct.pack("<I", 2) + b"ab"
    (tmp_path / "a.wav").write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    assert len(read_wav(tmp_path / "a.wav")[0]) == 4


def test_a_roll_sounds_at_its_notes_and_for_as_long():
    wave = synthesize(CHORD, rate=8000, tempo=120)
    assert len(wave) == 5 * 4000 and np.abs(wave).max() <= 1
    spectrum = np.abs(np.fft.rfft(wave[:8000]))  # a second, so bins are Hz
    loudest = np.argsort(spectrum)[::-1]
    near = [hertz for hertz in loudest[:10] if spectrum[hertz] == spectrum[max(hertz - 5, 0) : hertz + 6].max()]
    assert {131, 440} <= set(near)  # C3 is 130.8 Hz
    assert np.abs(wave[-4000:]).max() == 0 < np.abs(wave[8000:12000]).max()
    assert not synthesize(np.zeros((3, 88))).any()


def test_a_note_that_goes_on_fades_and_a_new_one_is_struck():
    held, struck = np.zeros((2, 4, 88))
    held[:, 48] = 1
    struck[[0, 1, 3], 48] = 1
    loud = [np.abs(synthesize(roll, 8000)[12000:13000]).max() for roll in (held, struck)]
    assert loud[1] > 2 * loud[0] > 0


# ---------------------------------------------------------------- pictures


def test_figures_show_each_sequence_over_one_time_axis(tmp_path):
    waves = [np.sin(np.arange(4000)), np.zeros(900)]
    for name, figure in {
        "roll": roll_figure([ROLL, CHORD, np.zeros((2, 88))], "abc"),
        "wave": waveform_figure(waves, "ab", 8000),
        "spectrum": spectrogram_figure(waves, "ab", 8000),
    }.items():
        panels = [axis for axis in figure.axes if axis.get_title()]
        assert [axis.get_title() for axis in panels] == list("abc")[: len(panels)]
        assert len({axis.get_xlim() for axis in panels}) == 1
        save_figure(figure, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 200


# ---------------------------------------------------------------- the command line


class Melody:
    """Stands in for a model of sequences: it repeats its condition, and draws the notes of its seed."""

    def __init__(self, width=88):
        self.offers = {"steps", "prior"}
        self.data_spec = {"x": FieldSpec((None, width)), "length": FieldSpec((), "int32", role="length", optional=True)}

    def require(self, thing, needs):
        if set(needs) - self.offers:
            raise InvalidInput(f"{thing} needs something else")

    def fields(self, batch):
        return batch

    def fields_of(self, *roles):
        return [name for name, spec in self.data_spec.items() if spec.role in roles]

    def sample(self, n, seed, mean, length):
        x = np.zeros((n, length or 8, self.data_spec["x"].shape[1]), "float32")
        x[..., 40 + seed] = 0.9
        return x

    def continue_sequence(self, x, steps, seed, length):
        assert length.tolist() == [len(x[0])]
        return np.repeat(x[:, -1:], steps, 1)


@pytest.fixture
def melody(monkeypatch):
    """Make the commands find a `Melody` whatever they are asked for; its argument is the width of a step."""

    def find(width=88, **data):
        def subject(name, source=None):
            found = Subject(pathlib.Path(name), source)
            found.model, found.card = Melody(width), {"name": name, "data": data}
            return found

        monkeypatch.setattr(pictures, "subject_of", subject)
        monkeypatch.setattr(continue_, "subject_of", subject)

    return find


def test_samples_of_music_are_written_one_after_another(zoo, melody, tmp_path):
    melody()
    path = tmp_path / "music.mid"
    code, out, _ = zoo("sample", "m", "--output", path, "--count", 2, "--length", 5, "--seed", 3)
    assert code == 0 and "2 draws of 5 frames" in out
    roll = read_midi(path)
    assert roll[:, 43].tolist() == [1] * 5 + [0] * 2 + [1] * 5 and roll.sum() == 10
    assert zoo("sample", "m", "--output", tmp_path / "music.wav")[0] == 0
    assert wavfile.read(tmp_path / "music.wav")[0] == 22050
    assert zoo("sample", "m", "--output", tmp_path / "music.npz", "--length", 6)[0] == 0
    assert np.load(tmp_path / "music.npz")["x"].shape == (1, 6, 88)


def test_a_piece_goes_on(zoo, melody, tmp_path):
    melody()
    write_midi(tmp_path / "a.mid", CHORD[:3])
    code, out, _ = zoo("continue", "m", tmp_path / "a.mid", "--steps", 4, "--output", tmp_path / "b.mid")
    assert code == 0 and "3 frames of a.mid, then 4 of m" in out
    np.testing.assert_array_equal(read_midi(tmp_path / "b.mid"), np.repeat(CHORD[:1], 7, 0))


def test_a_recording_goes_on_at_its_rate(zoo, melody, tmp_path):
    melody(50, name="free_spoken_digit")
    write_wav(tmp_path / "a.wav", np.linspace(-1, 1, 110), 8000)
    assert zoo("continue", "m", tmp_path / "a.wav", "--steps", 2, "--output", tmp_path / "b.wav")[0] == 0
    rate, samples = wavfile.read(tmp_path / "b.wav")
    assert rate == 8000 and len(samples) == 200
    np.testing.assert_array_equal(samples[100:150], samples[50:100])
    write_wav(tmp_path / "a.wav", np.zeros(110), 16000)
    code, _, (said,) = zoo("continue", "m", tmp_path / "a.wav")
    assert code == 2 and "16000 samples a second, 8000 are taken" in said


@pytest.mark.parametrize(
    ("width", "arguments", "message"),
    [
        (88, ["continue", "m", "b.txt"], "--output is a file that ends in .mid, .midi, .wav, got 'continued.txt'"),
        (88, ["continue", "m", "a.mid", "--steps", "0"], "--steps must be positive"),
        (88, ["continue", "m", "none.mid"], "none.mid"),
        (50, ["continue", "m", "a.wav", "--output", "c.mid"], "no model of 88 notes"),
        (50, ["continue", "m", "a.mid", "--output", "c.wav"], "x has shape"),
        (88, ["sample", "m", "--output", "c.mid", "--length", "0"], "--length must be positive"),
        (50, ["sample", "m", "--output", "c.mid"], "no model of 88 notes"),
        (50, ["plot", "m", "--kind", "piano_role"], "piano_roll"),
    ],
)
def test_mistakes_are_one_line(zoo, melody, tmp_path, monkeypatch, width, arguments, message):
    monkeypatch.chdir(tmp_path)
    melody(width, name="free_spoken_digit")
    write_midi("a.mid", CHORD)
    write_wav("a.wav", np.zeros(400), 8000)
    pathlib.Path("b.txt").write_text("")
    code, _, (said,) = zoo(*arguments)
    assert code == 2 and message in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mid", "a.wav", "b.txt"]


def test_a_model_of_sound_without_a_rate_says_so(zoo, melody, tmp_path):
    melody(50, name="elsewhere")
    code, _, (said,) = zoo("sample", "m", "--output", tmp_path / "a.wav")
    assert code == 2 and "does not say how many samples a second" in said


def test_rolls_of_a_folder_are_those_of_its_files(tmp_path):
    write_midi(tmp_path / "b.mid", CHORD)
    write_midi(tmp_path / "a.mid", ROLL)
    arrays = load_arrays(tmp_path, "all")
    np.testing.assert_array_equal(arrays["x"][0], ROLL)
    assert arrays["length"].tolist() == [40, 4]
