"""Images and arrays from files that anybody may have made: read in bounded memory, or refused in one line."""

import warnings
import zipfile

import numpy as np

from zoo.errors import InvalidInput, reason

IMAGES = (".png", ".jpg", ".jpeg")
ARRAYS = (".npy", ".npz")
ORIENTATION = 0x0112  # EXIF's tag
AMPLE, RATIO = 2**29, 100  # bytes that a file may always unpack to; beyond them so many times its own size


def check_unpacked(path, unpacked, packed):
    """Raise `InvalidInput` for a file of `packed` bytes that says it holds so much more than it can."""
    if unpacked > max(AMPLE, RATIO * packed):
        size = f"{unpacked / 1e9:.1f} GB" if unpacked < 1e15 else "more than any machine has"
        raise InvalidInput(f"{str(path)!r} has {packed / 1e6:.1f} MB and would unpack to {size}: it is refused")


def read_images(files, look=None, said=None):
    """PNG or JPEG files -> uint8 [N, H, W, 1 or 3]: of one size, or made so by a `look` (`zoo.data.sizes`).

    16-bit pixels are scaled to 8 bits, indexed ones become RGB, an alpha channel is left out where it is opaque, and
    what a camera held sideways is turned as its EXIF data say. What a look changes is said, `said` being the source.

    Raises:
        InvalidInput: what is no whole PNG or JPEG image, transparent pixels, animations, another size or colour mode
            than the first file's.
    """
    x = None
    for number, file in enumerate(files):
        read = read_image(file)
        array = look.apply(read) if look else read
        if array is not read:
            look.say(said)
        if x is None:
            check_unpacked(file.parent, array.nbytes * len(files), sum(f.stat().st_size for f in files))
            x = np.empty((len(files), *array.shape), "uint8")
        if array.shape != x.shape[1:]:
            raise InvalidInput(
                f"images must have one size and colour mode, or be given them (size, color): {str(files[0])!r} is "
                f"{x.shape[1:]}, {str(file)!r} is {array.shape}"
            )
        x[number] = array
    return x


def read_image(file):
    """uint8 [H, W, 1 or 3] of a PNG or JPEG file; see `read_images`."""
    return decoded(file, file, file.stat().st_size)


def decoded(file, name, packed):
    """uint8 [H, W, 1 or 3] of a file, or a stream, of `packed` bytes; `name` is what errors call it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                check_unpacked(name, image.width * image.height * 4, packed)
                return pixels(image, name)
    except InvalidInput:
        raise
    except UnidentifiedImageError:
        raise InvalidInput(f"{str(name)!r} is no PNG or JPEG image") from None
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them stumble over
        raise InvalidInput(f"{str(name)!r} is no whole PNG or JPEG image: {reason(error)}") from None


def pixels(image, file):
    """uint8 [H, W, 1 or 3] of an open image."""
    from PIL import ImageOps

    if image.format == "PNG" and getattr(image, "n_frames", 1) > 1:
        raise InvalidInput(f"{str(file)!r} is animated, {image.n_frames} frames: save each as an image of its own")
    image.load()
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    deep = image.mode.startswith("I")
    see_through = "A" in image.mode or "transparency" in image.info
    if see_through and (deep or image.convert("RGBA").getchannel("A").getextrema()[0] < 255):
        raise InvalidInput(f"{str(file)!r} has transparent pixels: save it on a background, without an alpha channel")
    if deep:  # 16-bit grey, which Pillow's own conversion would clip
        return np.round(np.asarray(image, "float32") / 257).astype("uint8")[..., None]
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def read_arrays(path):
    """The array of an .npy file, or a dict of those of an .npz file; pickled objects are refused.

    Raises:
        InvalidInput: what is no whole file of numbers, or claims sizes that it does not have.
    """
    try:
        if path.suffix == ".npy":  # a map of the file is no larger than the file
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        with zipfile.ZipFile(path) as archive:
            check_unpacked(path, sum(member.file_size for member in archive.infolist()), path.stat().st_size)
        with np.load(path, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except InvalidInput:
        raise
    except Exception as error:  # NumPy, zipfile and zlib each raise their own
        why = "it holds Python objects, not numbers" if "pickle" in str(error) else reason(error)
        raise InvalidInput(f"cannot read {str(path)!r}: {why}") from None
