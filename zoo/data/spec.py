"""What a batch looks like: the one declaration that builds models, signs exports and checks data."""

from typing import NamedTuple

LABELS = "y"  # the field of `load_dataset(..., labels=True)`


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
    An `optional` field may be left out of a batch.
    """

    shape: tuple
    dtype: str = "float32"
    minimum: float | None = None
    maximum: float | None = None
    role: str = "data"
    optional: bool = False


def named_fields(batch, data_spec):
    """Name -> array of a batch: a dict as it is, a tuple in the order of `data_spec`, an array as its first field."""
    if isinstance(batch, (tuple, list)) and isinstance(batch[0], dict):
        batch = batch[0]
    if isinstance(batch, dict):
        return batch
    return dict(zip(data_spec, batch if isinstance(batch, (tuple, list)) else [batch], strict=False))


def takes_labels(data_spec):
    """Whether a model needs what `load_dataset(..., labels=True)` gives."""
    return LABELS in data_spec
