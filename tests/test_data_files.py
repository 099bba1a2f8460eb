"""Pictures and arrays from anybody: scaled, or refused in one line that names the file, in bounded memory."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from zoo.data import check_labels, load_arrays, load_dataset, load_semi_supervised
from zoo.errors import InvalidInput
from zoo.training.timing import peak_memory

GREY = np.arange(0, 256, 16, dtype="uint8").reshape(4, 4)
COLOUR = np.stack([GREY, GREY.T, 255 - GREY], -1) // 51 * 51  # of the 216 colours that every palette has


def png(array, mode=None, **options):
    stream = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(stream, "PNG", **options)
    return stream.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width, height):
    """A PNG that says it has so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def npz(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_of_shape(shape):
    """The header of an .npy file of that shape, and 64 bytes after it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(64)


def encoded(array, format):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format)
    return stream.getvalue()


# ---------------------------------------------------------------- pictures


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    (tmp_path / "a.png").write_bytes(png(GREY.astype("uint16") * 257 + 100))
    np.testing.assert_array_equal(load_arrays(tmp_path, "all")["x"][0, ..., 0], GREY)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_an_opaque_alpha_channel_and_a_palette_leave_the_colours(tmp_path, mode):
    array = GREY if mode == "LA" else COLOUR
    (tmp_path / "a.png").write_bytes(png(array, mode))
    x = load_arrays(tmp_path, "all")["x"][0]
    np.testing.assert_array_equal(np.squeeze(x), array)


def test_one_picture_is_an_example(tmp_path):
    (tmp_path / "a.png").write_bytes(png(GREY))
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.png", "all")["x"], GREY[None, ..., None])


FRAMES = {"save_all": True, "append_images": [Image.fromarray(GREY.T)]}
REFUSED = {
    "transparent": (png(np.dstack([COLOUR, GREY])), "transparent"),
    "grey and transparent": (png(np.dstack([GREY, GREY])), "transparent"),
    "a transparent colour": (png(COLOUR, transparency=(0, 0, 255)), "transparent"),
    "a transparent index": (
        png(COLOUR, "P", transparency=Image.fromarray(COLOUR).convert("P").getpixel((0, 0))),
        "transparent",
    ),
    "a transparent 16-bit level": (png(GREY.astype("uint16"), transparency=16), "transparent"),
    "animated": (png(GREY, **FRAMES), "animated, 2 frames"),
    "encapsulated PostScript": (encoded(GREY, "EPS"), "no PNG or JPEG"),
    "a GIF": (encoded(GREY, "GIF"), "no PNG or JPEG"),
    "empty": (b"", "no PNG or JPEG"),
    "cut": (png(np.random.default_rng(0).integers(0, 256, (64, 64), "uint8"))[:1000], "truncated"),
    "a broken chunk": (png(GREY).replace(b"IDAT", b"IDAT\xff", 1), "no whole"),
    "a bomb": (bomb(20000, 20000), "bomb"),
    "a small bomb": (bomb(12000, 12000), "no whole"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_plain_picture_is_refused_by_name(tmp_path, kind):
    content, said = REFUSED[kind]
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(InvalidInput, match=said) as error:
        load_arrays(tmp_path, "all")
    assert "odd.png" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_of_bombs_is_refused_before_it_is_read(tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(png(np.zeros((8000, 8000), "uint8")))
    with pytest.raises(InvalidInput, match="would unpack to 0.8 GB"):
        load_arrays(tmp_path, "all")


# ---------------------------------------------------------------- arrays

BROKEN = {
    "nothing.npz": (b"", "not a zip file"),
    "text.npz": (b"PK\x03\x04 and no more", "not a zip file"),
    "cut.npz": (npz(x=npy(COLOUR))[:100], "not a zip file"),
    "huge.npz": (npz(x=npy_of_shape((10**13,))), "cannot read"),
    "vast.npz": (npz(x=npy_of_shape((2**62, 8))), "cannot read"),
    "bomb.npz": (npz(x=bytes(2**29 + 1)), "would unpack to 0.5 GB"),
    "nothing.npy": (b"", "cannot read"),
    "text.npy": (b"no array", "cannot read"),
    "huge.npy": (npy_of_shape((10**13,)), "cannot read"),
    "objects.npz": (npz(x=npy(np.array([1, None]))), "Python objects"),
    "objects.npy": (npy(np.array([1, None])), "cannot read"),
    "strings.npy": (npy(np.array(["a", "b"])), "numbers are needed"),
    "deep.npy": (npy(np.full((2, 2, 2, 1), 4000, "uint16")), "x / 65535"),
    "labels.npz": (
        npz(x=npy(np.zeros((2, 2, 2, 1))), y=npy(np.array([3, 2**32 + 3]))),
        "4294967299, which is no label",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_without_whole_numbers_is_refused_in_one_line(tmp_path, name):
    content, said = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    before = peak_memory()
    with pytest.raises(InvalidInput, match=said) as error:
        load_dataset(tmp_path / name)
    assert "\n" not in str(error.value) and "Errno" not in str(error.value)
    assert peak_memory() - before < 2**29, "half a GB"


def test_images_of_any_ratio_that_memory_holds_are_read(tmp_path):
    np.savez_compressed(tmp_path / "blank.npz", x=np.zeros((2000, 28, 28, 1), "uint8"))
    assert load_arrays(tmp_path / "blank.npz", "all")["x"].shape == (2000, 28, 28, 1)


# ---------------------------------------------------------------- labels


def test_labels_that_are_no_classes_are_refused_with_a_hint():
    x = np.zeros((6, 2, 2, 1), "uint8")
    with pytest.raises(InvalidInput, match=r"up to 1000000, but only 3 .*return_inverse.*num_classes=1000001"):
        load_semi_supervised({"x": x, "y": np.array([0, 1, 10**6] * 2)}, None)
    for y in (np.array([0, 1, 2**32] * 2), np.array([2**64 - 1] * 6, "uint64"), np.array([-(2**40)] * 6)):
        with pytest.raises(InvalidInput, match="no label"):
            load_arrays({"x": x, "y": y}, labels=True)
    with pytest.raises(InvalidInput, match="whole numbers"):
        load_semi_supervised({"x": x, "y": np.linspace(0, 1, 6)}, None)


def test_the_classes_are_those_that_occur_or_that_are_said():
    assert check_labels(np.array([0, 2, -1]), None) == 3
    assert check_labels(np.array([0, 10**6]), 10**6 + 1) == 10**6 + 1
    assert check_labels(np.arange(1623), None) == 1623
