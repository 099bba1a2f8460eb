"""Batches as a `tf.data.Dataset`: whole uint8 batches gathered from memory, in an order that can be resumed."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.arrays import describe_source, load_arrays, open_fields
from zoo.data.blocks import stream_batches
from zoo.data.buckets import sequence_batches
from zoo.data.passes import passes
from zoo.data.sequences import is_sequences, load_sequences
from zoo.data.sizes import look_of
from zoo.data.spec import LENGTH
from zoo.data.streams import is_stream
from zoo.errors import InvalidInput, check_positive
from zoo.quiet import say_once

if TYPE_CHECKING:
    import tensorflow as tf


def load_dataset(
    source: Any = "digits",
    split: str = "train",
    batch_size: int = 128,
    *,
    labels: bool = False,
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
) -> "tf.data.Dataset":
    """Batches `{"x": [B, H, W, C]}`, and `"y"` int32 [B] with `labels`, as a `tf.data.Dataset`.

    Batches of sequences are `{"x": float32 [B, T, *features], "length": int32 [B]}`, zeros behind each end. Sequences
    of like lengths meet in a batch, so that less than a tenth of the frames of a pass are padding, and T takes few
    values; B is `batch_size` at most. What is not shuffled comes by T, as `bucket_order` says.

    Args:
        source: one of
            * a name, see `list_datasets`; images are uint8 0..255, piano rolls 0 or 1, waveforms -1..1;
            * a folder of PNG or JPEG images, sorted by path, of one size or with `size` and `color` of any. Labels are
              its sub-folders, numbered from 0 by name (cats/ 0, dogs/ 1); or they are `train`, `validation` and `test`,
              with class sub-folders in them. 16-bit images are scaled to 8 bits, photographs are turned upright as
              their EXIF data say; transparent and animated ones are refused;
            * an .npy file (= x) or an .npz file with `x` and optionally `y`. Folders without splits of their own, and
              files, are divided 80/10/10 by a fixed permutation; `split="all"` takes them whole;
            * an .npz file as Keras' data sets are stored, x_train, y_train, x_test, y_test: a tenth of x_train is the
              validation set, unless there is an x_val;
            * an array, or a dict of arrays with "x" and optionally "y", taken whole;
            * a pandas DataFrame, a Parquet file (divided as other files) or a data set of Hugging Face: a `column` of
              pictures, or the numbers of all columns as x [N, D]; a column called "label" or "y" is the labels;
            * a folder of MIDI or of WAV files, in class or split folders as images are, or one such file: piano rolls
              [T, 88] with a frame a quarter note, or waveforms;
            * what is read while it is used, in constant memory: a TFRecord or ArrayRecord file of `tf.train.Example`s
              (`zoo.data.records`), a folder of such, a pattern of such or of pictures, "shards/*.tfrecord", here or
              where TensorFlow's file systems reach; a folder of more than a gigabyte of pictures. They are divided
              80/10/10 too, records in pieces of up to 1,024. Each pass goes through the pieces in a new order, and
              shuffles blocks of up to 64 MB of rows;
            * a list of arrays [T, *features] or waveforms [samples] of several lengths, or a dict of such a list as
              "x"; or a dict or .npz file of padded "x" [N, T, *features] with "length" [N];
            * a `tf.data.Dataset` of images, (image, label) tuples or dicts with "x": turned into dicts, and batched
              if its x has rank 3, one image [H, W, C]; any other rank is taken as batched. Images of floats 0..255,
              as `keras.utils.image_dataset_from_directory` gives them, are divided by 255, which is said. Sequences
              come as dicts with "length", and are padded and batched where that is one number.
        split: "train", "validation", "test" or "train+validation".
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

    Raises:
        InvalidInput: (a `ValueError`) in one line, with the nearest right name.
    """
    check_positive(batch_size=batch_size)
    for name, number in (("seed", seed), ("first_epoch", first_epoch or 0), ("first_step", first_step)):
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise InvalidInput(f"{name} must be a whole number from 0, got {number!r}")
    import tensorflow as tf

    if isinstance(source, tf.data.Dataset):
        look = {"size": size, "color": color, "fit": fit, "column": column}
        given = {"limit": limit, "first_epoch": first_epoch, "shuffle": shuffle or None, **look, "service": service}
        given |= {"split": None if split == "train" else split}
        if named := [name for name, value in given.items() if value is not None]:
            raise InvalidInput(f"a tf.data.Dataset is taken as it is: it allows no {', '.join(named)}")
        return _as_batches(source, batch_size, labels, drop_remainder)
    if shuffle is None:
        shuffle = split.startswith("train")
    if first_step and first_epoch is None:
        raise InvalidInput("first_step is a place in the pass that first_epoch names: give that too")
    position = {"seed": seed, "first_epoch": first_epoch, "first_step": first_step, "drop_remainder": drop_remainder}
    if is_stream(source, look_of(size, color, fit)):
        if frame is not None or rate is not None:
            raise InvalidInput(f"frame and rate are for waveforms, and {describe_source(source)} has none")
        stream, fields = open_fields(source, split, labels, limit, look_of(size, color, fit), column)
        return stream_batches(stream, batch_size, shuffle, fields=fields, service=service, **position)
    if service is not None:
        raise InvalidInput(f"a tf.data service is for data that are streamed, and {describe_source(source)} is loaded")
    given = {"limit": limit, "data_dir": data_dir, "frame": frame, "rate": rate}
    look = {"size": size, "color": color, "fit": fit, "column": column}
    if is_sequences(source) and not any(value is not None for value in look.values()):
        sequences = load_sequences(source, split, **given).labelled(labels, describe_source(source))
        return sequence_batches(sequences, batch_size, shuffle, **position)
    arrays = load_arrays(source, split, labels=labels, **given, **look)
    count = len(arrays["x"])

    def arrange(key):
        order = tf.range(count, dtype=tf.int64)
        return tf.random.experimental.stateless_shuffle(order, key, alg="philox") if shuffle else order

    return batches_of(arrays, arrange, count, batch_size, **position)


def batches_of(arrays, arrange, count, batch_size, seed, first_epoch, drop_remainder, first_step=0):
    """A dataset of dicts of [B, ...] slices of `arrays`, B examples gathered at a time.

    Args:
        arrays: name -> array [N, ...].
        arrange: the key of a pass, int64 [2] -> the rows of that pass in their order, int64 [count].
        first_epoch, first_step: as `load_dataset`'s.
    """
    import tensorflow as tf

    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if not steps:
        raise InvalidInput(f"{count} examples do not fill one batch of {batch_size}: use a smaller batch_size")
    with tf.device("/CPU:0"):  # the pipeline runs on the host; a copy on the accelerator would be carried back
        arrays = {k: tf.constant(v) for k, v in arrays.items()}

    def one_pass(key):
        """The batches of one pass in the order of `key` int64 [2]."""
        order = arrange(key)

        def batch(step):
            rows = order[step * batch_size : (step + 1) * batch_size]
            if drop_remainder:
                rows = tf.ensure_shape(rows, [batch_size])
            return {k: tf.gather(v, rows) for k, v in arrays.items()}

        return tf.data.Dataset.range(steps).map(batch)

    return passes(one_pass, steps, seed, first_epoch, first_step)


def _as_batches(dataset, batch_size, labels, drop_remainder):
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
    return _pixels(dataset).prefetch(2)


def _pixels(dataset):
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
