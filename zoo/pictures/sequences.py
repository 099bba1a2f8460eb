"""Sequences to look at: piano rolls, waveforms and spectrograms, of draws beside a held-out sequence."""

import numpy as np

from zoo.data import synthesize
from zoo.data.midi import KEYS, LOWEST
from zoo.data.sound import RATE
from zoo.errors import InvalidInput, check_positive
from zoo.pictures.canvas import new_figure
from zoo.registry import PICTURES


@PICTURES.register("piano_roll", needs=["steps"], instead="piano rolls are drawn of models of music")
def piano_roll(subject, count=3, seed=0, mean=False, length=None):
    """A held-out piece, and below it draws from a model of music: notes against quarter notes.

    Args:
        count: how many draws.
        seed: of the draws.
        mean: whether the mean of p(x | z) is shown in place of a draw of it.
        length: how many steps a draw has; None: as many as the held-out one.
    """
    if not subject.is_music:
        raise InvalidInput(f"a piano roll has steps of {KEYS} notes: take waveform or spectrogram")
    return roll_figure(*shown(subject, count, seed, mean, length))


@PICTURES.register("waveform", needs=["steps"], instead="waveforms are drawn of models of sound and music")
def waveform(subject, count=3, seed=0, mean=False, length=None):
    """A held-out recording, and below it draws from a model of sound, or of music as it sounds.

    Args:
        count: how many draws.
        seed: of the draws.
        mean: whether the mean of p(x | z) is shown in place of a draw of it.
        length: how many steps a draw has; None: as many as the held-out one.
    """
    return waveform_figure(*heard(subject, count, seed, mean, length))


@PICTURES.register("spectrogram", needs=["steps"], instead="spectrograms are drawn of models of sound and music")
def spectrogram(subject, count=3, seed=0, mean=False, length=None):
    """As waveform: the power at each frequency against time.

    Args:
        count: how many draws.
        seed: of the draws.
        mean: whether the mean of p(x | z) is shown in place of a draw of it.
        length: how many steps a draw has; None: as many as the held-out one.
    """
    return spectrogram_figure(*heard(subject, count, seed, mean, length))


def shown(subject, count, seed, mean, length):
    """([held-out sequence, draws...], their titles); draws are as long as it is unless `length` says."""
    check_positive(count=count)
    (real,) = sequences_of(subject.arrays(1))
    draws = subject.model.sample(count, seed=seed, mean=mean, length=length or len(real))
    return [real, *np.asarray(draws)], ["held-out", *(f"draw {number + 1}" for number in range(count))]


def sequences_of(arrays):
    """[[T, *features]] of padded arrays x and length."""
    return [x[:length] for x, length in zip(arrays["x"], arrays["length"], strict=True)]


def heard(subject, count, seed, mean, length):
    """(waveforms, titles, samples a second) of what `shown` says."""
    sequences, titles = shown(subject, count, seed, mean, length)
    if subject.is_music:
        return [synthesize(roll) for roll in sequences], titles, RATE
    return [frames.reshape(-1) for frames in sequences], titles, subject.rate


def roll_figure(rolls, titles):
    """A figure of piano rolls [T, 88], one below the other, over the keys that any of them uses."""
    pressed = [np.asarray(roll) > 0.5 for roll in rolls]
    keys = np.flatnonzero(np.any([roll.any(0) for roll in pressed], 0))
    low, high = (max(keys[0] - 2, 0), min(keys[-1] + 3, KEYS)) if len(keys) else (0, KEYS)
    longest = max(map(len, pressed))
    figure, axes = new_figure(9, (0.8 + 0.045 * (high - low)) * len(rolls), rows=len(rolls))
    for axis, roll, title in zip(np.atleast_1d(axes), pressed, titles, strict=True):
        extent = (0, len(roll), LOWEST + low - 0.5, LOWEST + high - 0.5)
        axis.imshow(
            roll.T[low:high],
            aspect="auto",
            origin="lower",
            cmap="Greys",
            extent=extent,
            vmin=0,
            interpolation="nearest",
        )
        octaves = [note for note in range(24, LOWEST + KEYS, 12) if extent[2] <= note <= extent[3]]
        axis.set_yticks(octaves, [f"C{note // 12 - 1}" for note in octaves])
        axis.set(xlim=(0, longest), xlabel="quarter notes", title=title)
        axis.grid(axis="y", alpha=0.3)
    return figure


def waveform_figure(waves, titles, rate):
    """A figure of waveforms [samples] in [-1, 1], one below the other."""
    figure, axes = new_figure(9, 1.9 * len(waves), rows=len(waves))
    longest = max(map(len, waves)) / rate
    for axis, wave, title in zip(np.atleast_1d(axes), waves, titles, strict=True):
        axis.plot(np.arange(len(wave)) / rate, wave, linewidth=0.5)
        axis.set(xlim=(0, longest), ylim=(-1, 1), xlabel="seconds", title=title)
    return figure


def spectrogram_figure(waves, titles, rate):
    """A figure of the spectrograms of waveforms [samples], one below the other: decibels below the loudest."""
    from scipy.signal import spectrogram

    figure, axes = new_figure(9, 2.3 * len(waves), rows=len(waves))
    longest = max(map(len, waves)) / rate
    for axis, wave, title in zip(np.atleast_1d(axes), waves, titles, strict=True):
        window = min(2 ** round(np.log2(rate / 25)), len(wave))
        frequencies, seconds, power = spectrogram(np.asarray(wave), rate, nperseg=window, noverlap=window * 3 // 4)
        decibels = 10 * np.log10(np.maximum(power / max(power.max(), 1e-12), 1e-8))
        image = axis.pcolormesh(seconds, frequencies, decibels, vmin=-80, vmax=0, shading="nearest", rasterized=True)
        axis.set(xlim=(0, longest), ylim=(0, min(rate / 2, 5000)), xlabel="seconds", ylabel="Hz", title=title)
    figure.colorbar(image, ax=axes, label="dB")
    return figure
