"""What an evaluation has measured so far, on the disk, so that one that was stopped goes on where it was."""

import contextlib
import hashlib
import io
import json
import pathlib
import sys
import zipfile

import numpy as np
import tensorflow as tf

from zoo.errors import CannotWrite
from zoo.files import write_bytes


class Kept:
    """The numbers of batches in a folder, a file each.

    A file is of the weights, the data and the draws that its name is made of: nothing else is taken for it.

    Args:
        folder: made when there is something to keep.
    """

    def __init__(self, folder):
        self.folder, self.used, self.told = pathlib.Path(folder), [], False

    def numbers(self, owner, batch, measure):
        """Name -> array: what `measure(batch)` gives for the `Examples` of a batch, from the disk where it is there.

        Args:
            owner: of `owner_of`.
        """
        name = hashlib.sha256(owner)
        for fields in (batch.shown, batch.raw, {"start": tf.constant(batch.start)}):
            for field, value in sorted(fields.items()):
                name.update(f"{field} {value.dtype} {value.shape}".encode() + value.numpy().tobytes())
        path = self.folder / f"{name.hexdigest()[:32]}.npz"
        self.used.append(path)
        with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile), np.load(path, allow_pickle=False) as found:
            self.tell(f"going on with an evaluation that was stopped, from {self.folder}")
            return dict(found)
        found, content = measure(batch), io.BytesIO()
        np.savez(content, **found)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content.getvalue())
        except (CannotWrite, OSError) as error:
            self.tell(f"{error}: stop this evaluation, and it begins anew")
        return found

    def tell(self, line):
        """Say something, once, on the error stream."""
        if not self.told:
            print(line, file=sys.stderr)
        self.told = True

    def clear(self):
        """Remove what this evaluation has kept or taken."""
        for path in self.used:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others' files are in it
            self.folder.rmdir()


def owner_of(model, *settings):
    """Bytes that say of which model and weights numbers are, and with which settings they are measured."""
    said = [model.registry_name, model.get_config(), model.dtype_policy.name, tf.__version__, *settings]
    found = hashlib.sha256(json.dumps(said, default=str).encode())
    for weight in model.weights:
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.digest()
