"""What a batch looks like: the one declaration that builds models, signs exports and checks data."""

from typing import NamedTuple

from zoo.errors import InvalidInput

LENGTH = "length"  # the field of a batch of sequences that says where each ends
LABELS = "y"  # the field of `load_dataset(..., labels=True)`
TARGET = "target"  # a column of a batch: what the likelihood scores in place of the first data field
WEIGHT = "sample_weight"  # a column of a batch: how much each row counts


class FieldSpec(NamedTuple):
    """One field of a batch, without its leading batch axis.

    `minimum` and `maximum` bound every value (None: unbounded). Images may also come as uint8 0..255;
    `LatentVariableModel.preprocess` divides those by 255.

    `role` says what a field is for, whatever its name:
        data: modelled by p(x | z).
        condition: given, always.
        label: a class that may be unknown, -1.
        mask: of the data fields of its shape: 1 where a value was observed and 0 where it is missing.
        length: how many steps of a sequence are real.
        seed: of an endpoint's draws, a row.
        latent: what `decode` takes.
        target: scored by the likelihood in place of the first data field.
        weight: how much a row counts.
    An `optional` field may be left out of a batch.
    """

    shape: tuple
    dtype: str = "float32"
    minimum: float | None = None
    maximum: float | None = None
    role: str = "data"
    optional: bool = False


def named_fields(batch, data_spec):
    """Name -> array of a batch, in every form that Keras' verbs give it.

    Args:
        batch: a dict, as it is; the first field alone; or a tuple: the fields in the order of `data_spec` (or a dict of
            some of them and then the others), a target where no field is left for its place, and weights of the rows.
            What is None is left out: (x, None, weights). A mask is given by name.

    Raises:
        InvalidInput: more entries than that.
    """
    if isinstance(batch, dict):
        return batch
    first, *rest = batch if isinstance(batch, (tuple, list)) else [batch]
    names = [name for name, spec in data_spec.items() if spec is None or spec.role not in ("mask", "weight", "target")]
    if isinstance(first, (tuple, list)):
        if len(first) > len(names):
            shape = getattr(first[0], "shape", ())
            cure = "give targets as y" if len(shape) > len(data_spec[names[0]].shape) else "np.stack(...)"
            raise InvalidInput(f"{names[0]} is a list of {len(first)}, and a batch is one array: {cure}")
        first = dict(zip(names, first, strict=False))
    fields = dict(first) if isinstance(first, dict) else {names[0]: first}
    left = [name for name in names if name not in fields]
    places = [*(left or [TARGET]), WEIGHT]
    if len(rest) > len(places):
        raise InvalidInput(f"a batch is ({', '.join([*fields, *places])}), got {len(rest) + 1} entries")
    return fields | {name: value for name, value in zip(places, rest, strict=False) if value is not None}


def are_pixels(value, spec):
    """Whether a field's values are uint8 0..255, which stands for 0..1 and lies in the field's range."""
    takes = spec.role not in ("mask", "weight") and spec.dtype == "float32"
    return takes and value.dtype == "uint8" and (spec.minimum or 0) <= 0 and spec.maximum in (None, 1)


def takes_labels(data_spec):
    """Whether a model needs what `load_dataset(..., labels=True)` gives."""
    return LABELS in data_spec
