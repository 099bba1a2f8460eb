"""Mutations: bytes, JSON, HDF5, images and .npz files, each made from a number."""

import io
import json
import random
import re
import struct
import zipfile
import zlib

import h5py
import numpy as np

CANARY = "robustness_canary"  # a module that must never be imported; its functions and classes leave a mark
SIZES = [-1, 0, 1, 2**31, 2**63, 10**12, 65_537, 1e308, -1.5, 10**4, 3_000]
TEXTS = ["", "x" * 10**6, "\0", "../../etc/passwd", "\ud800", "\u202e\n\x1b[31m", "relu", "vae", "nan", "%s{}" * 100]


def deepened(text):
    """The JSON text with `"deep 40"` and the like made to lists and dicts in each other: no encoder goes that deep."""
    return re.sub(r'"deep (\d+)"', lambda found: '{"name": [' * int(found[1]) + "0" + "]}" * int(found[1]), text)


def hostile_objects():
    """What Keras takes for serialised objects, and would import, call or open."""
    entry = {"registered_name": None, "config": {}}
    calls = [(CANARY, "Thing"), ("subprocess", "Popen"), ("os", "system"), ("builtins", "exec"), ("pickle", "loads")]
    yield from ({**entry, "module": module, "class_name": name} for module, name in calls)
    for module, name in [*calls, ("keras.saving", "load_model"), ("keras.utils", "get_file")]:
        yield {**entry, "module": module, "class_name": "function", "config": name, "registered_name": name}
    code = "4wAAAAAAAAAAAAAAAAEAAABDAAAAcwQAAABkAFMAKQFOqQByAQAAAPoA"
    yield {"class_name": "__lambda__", "config": {"value": code}, "module": "builtins", "registered_name": None}
    for name, config in {
        "Lambda": {"function": {"class_name": "__lambda__", "config": {"value": code}}},
        "TFSMLayer": {"filepath": "/tmp"},
        "StringLookup": {"vocabulary": "/etc/passwd"},
        "JaxLayer": {"call_fn": None},
        "Wrapper": {"layer": {**entry, "module": CANARY, "class_name": "Thing"}},
        "Dense": {"units": 10**9},
        "UpSampling2D": {"size": [10**4, 10**4]},
    }.items():
        yield {"class_name": name, "module": "keras.layers", "config": config, "registered_name": None}
    spec = {"class_name": "__typespec__", "spec_name": "Thing", "module": CANARY, "registered_name": None}
    yield {**spec, "config": [[1]]}


HOSTILE = list(hostile_objects())


def bytes_of(content, dice):
    """Bytes with a few flipped, lost, doubled, zeroed or added."""
    content = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 8, 64])):
        place, length = dice.randrange(len(content) + 1), dice.choice([1, 2, 4, 100, 1000])
        kind = dice.choice(["flip", "flip", "flip", "cut", "lose", "double", "zero", "add"])
        if kind == "flip" and place < len(content):
            content[place] ^= 1 << dice.randrange(8)
        elif kind == "cut":
            del content[place:]
        elif kind == "lose":
            del content[place : place + length]
        elif kind == "double":
            content[place:place] = content[place : place + length]
        elif kind == "zero":
            content[place : place + length] = bytes(len(content[place : place + length]))
        else:
            content[place:place] = dice.randbytes(length)
    return bytes(content)


def places(content, path=()):
    """The paths to everything in nested dicts and lists."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def card(content, dice):
    """The bytes of a card of which something is another."""
    if dice.random() < 0.15:
        return bytes_of(json.dumps(content).encode(), dice)
    if dice.random() < 0.04:
        many = dice.choice(["[" * 10**5, '{"a":' * 10**5, '{"format": 1, "model": ' + "7" * 5_000 + "}", "9" * 5_001])
        return many.encode()
    content = json.loads(json.dumps(content))
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        path = dice.choice([p for p in places(content) if p and (p[0] in ("config", "weights") or dice.random() < 0.2)])
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        kind = dice.choice(
            ["size", "size", "text", "hostile", "hostile", "deep", "lose", "rename", "type", "swap", "many"]
        )
        if kind == "lose":
            del inner[path[-1]]
        elif kind == "rename" and isinstance(inner, dict):
            inner[f"{path[-1]}s"] = inner.pop(path[-1])
        else:
            inner[path[-1]] = {
                "size": lambda: dice.choice(SIZES),
                "text": lambda: dice.choice(TEXTS),
                "hostile": lambda: dice.choice(HOSTILE),
                "deep": lambda: f"deep {dice.choice([3, 20, 250, 450])}",
                "type": lambda: dice.choice([None, True, [], {}, [[]], 1.5, "1", float("nan"), [1, "a", None]]),
                "many": lambda: [dice.choice([1, 8, "relu"])] * dice.choice([0, 100, 10**5]),
            }.get(kind, lambda old=inner[path[-1]]: [old])()
    return deepened(json.dumps(content)).encode()


def weights(content, dice):
    """A .weights.h5 file with other bytes, tensors, links or claims."""
    kind = dice.choice(
        ["bytes"] * 6
        + ["nan", "dtype", "shape", "lose", "rename", "external", "soft", "bomb", "claim", "virtual", "text", "extra"]
    )
    if kind == "bytes":
        return bytes_of(content[: dice.choice([len(content), 4096])] + content[4096:], dice)
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = dice.choice(names)
        values = file[name][()]
        if kind == "nan":
            file[name][...] = np.full(values.shape, dice.choice([np.nan, np.inf])).astype(values.dtype)
        elif kind == "extra":
            file[f"{name}_more"] = values
        else:
            del file[name]
        if kind == "dtype":
            file[name] = values.astype(dice.choice(["float64", "float16", "int32", "complex64", "S4", "bool"]))
        elif kind == "shape":
            file[name] = np.zeros(dice.choice([(0,), (1, 1, 1), (*values.shape, 1), (7,)]), values.dtype)
        elif kind == "rename":
            file[f"{name}x"] = values
        elif kind == "external":
            file[name] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "soft":
            file[name] = h5py.SoftLink(dice.choice(["/", f"/{name}", "/nowhere"]))
        elif kind == "bomb":
            file.create_dataset(name, (10**5, 10**5), "float32", chunks=(1000, 1000), compression="gzip")
        elif kind == "claim":
            file.create_dataset(name, (10**6, 10**6), "float32")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape=(4,), dtype="float32")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
            file.create_virtual_dataset(name, layout)
        elif kind == "text":
            file[name] = "words"
    return buffer.getvalue()


def chunk(kind, data):
    """A chunk of a PNG file, its checksum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height, depth=8, color=0, data=b""):
    """A PNG file that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def image(content, dice):
    """An image file with other bytes, or something else under its name."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(touch robustness) run\nshowpage\n"
    special = [
        b"",
        eps,
        b"GIF89a" + bytes(20),
        b"II*\0" + bytes(40),
        b"P6 99999 99999 255\n",
        b"PK\x03\x04" + bytes(30),
        png_claiming(2**31 - 1, 2**31 - 1),
        png_claiming(60_000, 60_000, data=zlib.compress(bytes(10**7))),
        png_claiming(0, 0),
        png_claiming(8, 8, depth=3, color=9),
        content[:8] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))) + content[8:],
    ]
    return dice.choice(special) if dice.random() < 0.2 else bytes_of(content, dice)


class Mark:
    """What a pickle would call."""

    def __reduce__(self):
        return (__import__, (CANARY,))


def npz(content, dice):
    """An .npz file with other bytes, arrays or claims."""
    kind = dice.choice(
        ["bytes"] * 4 + ["object", "claim", "bomb", "empty", "text", "keys", "nan", "labels", "npy", "pickle"]
    )
    x, buffer = np.zeros((20, 4, 4, 1), "uint8"), io.BytesIO()
    if kind == "bytes":
        return bytes_of(content, dice)
    if kind == "pickle":
        np.save(buffer, np.array([Mark()], object), allow_pickle=True)
    elif kind == "npy":
        np.save(buffer, x)
    elif kind == "claim":
        shape = (dice.choice([10**6, 4_000]), 1000, 1000, 1)
        header = repr({"descr": "|u1", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    elif kind == "bomb":
        np.savez_compressed(buffer, x=np.zeros((dice.choice([3_000, 300]), 1000, 1000, 1), "uint8"))
    elif kind != "empty":
        arrays = {
            "object": {"x": np.array([Mark()] * 20, object)},
            "text": {"x": np.array(["a"] * 20)},
            "keys": {"z": x},
            "nan": {"x": np.full((20, 4, 4, 1), np.nan)},
            "labels": {"x": x, "y": np.full(20, dice.choice([10**6, 2**40, -1, 0.5, np.nan]))},
        }
        np.savez(buffer, **arrays[kind])
    return buffer.getvalue()


def cases(kind, originals, count, seed=0):
    """`count` mutations of originals, the same each time."""
    from robustness import recordings, strangers

    make = {
        "cards": card,
        "weights": weights,
        "images": image,
        "npz": npz,
        "folders": strangers.folder,
        "servers": strangers.served,
        "zips": strangers.archive,
        "TFRecords": recordings.record,
        "MIDI": recordings.roll,
        "WAV": recordings.wave,
    }[kind]
    for number in range(count):
        dice = random.Random(f"{kind} {seed} {number}")
        place = number % len(originals)
        yield place, make(originals[place], dice)
