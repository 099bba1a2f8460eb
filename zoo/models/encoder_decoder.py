"""What all models with one encoder and one decoder share, whatever latents lie between them."""

import math

import keras
import numpy as np
import tensorflow as tf

from zoo import likelihoods, networks  # noqa: F401  (registers the parts)
from zoo.data.spec import TARGET, FieldSpec
from zoo.errors import InvalidInput, check_positive
from zoo.models.base import LatentVariableModel
from zoo.models.inputs import checked
from zoo.registry import DECODERS, ENCODERS, LIKELIHOODS

BOUNDED = tuple(map(keras.activations.get, ("sigmoid", "hard_sigmoid", "softmax", "tanh", "hard_tanh", "softsign")))
ARRANGING = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)


class EncoderDecoder(LatentVariableModel):
    """A model of one data field x [*data_shape], whose likelihood is a head on a decoder."""

    taken = False  # whether its networks are those of another model
    own_decoder = False  # whether its decoder is a caller's layer

    def make_networks(self, data_shape, encoder, decoder, likelihood):
        """Make `encoder`, `decoder` and `likelihood_head`; a decoder that is None mirrors the encoder."""
        self.make_likelihood(data_shape, likelihood)
        self.own_decoder = isinstance(decoder, keras.layers.Layer) or (
            isinstance(decoder, dict) and "class_name" in decoder
        )
        if decoder is None:
            decoder = getattr(encoder, "made_of", encoder)
            if isinstance(decoder, keras.layers.Layer):
                raise InvalidInput("an encoder of your own has no mirror image: give the decoder too")
        self.encoder = ENCODERS.create(encoder, data_shape=self.encoder_input_shape)
        self.decoder = DECODERS.create(decoder, output_shape=self.likelihood_head.decoder_shape)

    def make_likelihood(self, data_shape, likelihood):
        """Make `likelihood_head`, for data of a shape."""
        check_positive(data_shape=tuple(data_shape))
        self.data_shape = tuple(data_shape)
        self.likelihood_head = LIKELIHOODS.create(likelihood, data_shape=self.data_shape)
        if self.masked and not self.likelihood_head.factorized:
            raise InvalidInput(
                f"values that may be missing (masked) need a likelihood of each value, not {likelihood!r}"
            )

    def build(self, input_shape=None):
        """As every model's; and a decoder of one's own is tried out."""
        fresh = not self.built
        super().build(input_shape)
        head = self.likelihood_head
        if fresh and self.own_decoder and (head.discrete or head.num_parameters > 1):
            self.refuse_bounded_decoder()

    def refuse_bounded_decoder(self):
        """Raise `InvalidInput` for a decoder that ends in a sigmoid or the like: a head takes unbounded numbers."""
        width = self.decoder.get_build_config()["input_shape"][-1]
        codes = tf.random.stateless_normal([8, width], [5, 7], stddev=1000.0)
        found = self.decoder(tf.cast(codes, self.decoder.compute_dtype))
        if not tf.executing_eagerly():
            return
        found = np.asarray(found, "float32")
        shares = np.ptp(found, 0).any() and found.min() >= 0 and found.max() <= 1
        if shares or getattr(last_layer(self.decoder), "activation", None) in BOUNDED:
            raise InvalidInput(
                "the decoder ends in a bounded activation such as a sigmoid; the likelihood "
                "takes unbounded numbers (logits): leave that activation out"
            )

    @property
    def encoder_input_shape(self):
        return self.data_shape

    @property
    def data_spec(self):
        low, high = self.likelihood_head.minimum, self.likelihood_head.maximum
        x = FieldSpec(self.data_shape, "float32", low, high)
        mask = FieldSpec(self.data_shape, "float32", 0.0, 1.0, role="mask", optional=True)
        return {"x": x, "mask": mask} if self.masked else {"x": x}

    @property
    def discrete(self):
        return self.likelihood_head.discrete

    def image(self, inputs):
        """The first data field of a model's inputs."""
        return inputs[self.fields_of("data")[0]]

    @checked
    def likelihood(self, z):
        """p(x | z) of z [..., D]: batch [...], event data_shape."""
        return self.decoded(z)

    def decoded(self, code):
        """The likelihood of what the decoder makes of a code [..., F]."""
        return self.likelihood_head(self.decode_parameters(code))

    def decode_parameters(self, code):
        """The decoder's output for a code [..., F]: leading axes are folded into one and unfolded again."""
        parameters = self.decoder(tf.reshape(code, [-1, code.shape[-1]]))
        shape = self.likelihood_head.decoder_shape
        if parameters.shape[1:].num_elements() != math.prod(shape):
            raise InvalidInput(f"the decoder gives {tuple(parameters.shape[1:])} an example; it must give {shape}")
        lead = [-1] if code.shape.rank == 2 else tf.shape(code)[:-1]
        return tf.reshape(parameters, tf.concat([lead, shape], 0))

    @property
    def parts(self):
        """Name -> layer of what a recipe may keep as it is."""
        heads = {"posterior": self.posterior_head, "likelihood": self.likelihood_head}
        return {"encoder": self.encoder, "decoder": self.decoder, **heads}

    def adapt(self, dataset):
        """Set the decoder's output bias so that an untrained model gives the mean image of `dataset`."""
        layer = getattr(self.decoder, "output_layer", None)
        if layer is None or self.taken:
            return
        total, count = 0.0, 0
        for inputs in self.batches(dataset):
            x = inputs.get(TARGET, self.image(inputs))
            total, count = total + tf.reduce_sum(x, 0), count + x.shape[0]
        bias = self.likelihood_head.initial_bias(total / count)
        if math.prod(layer.bias.shape) != math.prod(bias.shape):
            bias = tf.reduce_mean(bias, range(bias.shape.rank - 1))
        layer.bias.assign(tf.reshape(bias, layer.bias.shape))


def last_layer(layer):
    """The last layer of a network that does more than arrange its input."""
    while inner := [one for one in getattr(layer, "layers", ()) if not isinstance(one, ARRANGING)]:
        layer = inner[-1]
    return layer
