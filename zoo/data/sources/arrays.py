"""Arrays in memory, and the .npy and .npz files that hold such."""

import zipfile

import numpy as np

from zoo.data.division import SYNONYMS, divided, owned, parts_of_rows, permuted, whole
from zoo.data.source import Arrays
from zoo.data.sources.pictures import check_unpacked
from zoo.data.tfds.catalogue import SPLITS
from zoo.errors import InvalidInput, reason
from zoo.quiet import say_once

ARRAYS = (".npy", ".npz")


def in_memory(arrays, said):
    """A source of an array, or of a dict of arrays, of which x are the examples."""
    return Arrays(checked(arrays, said), said, "arrays", whole("arrays"))


def of_file(arrays, said, by_position=False):
    """A source of what an .npy or .npz file holds."""
    if isinstance(arrays, dict) and "x_train" in arrays:
        return of_keras(arrays, said)
    fields = checked(arrays, said)
    count = len(fields["x"])
    rows_of = divided(said, count, lambda: parts_of_rows([count]), by_position)
    return Arrays(fields, said, "arrays", rows_of, division=None if by_position else "name")


def checked(arrays, said):
    """A dict of arrays of one length; images of uint8 stay, labels and other whole numbers become int32."""
    arrays = dict(arrays) if isinstance(arrays, dict) else {"x": arrays}
    if "x" not in arrays and "X" in arrays:  # as scikit-learn calls it
        arrays["x"] = arrays.pop("X")
    if "x" not in arrays:
        raise InvalidInput(f"arrays need a field 'x' with the images; got {sorted(map(str, arrays)) or 'none'}")
    for name, value in arrays.items():
        if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
            raise InvalidInput(
                f"{name} of {said} is a masked array, and {np.ma.count_masked(value)} of its values are missing: pass "
                f"{{'x': {name}.filled(0), 'mask': ~{name}.mask}} to a model with masked=True"
            )
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    for name, value in arrays.items():
        if not value.ndim or not len(value):
            raise InvalidInput(f"{name} holds no examples: its shape is {value.shape}")
        if len(value) != len(arrays["x"]):
            raise InvalidInput(f"{name} has {len(value)} rows, but x has {len(arrays['x'])}")
        if value.dtype.kind not in "biuf":
            raise InvalidInput(f"{name} holds {value.dtype}, but numbers are needed")
    return {name: cast(name, value) for name, value in arrays.items()}


def cast(name, array):
    """Images of uint8 keep their meaning, and so do whole numbers in other fields; everything else is float32."""
    wholes = array.dtype.kind in "biu"
    low, high = (int(array.min()), int(array.max())) if wholes and array.size else (0, 0)
    if name != "x" and wholes:
        if low < -(2**31) or high >= 2**31:
            raise InvalidInput(
                f"{name} holds {low if low < 0 else high}, which is no label: whole numbers of 32 bits are"
            )
        return array.astype("int32")
    if array.dtype == np.uint16 and high > 255:
        raise InvalidInput(f"{name} holds uint16 up to {high}: pass uint8 0..255, or numbers 0..1, as {name} / 65535")
    return array if array.dtype == np.uint8 else array.astype("float32")


def of_keras(arrays, said):
    """A source of arrays as Keras' data sets have them: x_train, y_train, x_test, y_test, and perhaps x_val.

    Images [N, H, W] get a channel axis, labels [N, 1] lose theirs. Without a validation set a tenth of x_train is it,
    by a fixed permutation, which is said.
    """
    found = {SYNONYMS[n[2:]]: n[2:] for n in sorted(arrays) if n.startswith("x_") and n[2:] in SYNONYMS}
    beside = sorted(n for n in arrays if n[:2] not in ("x_", "y_") or n[2:] not in found.values())
    fields = {split: keras_part(arrays, name) for split, name in found.items()}
    parts = {split: np.full(len(part["x"]), SPLITS.index(split)) for split, part in fields.items()}
    if "validation" not in fields:
        count = len(parts["train"])
        if not count // 10:
            raise InvalidInput(f"{said} holds {count} training examples, too few to divide")
        say_once(f"the validation set of {said} is a tenth of its x_train, drawn by a fixed permutation")
        order = permuted(count, (count // 10, 0))["train+validation"]
        fields["train"] = {name: values[order] for name, values in fields["train"].items()}
        parts["train"][count - count // 10 :] = SPLITS.index("validation")
    there = [split for split in SPLITS if split in fields]
    if len({part["x"].shape[1:] for part in fields.values()}) > 1:
        raise InvalidInput(f"the x of {said} have several shapes, train's is {fields['train']['x'].shape[1:]}")
    if any("y" in part for part in fields.values()):  # those of a part without labels are unknown
        fields = {split: {"y": np.full(len(part["x"]), -1), **part} for split, part in fields.items()}
    joined = {name: np.concatenate([fields[split][name] for split in there]) for name in fields["train"]}
    rows_of = owned(said, np.concatenate([parts[split] for split in there]))
    left_out = [f"arrays {', '.join(beside)}"] if beside else []
    return Arrays(checked(joined, said), said, "arrays with splits", rows_of, left_out=left_out)


def keras_part(arrays, name):
    """{"x", and "y"} of one part of arrays as Keras has them."""
    part = {field: arrays[f"{field}_{name}"] for field in ("x", "y") if f"{field}_{name}" in arrays}
    if part["x"].ndim == 3:
        part["x"] = part["x"][..., None]
    if "y" in part and part["y"].shape[1:] == (1,):
        part["y"] = part["y"][:, 0]
    return part


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
