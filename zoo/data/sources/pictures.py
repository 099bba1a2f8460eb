"""Pictures from files that anybody may have made: read in bounded memory, or refused in one line."""

import io
import os
import warnings

import numpy as np

from zoo.data.source import Arrays, Source
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, reason
from zoo.quiet import say_once

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")  # of Pillow, those that are trusted
NO_PICTURE = "no PNG or JPEG, WebP, TIFF or BMP image"
ORIENTATION = 0x0112  # EXIF's tag
AMPLE, RATIO = 2**29, 100  # bytes that a file may always unpack to; beyond them so many times its own size
IN_MEMORY = 2**30  # bytes of the pictures of a folder; what has more is streamed


class Pictures(Source):
    """Files of pictures, read whole or, where they are many or of a pattern, while they are used: a piece each."""

    portable, row_bytes = False, 100

    def __init__(self, files, said, look=None, streamed=False, by_position=False):
        rows_of = files.rows_of(said, by_position)
        there = bool(len(files.labels)) and files.labels.min() >= 0
        known = {"names": files.names, "classes": files.classes if there else None, "left_out": files.left_out}
        division = None if by_position or files.parts is not None else "name"
        super().__init__(said, "pictures", len(files.names), rows_of, has_labels=there, division=division, **known)
        self.paths, self.numbers, self.look = np.array(files.paths), files.labels, look
        self.first = self.read_one(self.paths[0])
        self.streamed = streamed or self.first.nbytes * self.count > IN_MEMORY

    def select(self, rows):
        self.paths, self.numbers = self.paths[rows], self.numbers[rows]
        self.first = self.read_one(self.paths[0])

    def read_one(self, path):
        """uint8 [H, W, C] of a file, as the look has it; what that changes is said."""
        read = read_picture(path)
        array = self.look.apply(read) if self.look else read
        if array is not read:
            self.look.say(self.said)
        return array

    def pictures(self, paths):
        """uint8 [B, H, W, C] of files, which have the shape of the first of all."""
        x = np.empty((len(paths), *self.first.shape), "uint8")
        for number, path in enumerate(paths):
            array = self.read_one(path)
            if array.shape != x.shape[1:]:
                raise InvalidInput(
                    "images must have one size and colour mode, or be given them (size, color): "
                    f"{str(self.paths[0])!r} is {x.shape[1:]}, {str(path)!r} is {array.shape}"
                )
            x[number] = array
        return x

    def in_memory(self):
        if self.streamed:
            return self
        check_unpacked(self.said, self.first.nbytes * self.count, sum(map(os.path.getsize, self.paths)))
        fields = {"x": self.pictures(self.paths), **({LABELS: self.numbers} if self.has_labels else {})}
        return self.loaded(Arrays(fields, self.said, self.kind, self.rows_of))

    # Streamed

    @property
    def counts(self):
        return np.ones(self.count, "int64")

    def read(self, which, skipped, rows):
        import tensorflow as tf

        with tf.init_scope(), tf.device("/CPU:0"):
            paths, numbers = tf.constant(self.paths), tf.constant(self.numbers)
        return {"path": tf.gather(paths, which), LABELS: tf.gather(numbers, which)}

    def parse(self, columns):
        import tensorflow as tf

        def pictures(paths):
            return self.pictures([path.decode() for path in paths])

        x = tf.numpy_function(pictures, [columns["path"]], tf.uint8, stateful=False)
        x = {"x": tf.ensure_shape(x, [None, *self.first.shape])}
        return {**x, LABELS: columns[LABELS]} if self.labels else x


def check_unpacked(path, unpacked, packed):
    """Raise `InvalidInput` for a file of `packed` bytes that says it holds so much more than it can."""
    if unpacked > max(AMPLE, RATIO * packed):
        size = f"{unpacked / 1e9:.1f} GB" if unpacked < 1e15 else "more than any machine has"
        raise InvalidInput(f"{str(path)!r} has {packed / 1e6:.1f} MB and would unpack to {size}: it is refused")


def read_picture(path):
    """uint8 [H, W, 1 or 3] of a file.

    Grey of 16 bits is scaled to 8, palettes and CMYK become RGB, an alpha channel is left out where it is opaque, and
    what a camera held sideways is turned as its EXIF data say.

    Raises:
        InvalidInput: what is no whole picture, transparent pixels, animations and files of several pages.
    """
    try:
        return decoded(path, path, os.path.getsize(path))
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {reason(error)}") from None


def decoded(file, name, packed):
    """uint8 [H, W, 1 or 3] of a file, a stream, or its bytes, of `packed` bytes; `name` is what errors call it."""
    from PIL import Image, UnidentifiedImageError

    file = io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                check_unpacked(name, image.width * image.height * 4, packed)
                return pixels(image, name)
    except InvalidInput:
        raise
    except UnidentifiedImageError:
        raise InvalidInput(f"{str(name)!r} is {NO_PICTURE}") from None
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise InvalidInput(f"{str(name)!r} is no whole picture: {reason(error)}") from None


def pixels(image, name):
    """uint8 [H, W, 1 or 3] of an open image."""
    from PIL import ImageOps

    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # which telephones write: a JPEG with others behind
        many = f"has {image.n_frames} pages" if image.format == "TIFF" else f"is animated, {image.n_frames} frames"
        raise InvalidInput(f"{str(name)!r} {many}: save each as an image of its own")
    image.load()
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    deep = image.mode.startswith("I")
    see_through = "A" in image.mode.upper().replace("LAB", "") or "transparency" in image.info
    if see_through and (deep or image.convert("RGBA").getchannel("A").getextrema()[0] < 255):
        raise InvalidInput(f"{str(name)!r} has transparent pixels: save it on a background, without an alpha channel")
    if image.mode == "F":
        raise InvalidInput(f"{str(name)!r} holds floats: save it with 8 or 16 bits, or as an .npy file")
    if deep:  # grey of 16 bits, which Pillow's own conversion would clip
        return of_sixteen_bits(np.asarray(image, "float32"), name)[..., None]
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def of_sixteen_bits(levels, name):
    """uint8 of grey levels 0..65535."""
    if levels.min() < 0 or levels.max() > 65535:
        raise InvalidInput(f"{str(name)!r} holds levels {levels.min():g}..{levels.max():g}, beyond 16 bits")
    if 255 < levels.max() < 4096:
        say_once(
            f"{str(name)!r} has 16 bits and uses no more than 12 of them: scaled as 16 bits are, it is nearly black; "
            "save such pictures with their levels times 16"
        )
    return np.round(levels / 257).astype("uint8")
