"""The doors: batches as a `tf.data.Dataset`, or arrays, of whatever people have."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.batches import Order, batches, told
from zoo.data.check import check_batch
from zoo.data.sources.open import open_source
from zoo.data.spec import LENGTH
from zoo.errors import InvalidInput, check_positive
from zoo.quiet import say_once

if TYPE_CHECKING:
    import tensorflow as tf

BATCH = 500


def load_dataset(
    source: Any = "digits",
    split: str = "train",
    batch_size: int = 128,
    *,
    labels: bool | str = False,
    shuffle: bool | None = None,
    seed: int = 0,
    limit: int | None = None,
    first_epoch: int | None = None,
    first_step: int = 0,
    drop_remainder: bool = False,
    data_dir: str | os.PathLike | None = None,
    frame: int | None = None,
    rate: int | None = None,
    size: int | tuple[int, int] | None = None,
    color: str | None = None,
    fit: str | None = None,
    column: str | None = None,
    service: str | None = None,
    skip_bad: bool = False,
) -> "tf.data.Dataset":
    """Batches `{"x": [B, H, W, C]}`, and `"y"` int32 [B] with `labels`, as a `tf.data.Dataset`.

    Batches of sequences are `{"x": float32 [B, T, *features], "length": int32 [B]}`, zeros behind each end. Sequences
    of like lengths meet in a batch, so that less than a tenth of the frames of a pass are padding, and T takes few
    values; B is `batch_size` at most. What is not shuffled comes by T, as `bucket_order` says.

    Args:
        source: one of
            * a name, see `list_datasets`; images are uint8 0..255, piano rolls 0 or 1, waveforms -1..1;
            * a folder of pictures (PNG, JPEG, WebP, TIFF, BMP), of one size or with `size` and `color` of any. Labels
              are its sub-folders, numbered from 0 by name (cats/ 0, dogs/ 1), and whatever is deeper in them is of
              that class; `train`, `validation` (or `val`) and `test` are splits, with class folders in them. 16-bit
              images are scaled to 8 bits, photographs are turned upright as their EXIF data say; transparent and
              animated ones are refused. The kind of which there are most files is taken, and what is left out is said;
            * a folder of MIDI or of WAV files, as pictures are: piano rolls [T, 88] with a frame a quarter note, or
              waveforms;
            * an .npy file (= x) or an .npz file with `x` and optionally `y`, or with x_train, y_train, x_test, y_test
              as Keras' data sets are stored: a tenth of x_train is the validation set, unless there is an x_val;
            * an array, or a dict of arrays with "x" and optionally "y", taken whole;
            * a table: a CSV or Parquet file, a folder or a pattern of such, a pandas DataFrame or a data set of Hugging
              Face. x [N, D] are the columns of numbers, or a `column` of pictures or arrays;
            * what is read while it is used, in constant memory: files of `tf.train.Example`s (`zoo.data.sources.
              records`), TFRecord or ArrayRecord, here or where TensorFlow's file systems reach; a pattern of pictures,
              and a folder of more than a gigabyte of them. Each pass goes through the pieces in a new order, and
              shuffles blocks of up to 64 MB of rows. Whatever brings no splits of its own is divided 80/10/10: a
              file's part follows from its name, a row's from its number, so that they keep it when others are added
              (`split="all"` takes the whole);
            * a list of arrays [T, *features] or waveforms [samples] of several lengths, or a dict of such a list as
              "x"; or a dict or .npz file of padded "x" [N, T, *features] with "length" [N];
            * a `tf.data.Dataset` of images, (image, label) tuples or dicts with "x": turned into dicts, and batched
              if its x has rank 3, one image [H, W, C]; any other rank is taken as batched. Images of floats 0..255,
              as `keras.utils.image_dataset_from_directory` gives them, are divided by 255, which is said. Sequences
              come as dicts with "length", and are padded and batched where that is one number.
        split: "train", "validation", "test" or "train+validation"; folders and files also know "all".
        labels: whether y is wanted; of a table the name of its column, which is "label" or "y" where it is not said.
        shuffle: None shuffles the splits that begin with "train".
        seed: of the order. The same seed gives the same sequence of epochs; with first_epoch whatever the rest of the
            program does, without it for one setting of `tf.random.set_seed`.
        limit: only the first `limit` examples of the split (before shuffling).
        first_epoch: None gives one pass per iteration, reshuffled each time. A number e gives an endless dataset whose
            k-th pass has the order keyed by (seed, e + k): a run resumed at epoch e sees what an uninterrupted one
            sees. Pass `steps_per_epoch` to `fit`: ceil(N / batch_size), or floor with `drop_remainder`.
        first_step: with first_epoch, the batches of that pass that are left out, because a run has seen them.
        drop_remainder: leave out the last, smaller batch of each pass; not of sequences.
        data_dir: the folder of prepared data sets; None: TFDS_DATA_DIR, else TFDS's default.
        frame: samples of a waveform that make a frame, 200 where it is not said; a last one that is not full is left
            out.
        rate: samples a second of WAV files; None: those of the first. A file of another rate is refused.
        size: (height, width), or one number for both: images are resized to it with antialiasing, up or down, which is
            said on the error stream.
        color: "gray" or "rgb": what images become.
        fit: what is done with images of another shape than `size`: "crop" (if not said) fills it and cuts the middle
            out, "pad" puts a black border around them.
        column: the name of a table's column, or a record's feature, of pictures or vectors; None takes one called
            "image" or "x".
        service: the address of a tf.data service, "grpc://host:port", whose workers read TFRecord files for this
            process. Each block is read by one of them: several deliver their blocks as they have them. Without
            first_epoch every pass has the same order then.
        skip_bad: leave out the files of a folder that cannot be read, and say which, instead of stopping.

    Raises:
        InvalidInput: (a `ValueError`) in one line, with the nearest right name.
    """
    check_positive(batch_size=batch_size)
    for name, number in (("seed", seed), ("first_epoch", first_epoch or 0), ("first_step", first_step)):
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise InvalidInput(f"{name} must be a whole number from 0, got {number!r}")
    import tensorflow as tf

    given = {"frame": frame, "rate": rate, "size": size, "color": color, "fit": fit, "column": column}
    if isinstance(source, tf.data.Dataset):
        given |= {"limit": limit, "first_epoch": first_epoch, "shuffle": shuffle or None, "service": service}
        given |= {"split": None if split == "train" else split, "skip_bad": skip_bad or None}
        if named := [name for name, value in given.items() if value is not None]:
            raise InvalidInput(f"a tf.data.Dataset is taken as it is: it allows no {', '.join(named)}")
        return of_dataset(source, batch_size, labels, drop_remainder)
    if first_step and first_epoch is None:
        raise InvalidInput("first_step is a place in the pass that first_epoch names: give that too")
    shuffle = split.startswith("train") if shuffle is None else shuffle
    opened = open_source(source, labels=labels, data_dir=data_dir, skip_bad=skip_bad, **given)
    order = Order(shuffle, seed, first_epoch, first_step, drop_remainder)
    return batches(opened.split(split, limit), batch_size, order, service)


def load_arrays(source="digits", split="train", *, labels=False, limit=None, **settings):
    """One split as a dict of arrays: "x" [N, H, W, C] and, with `labels`, "y" int32 [N].

    Sequences are "x" float32 [N, T, *features], padded with zeros to the longest, and "length" int32 [N].

    Args:
        source, split, labels, limit: as `load_dataset`'s.
        **settings: data_dir, frame, rate, size, color, fit, column and skip_bad, as `load_dataset`'s.

    Arrays of named data sets are cached and read-only. Images of uint8 stay so, other numbers become float32, and
    labels and other whole numbers beside the images int32.
    """
    return arrays_of(open_source(source, labels=labels, **settings).split(split, limit))


def arrays_of(source):
    """The arrays of a source, in its order."""
    source = source.in_memory()
    if not source.streamed:
        return source.arrays()
    with told():
        found = list(batches(source, BATCH, Order()).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}


def load_fields(source, data_spec, limit=None):
    """The rows of an open source as a model with this `data_spec` takes them: a dict of arrays, checked."""
    arrays = arrays_of(source.split("all", limit))
    check_batch(arrays, data_spec)
    return arrays


def of_dataset(dataset, batch_size, labels, drop_remainder):
    """A caller's dataset as batches of dicts."""

    def as_dict(*fields):
        fields = fields[0] if len(fields) == 1 else dict(zip(("x", "y"), fields, strict=True))
        fields = dict(fields) if isinstance(fields, dict) else {"x": fields}
        return {k: v for k, v in fields.items() if labels or k != "y"}

    spec = dataset.element_spec
    if isinstance(spec, (tuple, list)) and len(spec) not in (1, 2):
        raise InvalidInput(f"a dataset of tuples must hold (x,) or (x, y), got {len(spec)} fields")
    dataset = dataset.map(as_dict)
    for field in ("x", "y") if labels else ("x",):
        if field not in dataset.element_spec:
            raise InvalidInput(f"the dataset has no field {field!r}, only {sorted(dataset.element_spec)}")
    if LENGTH in dataset.element_spec:
        if dataset.element_spec[LENGTH].shape.rank == 0:
            dataset = dataset.padded_batch(batch_size, drop_remainder=drop_remainder)
    elif dataset.element_spec["x"].shape.rank == 3:
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    return of_pixels(dataset).prefetch(2)


def of_pixels(dataset):
    """A dataset whose x are images of floats 0..255 with 8-bit levels in 0..1 in their place; else as it is."""
    import tensorflow as tf

    spec = dataset.element_spec["x"]
    if not spec.dtype.is_floating or spec.shape.rank != 4 or spec.shape[-1] not in (1, 3):
        return dataset
    first = next(iter(dataset), {"x": np.zeros(1)})["x"]
    if not (np.min(first) >= 0 and 1 < np.max(first) <= 255):
        return dataset
    say_once("x holds floats 0..255: they are taken as 8-bit pixels, rounded and divided by 255")
    return dataset.map(lambda fields: {**fields, "x": tf.round(fields["x"]) / 255})
