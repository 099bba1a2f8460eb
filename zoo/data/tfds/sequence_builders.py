"""TFDS builders of music and speech. Importing this module registers them with TFDS.

Records keep the order of the authors' files, but for `jsb_chorales`, whose order is the one TFDS shuffles them into.
"""

import io
import zipfile
from pathlib import PurePosixPath

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.sound import wave
from zoo.data.tfds.addresses import addresses, download, read_mat
from zoo.errors import InvalidInput

_CITATION = (
    "N. Boulanger-Lewandowski, Y. Bengio, P. Vincent: Modeling Temporal Dependencies in High-Dimensional Sequences: "
    "Application to Polyphonic Music Generation and Transcription. ICML 2012."
)
_SPLITS = {"train": "traindata", "validation": "validdata", "test": "testdata"}
RECORDINGS = {"train": 2700, "test": 300}  # of free_spoken_digit


class _Polyphonic(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Piano rolls [T, 88], 0 or 1; entry k is MIDI note 21 + k."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    SHUFFLED = False

    def _info(self):
        roll = tfds.features.Tensor(shape=(None, 88), dtype=np.uint8, encoding=tfds.features.Encoding.ZLIB)
        index = tfds.features.Tensor(shape=(), dtype=np.int64)
        if self.SHUFFLED:
            roll = tfds.features.Sequence(tfds.features.Tensor(shape=(88,), dtype=np.uint8))
            index = tfds.features.Scalar(np.int64)
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{type(self).__doc__} Piano rolls in the division of Boulanger-Lewandowski et al.: each frame "
            "has 88 entries, 0 or 1; entry k is MIDI note 21 + k.",
            features=tfds.features.FeaturesDict({"piano_roll": roll, "index": index}),
            homepage="http://www-etud.iro.umontreal.ca/~boulanni/icml2012",
            citation=_CITATION,
            disable_shuffling=not self.SHUFFLED,
        )

    def _split_generators(self, dl_manager):
        path = download(self.name, dl_manager)["sequences"]
        content = read_mat(path, **dict.fromkeys(_SPLITS.values(), (1, None)))
        return {split: self._generate_examples(content[part][0]) for split, part in _SPLITS.items()}

    def _generate_examples(self, sequences):
        """Yield (index, example) of arrays [T, 88] of 0 and 1."""
        for index, sequence in enumerate(sequences):
            if sequence.ndim != 2 or sequence.shape[1] != 88 or not np.isin(sequence, (0, 1)).all():
                raise InvalidInput(f"sequence {index} of {self.name} is no roll [T, 88] of 0 and 1: {sequence.shape}")
            yield index, {"piano_roll": sequence.astype("uint8"), "index": index}


class JsbChorales(_Polyphonic):
    """The four-part chorales of J. S. Bach, a frame a quarter note."""

    name = "jsb_chorales"
    ADDRESSES = addresses("jsb_chorales")
    SHUFFLED = True


class Nottingham(_Polyphonic):
    """Folk tunes of the Nottingham database, with chords."""

    name = "nottingham"
    ADDRESSES = addresses("nottingham")


class PianoMidi(_Polyphonic):
    """Classical piano music of Piano-midi.de."""

    name = "piano_midi"
    ADDRESSES = addresses("piano_midi")


class MuseData(_Polyphonic):
    """Orchestral and piano classical music of the MuseData library."""

    name = "muse_data"
    ADDRESSES = addresses("muse_data")


class FreeSpokenDigit(tfds.core.GeneratorBasedBuilder):
    """Recordings of the ten digits, int16 [samples] at 8 kHz."""

    name = "free_spoken_digit"
    ADDRESSES = addresses("free_spoken_digit")
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Free Spoken Digit Dataset: 8 kHz mono recordings of the ten digits by six speakers; test = "
            "takes 0 to 4 of each.",
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding=tfds.features.Encoding.ZLIB),
                    "filename": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(num_classes=10),
                    "speaker": tfds.features.Text(),
                }
            ),
            homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
            citation="Z. Jackson and contributors: Free Spoken Digit Dataset. "
            "https://github.com/Jakobovski/free-spoken-digit-dataset",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        path = download(self.name, dl_manager)["recordings"]
        with zipfile.ZipFile(path) as archive:
            files = sorted(n for n in archive.namelist() if PurePosixPath(n).match("recordings/*.wav"))
        parts = {split: [f for f in files if (take(f) < 5) == (split == "test")] for split in RECORDINGS}
        found = {split: len(names) for split, names in parts.items()}
        if found != RECORDINGS:
            raise InvalidInput(f"{path.name} holds {found} recordings, expected {RECORDINGS}")
        return {split: self._generate_examples(path, names) for split, names in parts.items()}

    def _generate_examples(self, path, names):
        """Yield (row, example) of the files `<digit>_<speaker>_<take>.wav` of an archive."""
        with zipfile.ZipFile(path) as archive:
            for row, name in enumerate(names):
                digit, speaker, _ = PurePosixPath(name).stem.split("_")
                audio = wave(io.BytesIO(archive.read(name)), name, rate=8000)
                yield row, {"audio": audio, "filename": name.split("/")[-1], "label": int(digit), "speaker": speaker}


def take(name):
    """The number of a recording of `free_spoken_digit` among those of its digit and speaker."""
    return int(PurePosixPath(name).stem.split("_")[2])


BUILDERS = {b.name: b for b in (JsbChorales, Nottingham, PianoMidi, MuseData, FreeSpokenDigit)}
