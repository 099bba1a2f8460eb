"""A convolutional encoder with max pooling and dropout, for classifiers of few labels."""

import keras

from zoo.errors import InvalidInput
from zoo.networks.convolutional import halvings
from zoo.networks.mlp import Chain, activation_function, dense_layers
from zoo.networks.shared import Dropout
from zoo.registry import ENCODERS


@ENCODERS.register("pooled_conv")
def pooled_conv_encoder(data_shape, filters=(16, 32), hidden_units=(128,), activation="relu", dropout=(0.0, 0.25, 0.5)):
    """[N, H, W, C] -> [N, F]: a 3x3 convolution and a 2x2 max pooling per entry of `filters`, then dense layers.

    Args:
        filters: how many channels each stage has; each halves the sides.
        hidden_units: widths of the dense layers; may be empty.
        activation: of convolutions and dense layers.
        dropout: the share of values that training drops after each stage and, last, after the dense layers.

    Raises:
        InvalidInput: no image, one too small for that many stages, or shares that are not one a stage and one more.
    """
    halvings(data_shape, filters)
    shares = dropout if isinstance(dropout, (list, tuple)) else ()
    if len(shares) != len(filters) + 1 or not all(0 <= share < 1 for share in shares):
        raise InvalidInput(f"dropout takes {len(filters) + 1} shares in [0, 1), one a stage and one, got {dropout!r}")
    layers = []
    for channels, share in zip(filters, shares, strict=False):
        layers += [
            keras.layers.Conv2D(channels, 3, padding="same", activation=activation_function(activation)),
            keras.layers.MaxPooling2D(2, padding="same"),
            Dropout(share),
        ]
    layers += [keras.layers.Flatten(), *dense_layers(hidden_units, activation), Dropout(shares[-1])]
    return Chain(layers, name="encoder")
