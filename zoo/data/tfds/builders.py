"""TFDS builders for data sets that TFDS lacks. Importing this module registers them with TFDS.

What they write equals the authors' files record by record: the keys, and with them the order TFDS gives the records,
depend only on the place of an example in the authors' files, so splits cut by position are the same everywhere.
"""

import zipfile
from pathlib import PurePosixPath

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.tfds.addresses import addresses, download, read_mat
from zoo.data.tfds.class_names import CALTECH_SILHOUETTES, OMNIGLOT_ALPHABETS


def area_average(drawing):
    """Reduce a binary drawing [105, 105] (1 = ink) to uint8 [28, 28, 1] by exact area averaging.

    A target pixel is 105/28 = 15/4 source pixels wide. In quarters of a source pixel all overlaps are whole numbers,
    so ink is counted exactly, out of 15 x 15 = 225, and rounded once.
    """
    quarters = np.arange(28 * 15).reshape(28, 15) // 4  # the source pixel of each quarter of each target pixel
    overlap = (quarters[:, :, None] == np.arange(105)).sum(1)  # [28, 105]
    ink = overlap @ np.asarray(drawing, "int64") @ overlap.T
    return np.round(ink * 255 / 225).astype("uint8")[..., None]


class Omniglot28x28(tfds.core.GeneratorBasedBuilder):
    """Omniglot drawings [105, 105] reduced to [28, 28, 1], strokes bright."""

    name = "omniglot_28x28"
    ADDRESSES = addresses("omniglot_28x28")
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Omniglot characters reduced from 105x105 to 28x28 by exact area averaging, strokes bright. "
            "Drawings 1-15 of each character are train, 16-20 test; the one-shot division is kept in `original_set`.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(num_classes=1623),
                    "alphabet": tfds.features.ClassLabel(names=OMNIGLOT_ALPHABETS),
                    "drawer": tfds.features.Scalar(np.int64),
                    "original_set": tfds.features.ClassLabel(names=["background", "evaluation"]),
                }
            ),
            homepage="https://github.com/brendenlake/omniglot",
            citation="B. Lake, R. Salakhutdinov, J. Tenenbaum: Human-level concept learning through probabilistic "
            "program induction. Science 350, 2015.",
        )

    def _split_generators(self, dl_manager):
        archives = download(self.name, dl_manager)
        return {
            "train": self._generate_examples(archives, range(1, 16)),
            "test": self._generate_examples(archives, range(16, 21)),
        }

    def _generate_examples(self, archives, drawers):
        """Yield (key, example); files are `images_<set>/<alphabet>/character<n>/<number>_<drawer>.png`."""
        from PIL import Image

        for original_set, path in archives.items():
            with zipfile.ZipFile(path) as archive:
                for file in sorted(map(PurePosixPath, archive.namelist())):
                    if file.suffix != ".png" or file.name.startswith("."):
                        continue
                    number, drawer = map(int, file.stem.split("_"))
                    if drawer not in drawers:
                        continue
                    with archive.open(str(file)) as stream, Image.open(stream) as image:
                        ink = np.asarray(image.convert("L")) < 128
                    yield (
                        20 * (number - 1) + drawer - 1,
                        {
                            "image": area_average(ink),
                            "label": number - 1,
                            "alphabet": file.parts[-3],
                            "drawer": drawer,
                            "original_set": original_set,
                        },
                    )


class FreyFaces(tfds.core.GeneratorBasedBuilder):
    """Frames of a video of Brendan Frey's face, uint8 [28, 20, 1]."""

    name = "frey_faces"
    ADDRESSES = addresses("frey_faces")
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Frey faces: 1,965 grey images (28x20) of one face, consecutive frames of a short video, in a "
            "fixed shuffled order; `frame` gives the place in the video.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 20, 1), encoding_format="png"),
                    "frame": tfds.features.Scalar(np.int64),
                }
            ),
            homepage="https://cs.nyu.edu/~roweis/data.html",
            citation="S. Roweis, B. Frey: Frey Faces. https://cs.nyu.edu/~roweis/data.html",
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(download(self.name, dl_manager)["frames"])}

    def _generate_examples(self, path):
        """Yield (frame, example); the file holds ff [560, frames], an image to a column, row after row."""
        frames = read_mat(path, ff=(28 * 20, None))["ff"].T.reshape(-1, 28, 20, 1)
        for frame, image in enumerate(frames):
            yield frame, {"image": image.astype("uint8"), "frame": frame}


class CaltechSilhouettes28x28(tfds.core.GeneratorBasedBuilder):
    """Filled outlines of the objects in Caltech 101, uint8 [28, 28, 1], 0 or 255, object bright."""

    name = "caltech_silhouettes_28x28"
    ADDRESSES = addresses("caltech_silhouettes_28x28")
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Caltech 101 Silhouettes, 28x28, split 1. Pixels are 0 or 255; the object is bright, the "
            "inverse of the authors' file, as is usual for VAEs.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=CALTECH_SILHOUETTES),
                }
            ),
            homepage="https://people.cs.umass.edu/~marlin/data.shtml",
            citation="B. Marlin, K. Swersky, B. Chen, N. de Freitas: Inductive Principles for Restricted Boltzmann "
            "Machine Learning. AISTATS 2010.",
        )

    def _split_generators(self, dl_manager):
        path = download(self.name, dl_manager)["split1"]
        parts = {"train": "train", "validation": "val", "test": "test"}
        return {split: self._generate_examples(path, part) for split, part in parts.items()}

    def _generate_examples(self, path, part):
        """Yield (row, example); the file holds <part>_data [N, 784], images column by column, and labels from 1."""
        content = read_mat(path, **{f"{part}_data": (None, 28 * 28)})
        images = content[f"{part}_data"].reshape(-1, 28, 28).transpose(0, 2, 1)[..., None]
        labels = content[f"{part}_labels"].ravel()
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield row, {"image": np.where(image > 0, 0, 255).astype("uint8"), "label": int(label) - 1}


BUILDERS = {builder.name: builder for builder in (Omniglot28x28, FreyFaces, CaltechSilhouettes28x28)}
