"""The variational autoencoder.

    p(z) = prior                    N(0, I) unless said
    p(x | z) = likelihood(decoder(z))
    q(z | x) = posterior(encoder(x))

Kingma & Welling 2014, arXiv:1312.6114; Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082.
"""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo import likelihoods, networks, posteriors, priors  # noqa: F401  (registers the parts)
from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, check_positive
from zoo.models.base import LatentVariableModel
from zoo.objectives import bounds
from zoo.objectives.trace import Trace
from zoo.randomness import as_seed, seeded
from zoo.registry import DECODERS, ENCODERS, LIKELIHOODS, POSTERIORS, PRIORS, register

tfd = tfp.distributions


@register("vae")
@keras.saving.register_keras_serializable("zoo")
class VAE(LatentVariableModel):
    """A variational autoencoder with one latent `z` [D].

    Args:
        data_shape: shape of x without the batch axis, such as (28, 28, 1).
        latent_dim: D.
        encoder: "mlp", "conv", a dict with the name and its arguments, or a Keras layer [N, *data_shape] -> [N, ...].
        decoder: as `encoder`; None mirrors the encoder. A Keras layer maps [N, D] to
            [N, *data_shape[:-1], channels * k], k being the numbers the likelihood takes for each value of x.
        posterior: "diagonal", "full_covariance", or a layer from features to a distribution over [D].
        prior: "standard_normal", or a layer whose `distribution()` is one over [D].
        likelihood: "bernoulli", "normal", "discretized_logistic" or "categorical".
        **kwargs: `bound`, `num_samples`, `beta`, `binarize`, `seed`: see `LatentVariableModel`.
    """

    path_derivatives = True

    def __init__(
        self,
        data_shape=(28, 28, 1),
        latent_dim=32,
        encoder="mlp",
        decoder=None,
        posterior="diagonal",
        prior="standard_normal",
        likelihood="bernoulli",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(data_shape=tuple(data_shape), latent_dim=latent_dim)
        self.data_shape, self.latent_dim = tuple(data_shape), latent_dim
        if decoder is None:
            if isinstance(encoder, keras.layers.Layer):
                raise InvalidInput("an encoder of your own has no mirror image: give the decoder too")
            decoder = encoder
        with seeded(self.seed):
            self.likelihood_head = LIKELIHOODS.create(likelihood, data_shape=self.data_shape)
            self.encoder = ENCODERS.create(encoder, data_shape=self.encoder_input_shape)
            self.decoder = DECODERS.create(decoder, output_shape=self.likelihood_head.decoder_shape)
            self.posterior_head = POSTERIORS.create(posterior, latent_dim=latent_dim)
            self.prior_head = PRIORS.create(prior, latent_dim=latent_dim)

    @property
    def encoder_input_shape(self):
        return self.data_shape

    @property
    def data_spec(self):
        low, high = self.likelihood_head.minimum, self.likelihood_head.maximum
        return {"x": FieldSpec(self.data_shape, "float32", low, high)}

    @property
    def inference_layers(self):
        return [self.encoder, self.posterior_head]

    # p and q

    def prior(self):
        """p(z), over [D]."""
        return self.prior_head.distribution()

    def posterior(self, x):
        """q(z | x) of x [B, *data_shape]: batch [B], event [D]."""
        return self.posterior_head(self.encoder(x))

    def likelihood(self, z):
        """p(x | z) of z [..., D]: batch [...], event data_shape."""
        return self.likelihood_head(self.decode_parameters(z))

    def decode_parameters(self, code):
        """The decoder's output for a code [..., F]: leading axes are folded into one and unfolded again."""
        parameters = self.decoder(tf.reshape(code, [-1, code.shape[-1]]))
        shape = self.likelihood_head.decoder_shape
        if parameters.shape[1:].num_elements() != math.prod(shape):
            raise InvalidInput(f"the decoder gives {tuple(parameters.shape[1:])} an example; it must give {shape}")
        lead = [-1] if code.shape.rank == 2 else tf.shape(code)[:-1]
        return tf.reshape(parameters, tf.concat([lead, shape], 0))

    # The contract

    def call(self, inputs, num_samples=None, training=None, seed=None):
        inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
        posterior = self.posterior(**inputs)
        draws, seed = num_samples or self.num_samples, as_seed(seed)
        if training and self.bound.func in bounds.PATH:
            return self.path_trace(inputs, posterior, draws, seed)
        z, log_posterior = posterior.experimental_sample_and_log_prob(draws, seed=seed)
        return self.trace(inputs, posterior, z, log_posterior)

    def trace(self, inputs, posterior, z, log_posterior):
        """The trace of draws z [S, B, D] with their log q(z | x) [S, B]."""
        latents = {"z": z[:, None]}
        log_likelihood, log_prior = self.log_joint(latents, inputs)
        zeros = tf.zeros_like(log_posterior[0])
        return Trace(
            latents=latents,
            log_likelihood=log_likelihood,
            log_prior=log_prior,
            log_posterior={"z": log_posterior[:, None]},
            log_mass=zeros[None, None],
            penalty=zeros,
            kl_per_unit=closed_form_kl(posterior, self.prior()),
        )

    def path_trace(self, inputs, posterior, draws, seed):
        """As `trace`, of base draws whose values alone the log terms know, with `base` and `path`."""
        flow = hasattr(posterior, "push")  # as `zoo.networks.flows` has them: a base and the way forward from it
        origin = posterior.distribution if flow else posterior
        base = origin.sample(draws, seed=seed)
        fixed = tf.stop_gradient(base)
        with tf.GradientTape() as tape:
            tape.watch(fixed)
            z, log_det = posterior.push(fixed) if flow else (fixed, 0.0)
            log_base = origin.log_prob(fixed)
            trace = self.trace(inputs, posterior, z, log_base - log_det)
            tempered = trace.temper(self.beta).log_weight
        path = tf.stop_gradient(tape.gradient(tempered, fixed))
        held = tf.stop_gradient(log_base) - log_det
        return trace._replace(log_posterior={"z": held[:, None]}, base={"z": base[:, None]}, path={"z": path[:, None]})

    def likelihood_given(self, latents, inputs):
        return self.likelihood(latents["z"], **without_x(inputs))

    def log_joint(self, latents, inputs):
        likelihood = self.likelihood_given(latents, inputs)
        return likelihood.log_prob(inputs["x"]), {"z": self.prior().log_prob(latents["z"])}

    def draw_latents(self, n, seed=None):
        return {"z": self.prior().sample(n, seed=as_seed(seed))}

    def locations(self, inputs):
        return {"z": self.posterior(**inputs).mean()}

    @property
    def discrete(self):
        return self.likelihood_head.discrete

    @property
    def values_per_pixel(self):
        return self.likelihood_head.num_parameters

    def encode(self, x, **condition):
        """[B, D]: the posterior's location."""
        return self.posterior(**self.inputs(x=x, **condition)).mean()

    def decode(self, z, **condition):
        """[B, *data_shape]: the mean of p(x | z) of z [B, D]."""
        fields = self.inputs(z=z, **condition)
        return self.likelihood(**fields).mean()

    def reconstruct(self, x, **condition):
        """[B, *data_shape]: the mean of p(x | z) at the posterior's location."""
        fields = self.inputs(x=x, **condition)
        z = self.posterior(**fields).mean()
        return self.likelihood(z, **without_x(fields)).mean()

    def sample(self, n, seed=None, mean=False, **condition):
        """[n, *data_shape]: draws of p(x), or with `mean` the means of p(x | z) at drawn z."""
        return self.simulate(n, seed, mean, **condition)[1]

    def interpolate(self, x0, x1, steps=8, **condition):
        """[steps, B, *data_shape]: decoded points on the line between the locations of x0 and x1, ends included."""
        check_positive(steps=steps)
        start, stop = self.encode(x0, **condition), self.encode(x1, **condition)
        places = tf.linspace(0.0, 1.0, steps)
        return tf.stack([self.decode(start + place * (stop - start), **condition) for place in places])

    def adapt(self, dataset):
        """Set the decoder's output bias so that an untrained model gives the mean image of `dataset`."""
        layer = getattr(self.decoder, "output_layer", None)
        if layer is None:
            return
        total, count = 0.0, 0
        for batch in dataset:
            x = self.fields(batch)["x"]
            total, count = total + tf.reduce_sum(x, 0), count + x.shape[0]
        bias = self.likelihood_head.initial_bias(total / count)
        if math.prod(layer.bias.shape) != math.prod(bias.shape):
            bias = tf.reduce_mean(bias, range(bias.shape.rank - 1))
        layer.bias.assign(tf.reshape(bias, layer.bias.shape))

    # Endpoints

    @property
    def latent_spec(self):
        return {"z": FieldSpec((self.latent_dim,), "float32")}

    @property
    def endpoints(self):
        condition = [name for name in self.data_spec if name != "x"]
        return {
            "reconstruct": (self.serve_reconstruct, ["x", *condition]),
            "encode": (self.serve_encode, ["x", *condition]),
            "decode": (self.serve_decode, ["z", *condition]),
            "sample": (self.serve_sample, ["seed", *condition]),
            "score": (self.serve_score, ["x", "seed", *condition]),
        }

    def serve_reconstruct(self, x, **condition):
        return {"reconstruction": self.reconstruct(x, **condition)}

    def serve_encode(self, x, **condition):
        posterior = self.posterior(x, **condition)
        return {"z": posterior.mean(), "z_scale": posterior.stddev()}

    def serve_decode(self, z, **condition):
        return {"reconstruction": self.decode(z, **condition)}

    def serve_sample(self, seed, **condition):
        """x [N, ...]: the mean of p(x | z) at a z drawn from each row's own seed."""
        z = tf.vectorized_map(lambda row: self.prior().sample(seed=row), tf.bitcast(seed, tf.int32))
        return {"x": self.likelihood(z, **condition).mean()}


def without_x(fields):
    """The fields a model is conditioned on."""
    return {name: value for name, value in fields.items() if name != "x"}


def closed_form_kl(posterior, prior):
    """{"z": [B, D]} where both are independent normal units, else {}."""
    pair = (posterior, prior)
    if not all(isinstance(d, tfd.Independent) and isinstance(d.distribution, tfd.Normal) for d in pair):
        return {}
    return {"z": tfd.kl_divergence(posterior.distribution, prior.distribution)}
