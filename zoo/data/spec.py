"""What a batch looks like: the one declaration that builds models, signs exports and checks data."""

from typing import NamedTuple


class FieldSpec(NamedTuple):
    """One field of a batch, without its leading batch axis.

    `minimum` and `maximum` bound every value (None: unbounded). Images may also come as uint8 0..255;
    `LatentVariableModel.preprocess` divides those by 255.
    """

    shape: tuple
    dtype: str = "float32"
    minimum: float | None = None
    maximum: float | None = None
