"""Pictures of one size and colour mode, made of pictures of any."""

from typing import NamedTuple

import numpy as np

from zoo.errors import InvalidInput, check_positive, choose
from zoo.quiet import say_once

LOOK = ("size", "color", "fit")  # the arguments of `load_dataset`, and keys of a preset's data
LARGEST = 2**22  # pixels
COLORS = {"gray": 1, "rgb": 3}  # channels
FITS = {
    "crop": "of what has another shape the middle is cut out",
    "pad": "what has another shape gets a black border",
}
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it


class Look(NamedTuple):
    """What pictures are made to be: (height, width) or None, "gray", "rgb" or None, and "crop" or "pad"."""

    size: tuple | None
    color: str | None
    fit: str

    def apply(self, picture):
        """A picture [H, W, 1 or 3], uint8 or float32, scaled with antialiasing and cropped or padded, and coloured."""
        if picture.ndim != 3 or picture.shape[-1] not in (1, 3):
            raise InvalidInput(f"size and color are for pictures [H, W, 1 or 3], and these are {list(picture.shape)}")
        if self.color and picture.shape[-1] != COLORS[self.color]:
            picture = gray(picture) if self.color == "gray" else picture.repeat(3, -1)
        if self.size and picture.shape[:2] != self.size:
            picture = np.stack([self.scaled(channel) for channel in np.moveaxis(picture, -1, 0)], -1)
        return picture

    def scaled(self, channel):
        """One channel [H, W] at the size."""
        from PIL import Image, ImageOps

        method = {"crop": ImageOps.fit, "pad": ImageOps.pad}[self.fit]
        scaled = method(Image.fromarray(channel), self.size[::-1], method=Image.Resampling.BILINEAR)  # antialiased
        return np.asarray(scaled)

    def apply_to_all(self, x, said):
        """As `apply`, of pictures [N, H, W, C], or a list of [H, W, C]; where it changes one, that is said once."""
        pictures = list(x)
        changed = [self.apply(picture) for picture in pictures]
        if any(new is not old for new, old in zip(changed, pictures, strict=True)):
            self.say(said)
        return np.stack(changed)

    def say(self, said):
        """Say on the error stream, once, what is done to the pictures of a source."""
        size = f"resized to {self.size[0]}x{self.size[1]} (height x width); {FITS[self.fit]}" if self.size else ""
        done = " and ".join(filter(None, [self.color and f"made {self.color}", size]))
        say_once(f"pictures of {said} are {done}")


def look_of(size=None, color=None, fit=None):
    """A `Look` of the arguments of `load_dataset`, checked; None where they ask for nothing.

    Raises:
        InvalidInput: no size, colour or fit, or a fit without a size.
    """
    if color is not None:
        choose("color", color, COLORS)
    if fit is not None:
        choose("fit", fit, FITS)
        if size is None:
            raise InvalidInput(f"fit={fit!r} says how pictures come to a size: give that too, such as size=(64, 64)")
    if size is None:
        return Look(None, color, "crop") if color else None
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (list, tuple)) else (size,)
    if len(sides) != 2:
        raise InvalidInput(f"size is (height, width), such as (64, 64), got {size!r}")
    check_positive(size=list(sides))
    if sides[0] * sides[1] > LARGEST:
        raise InvalidInput(f"size has at most {LARGEST} pixels, as 2048x2048 has, got {sides[0]}x{sides[1]}")
    return Look(sides, color, fit or "crop")


def gray(picture):
    """[..., 1] of colours [..., 3]."""
    mixed = np.asarray(picture, "float32") @ np.array(LUMA, "float32")
    return (np.round(mixed) if picture.dtype == np.uint8 else mixed).astype(picture.dtype)[..., None]
