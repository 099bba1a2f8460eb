"""Records that are a `tf.train.Example` with a picture or numbers as x, and a label where there is one.

Its features are called as the columns of tables are: "image" or "x", and "label" or "y". x is a picture's file, raw
bytes of uint8 with an int64 feature "shape", or numbers, with such a "shape" where they are no vector.
"""

import functools
from typing import NamedTuple

import numpy as np

from zoo.data.sizes import Look
from zoo.data.sources.pictures import decoded
from zoo.data.spec import LABELS
from zoo.errors import InvalidInput, choose

PICTURES, LABEL_NAMES = ("image", "x"), ("label", "y")  # features and columns that are taken unless one is named
ENCODED = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"II*\0", b"MM\0*", b"BM")  # how files of pictures begin


class Layout(NamedTuple):
    """Where a record has x and y, in what form, the shape of x, and what its pictures are made to be."""

    x: str
    y: str | None
    form: str  # "encoded", "raw", "float" or "int"
    shape: tuple
    look: Look | None = None

    @property
    def keeps_size(self):
        """Whether x takes as many bytes as in its record."""
        return self.form in ("raw", "float") and self.look is None

    def features(self):
        """What `tf.io.parse_example` looks for."""
        import tensorflow as tf

        kinds = {"float": tf.float32, "int": tf.int64}
        size = [int(np.prod(self.shape))] if self.form in ("float", "int") else []
        found = {self.x: tf.io.FixedLenFeature(size, kinds.get(self.form, tf.string))}
        return found if self.y is None else {**found, self.y: tf.io.FixedLenFeature([], tf.int64)}

    def parse(self, records):
        """{"x" [B, *shape] uint8 or float32, "y" int32 [B]} of records, string [B], in a graph."""
        import tensorflow as tf

        fields = tf.io.parse_example(records, self.features())
        x = fields[self.x]
        if self.form != "encoded":
            x = tf.io.decode_raw(x, tf.uint8) if self.form == "raw" else tf.cast(x, tf.float32)
            x = tf.reshape(tf.ensure_shape(x, [None, int(np.prod(self.shape))]), [-1, *self.shape])
        if self.look or self.form == "encoded":
            x = tf.numpy_function(self.looked, [x], tf.float32 if self.form in ("float", "int") else tf.uint8, False)
            x = tf.ensure_shape(x, [None, *self.looked_shape])
        return {"x": x} if self.y is None else {"x": x, LABELS: tf.cast(fields[self.y], tf.int32)}

    def looked(self, pictures):
        """Pictures, or files of pictures, as the look has them."""
        if self.form == "encoded":
            pictures = [decoded(content, "a picture in a record", len(content)) for content in pictures]
        pictures = [self.look.apply(picture) for picture in pictures] if self.look else pictures
        for picture in pictures:
            if picture.shape != self.looked_shape:
                raise InvalidInput(
                    f"a picture in a record is {picture.shape}, the first {self.looked_shape}: give size and color"
                )
        return np.stack(pictures)

    @property
    def looked_shape(self):
        """The shape of x once the look is applied."""
        return self.look.apply(np.zeros(self.shape, "uint8")).shape if self.look else self.shape


def layout_of(record, said, column=None, look=None):
    """The `Layout` of a record, and of all others beside it; `said` is what errors call their source.

    Raises:
        InvalidInput: no Example, no feature that could be x, raw bytes without a shape that fits them.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    try:
        features = Example.FromString(record).features.feature
    except DecodeError:
        raise InvalidInput(f"the records of {said} are no tf.train.Example") from None
    names = sorted(features)
    if column is not None:
        choose("column", column, names)
    name = column or next((known for known in PICTURES if known in names), None)
    if name is None:
        raise InvalidInput(f"the records of {said} have no feature image or x, but {', '.join(names) or 'none'}")
    labels = [known for known in LABEL_NAMES if known in names and len(features[known].int64_list.value) == 1]
    form, shape = form_of(features[name], list(features["shape"].int64_list.value), name, said)
    return Layout(name, next(iter(labels), None), form, shape, look)


def form_of(feature, shape, name, said):
    """(form, shape) of the feature that is x."""
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    if kind == "bytes_list" and len(values) == 1 and values[0].startswith(ENCODED):
        return "encoded", decoded(values[0], f"{name} of the first record", len(values[0])).shape
    if kind == "bytes_list" and len(values) == 1:
        count, form = len(values[0]), "raw"
        if not shape:
            raise InvalidInput(f"{name} of {said} is no picture; raw bytes need an int64 feature 'shape'")
    elif kind in ("float_list", "int64_list") and len(values):
        count, form = len(values), kind.removesuffix("64_list").removesuffix("_list")
    else:
        raise InvalidInput(f"{name} of {said} holds no picture and no numbers")
    if shape and np.prod(shape) != count:
        raise InvalidInput(f"{name} of {said} has {count} values, and its shape says {list(shape)}")
    return form, tuple(shape or [count])


def example_of(x, y=None):
    """The bytes of a record of an example x, a uint8 or float32 array, and its label."""
    from tensorflow.core.example.example_pb2 import Example

    example = Example()
    feature = example.features.feature
    if x.dtype == np.uint8:
        feature["x"].bytes_list.value.append(x.tobytes())
    else:
        feature["x"].float_list.value.extend(x.ravel().tolist())
    feature["shape"].int64_list.value.extend(x.shape)
    if y is not None:
        feature[LABELS].int64_list.value.append(int(y))
    return example.SerializeToString()


@functools.lru_cache(maxsize=16)
def parser(layout):
    """The `parse` of a layout as a graph."""
    import tensorflow as tf

    return tf.function(layout.parse, input_signature=[tf.TensorSpec([None], tf.string)])


def keys_of(contents, feature):
    """What a feature of records, bytes [N], holds: text [N]."""
    from tensorflow.core.example.example_pb2 import Example

    features = [Example.FromString(bytes(content)).features.feature[feature] for content in contents]
    values = [list(getattr(each, each.WhichOneof("kind") or "bytes_list").value) for each in features]
    if any(len(value) != 1 for value in values):
        raise InvalidInput(f"a record has no feature {feature!r} of one value")
    return [value.decode() if isinstance(value, bytes) else str(value) for (value,) in values]
