"""Mutations of TFRecord, MIDI and WAV files, each made from a number."""

import io
import pathlib
import struct
import tempfile
import zlib

import numpy as np

from robustness import mutate


def records():
    """(file, index or None) of TFRecord files: of raw pixels as `zoo shards` writes them, and of pictures."""
    import tensorflow as tf

    from zoo.data import load_dataset, write_shards

    found, x = [], np.random.RandomState(0).randint(0, 256, (20, 4, 4, 1)).astype("uint8")
    with tempfile.TemporaryDirectory() as folder:
        shards, path = pathlib.Path(folder) / "shards", str(pathlib.Path(folder) / "pictures")
        write_shards(load_dataset({"x": x}, batch_size=5, shuffle=False), shards, shards=1)
        [file] = shards.glob("*.tfrecord")
        found.append((file.read_bytes(), (shards / "index.npz").read_bytes()))
        write(path, [example(tf.io.encode_png(row).numpy()) for row in x])
        found.append((pathlib.Path(path).read_bytes(), None))
    return found


def example(picture, name="image"):
    """The bytes of an Example that holds a picture."""
    import tensorflow as tf

    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[picture]))
    return tf.train.Example(features=tf.train.Features(feature={name: feature})).SerializeToString()


def write(path, rows):
    """A TFRecord file of rows."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(path) as writer:
        for row in rows:
            writer.write(row)


def waves():
    """WAV files: of 8, 16 and 32 bits, and of floats."""
    from scipy.io import wavfile

    found, wave = [], np.sin(np.arange(400) / 5)
    for samples in (wave * 32_000, wave * 2**30, wave * 100 + 128, wave):
        buffer, dtype = io.BytesIO(), ["int16", "int32", "uint8", "float32"][len(found)]
        wavfile.write(buffer, 8_000, samples.astype(dtype))
        found.append(buffer.getvalue())
    return found


def rolls():
    """A MIDI file."""
    from zoo.data.midi import write_midi

    roll = np.random.RandomState(0).rand(16, 88) < 0.05
    with tempfile.TemporaryDirectory() as folder:
        write_midi(pathlib.Path(folder) / "a.mid", roll)
        return [(pathlib.Path(folder) / "a.mid").read_bytes()]


def record(content, dice):
    """A TFRecord file with other bytes, lengths, checksums or records."""
    kind = dice.choice(["bytes"] * 4 + ["rows"] * 4 + ["length", "empty", "text", "gzip"])
    if kind == "bytes":
        return mutate.bytes_of(content, dice)
    if kind == "length":
        length = struct.pack("<Q", dice.choice([2**63, 2**40, 2**31, 0, 10**9]))
        return length + content[8:]
    if kind == "rows":  # whose checksums are right
        whole = mutate.png_claiming(4, 4, data=zlib.compress(bytes(20)))
        odd = [
            b"",
            b"no example",
            dice.randbytes(200),
            b"\n" * 10**5,
            example(whole, dice.choice(["x", "\0", "label"])),
        ]
        odd += [mutate.bytes_of(example(whole), dice), *[example(mutate.image(whole, dice))] * 5]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x"
            write(str(path), [example(whole)] * dice.choice([0, 2, 9]) + [dice.choice(odd)] + [example(whole)] * 9)
            return path.read_bytes()
    return {"empty": b"", "text": b"words " * 50, "gzip": b"\x1f\x8b" + bytes(100)}[kind]


def wave(content, dice):
    """A WAV file with other bytes, sizes or form."""
    kind = dice.choice(["bytes"] * 4 + ["size", "form", "chunk", "empty"])
    if kind == "size":
        place = dice.choice([4, 16, content.find(b"data") + 4])
        return content[:place] + struct.pack("<I", dice.choice([0, 1, 2**31, 2**32 - 1, 7])) + content[place + 4 :]
    if kind == "form":
        place = dice.choice([20, 22, 24, 28, 32, 34])
        return content[:place] + struct.pack("<H", dice.choice([0, 1, 3, 7, 17, 65_534, 65_535])) + content[place + 2 :]
    if kind == "chunk":
        size = dice.choice([0, 3, 2**31, 2**32 - 1])
        return (
            content[:12] + dice.choice([b"LIST", b"\0" * 4, b"data", b"fmt "]) + struct.pack("<I", size) + content[12:]
        )
    return b"" if kind == "empty" else mutate.bytes_of(content, dice)


def roll(content, dice):
    """A MIDI file with other bytes, times or lengths."""
    kind = dice.choice(["bytes"] * 4 + ["head", "length", "times", "empty", "tracks"])
    if kind == "head":
        numbers = [dice.choice([0, 1, 2, 65_535]), dice.choice([0, 1, 65_535]), dice.choice([0, 1, 65_535, 480])]
        return content[:8] + struct.pack(">HHH", *numbers) + content[14:]
    if kind == "length":
        return content[:18] + struct.pack(">I", dice.choice([0, 1, 2**31, 2**32 - 1])) + content[22:]
    if kind == "times":
        events = b"".join(
            dice.choice([b"\xff\xff\xff\x7f\x90\x40\x40", b"\0\x80\x40\0", b"\xff\x7f" * 3]) for _ in range(50)
        )
        return content[:14] + b"MTrk" + struct.pack(">I", len(events)) + events
    if kind == "tracks":
        return content[:14] + content[14:] * dice.choice([2, 300])
    return b"" if kind == "empty" else mutate.bytes_of(content, dice)
