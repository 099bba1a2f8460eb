"""What all models of sequences share: a latent at every step, and one masked loop over the steps.

    p(z_t | past)                    transition(state)
    p(x_t | z_t, past)               likelihood(decoder(emit(state, z_t)))
    q(z_t | z_1..t-1, x)             infer(state, prior, evidence_t)
    the state of the next step       advance(state, z_t, seen_t)

A state is a dict of tensors [N, ...] and holds all that later steps know of earlier ones; rows N are the draws of each
example, side by side. What depends on x alone is made before the loop, for all steps at once: time is axis 0 there.
Padded steps leave the state alone and add nothing to any term.
"""

import keras
import tensorflow as tf

from zoo.data.spec import TARGET, WEIGHT, FieldSpec
from zoo.errors import InvalidInput, check_positive, check_widths
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.particles import BLOCK
from zoo.models.sequence_loop import SequenceLoop, by_draw, from_past, from_posterior
from zoo.models.sequence_verbs import SequenceVerbs
from zoo.networks.recurrent import cell_of, time_first
from zoo.objectives.trace import Pass, Trace
from zoo.probability import tfp
from zoo.randomness import seeded
from zoo.replicas import drawn

tfd = tfp.distributions


class SequenceModel(SequenceVerbs, SequenceLoop, EncoderDecoder):
    """A model of sequences x [T, ...].

    Args:
        data_shape: (T, ...) of x; T is None where every batch may have its own.
        state_dim: units of the recurrent state.
        hidden_units: widths of the perceptrons between state, latents and distributions.
        cell: of the recurrent network, "gru" or "lstm".
        encoder: the network that every x_t goes through, as `VAE` takes it; None is a perceptron of `hidden_units`. Its
            mirror image decodes.
        likelihood: of every x_t: "bernoulli", "normal", "normal_mixture", "categorical" or "discretized_logistic".
        truncate: after how many steps gradients stop, for long sequences; the state is carried on. None never.
        **kwargs: `bound`, `num_samples`, `beta`, `penalties`, `binarize`, `masked`, `seed`: see `LatentVariableModel`.
    """

    capabilities = (EncoderDecoder.capabilities | {"steps"}) - {"decoder", "scale"}
    latent_names, latent_dim = (), 0

    def __init__(
        self,
        data_shape=(None, 88),
        state_dim=32,
        hidden_units=(32,),
        cell="gru",
        encoder=None,
        likelihood="bernoulli",
        truncate=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(state_dim=state_dim)
        check_widths(1, hidden_units=hidden_units)
        if truncate is not None:
            check_positive(truncate=truncate)
        if self.penalties:
            raise InvalidInput("penalties compare one code an example with others; a model of sequences has many")
        if len(data_shape) < 2 or data_shape[0] == 0:
            raise InvalidInput(f"data_shape is (steps or None, features, ...), got {tuple(data_shape)}")
        self.state_dim, self.hidden_units = state_dim, tuple(hidden_units)
        self.cell_name, self.truncate = cell, truncate
        with seeded(self.seed):
            encoder = encoder or {"name": "mlp", "hidden_units": list(hidden_units)}
            self.make_networks(data_shape[1:], encoder, None, likelihood)
            self.make_parts()
        self.step_shape, self.data_shape = self.data_shape, tuple(data_shape)

    @classmethod
    def examples(cls):
        sizes = {"data_shape": (None, 3), "state_dim": 4, "hidden_units": (5,), "seed": 1}
        return {
            "gru": sizes,
            "lstm, masked": {**sizes, "cell": "lstm", "masked": True, "truncate": 2, "likelihood": "normal"},
        }

    # What a member of the family says.

    def make_parts(self):
        """Make the layers beside encoder and decoder."""
        raise NotImplementedError

    def start(self, rows):
        """The state before the first step."""
        raise NotImplementedError

    def see(self, x):
        """Name -> what states and posteriors take of values x [N, ...], each by itself."""
        raise NotImplementedError

    def evidence(self, seen, real, state):
        """`seen` [T, B, ...] and what the posterior takes of other steps, of those where `real` [T, B] is 1."""
        return seen

    def transition(self, state):
        """p(z_t | past), over [D]."""
        raise NotImplementedError

    def infer(self, state, prior, evidence):
        """(q(z_t | past, x), the state)."""
        raise NotImplementedError

    def emit(self, state, z):
        """(what the decoder takes [N, F], the state with z_t in it)."""
        raise NotImplementedError

    def advance(self, state, z, seen):
        """The state of the next step."""
        raise NotImplementedError

    def make_cell(self, state="h"):
        return cell_of(self.cell_name, self.state_dim, state)

    @property
    def code_size(self):
        """How many numbers the decoder takes a step."""
        raise NotImplementedError

    @property
    def normal_posterior(self):
        """Whether q(z_t | past, x) is a Gaussian, whose KL has a closed form."""
        return True

    # Fields

    @property
    def data_spec(self):
        fields = super().data_spec
        return {**fields, "length": FieldSpec((), "int32", 1, None, role="length", optional=True)}

    @property
    def latent_spec(self):
        shape = (self.data_shape[0], self.latent_dim)
        return {name: FieldSpec(shape, "float32", role="latent") for name in self.latent_names}

    @property
    def offers(self):
        return super().offers - {"one_latent", "plane"}

    @property
    def state_spec(self):
        """Name -> `FieldSpec` of the tensors of a state."""
        return {name: FieldSpec(tuple(value.shape[1:]), role="state") for name, value in self.start(1).items()}

    def real(self, inputs):
        """[B, T]: 1 in the steps that an example has, 0 in its padding."""
        shape = tf.shape(self.image(inputs))[:2]
        if "length" not in inputs:
            return tf.ones(shape)
        return tf.sequence_mask(inputs["length"], shape[1], tf.float32)

    def adapt(self, dataset):
        """Set the decoder's output bias so that an untrained model gives the mean of all real steps."""
        layer = getattr(self.decoder, "output_layer", None)
        if layer is None:
            return
        total, count = 0.0, 0.0
        for inputs in self.batches(dataset):
            real = self.real(inputs)
            total += tf.tensordot(real, inputs.get(TARGET, self.image(inputs)), [[0, 1], [0, 1]])
            count += tf.reduce_sum(real)
        layer.bias.assign(tf.reshape(self.likelihood_head.initial_bias(total / count), layer.bias.shape))

    # What is printed

    def make_metrics(self):
        super().make_metrics()
        self.per_step = keras.metrics.Mean(name="elbo_per_step")

    def update_metrics(self, p, costs, finite):
        """As every model's, and the ELBO of a step: the sum over all sequences by the sum of their steps."""
        rows = p.inputs.get(WEIGHT, 1.0)
        steps = tf.reduce_sum(rows * tf.reduce_sum(self.real(p.inputs), -1))
        mean = tf.math.divide_no_nan(tf.reduce_sum(rows * self.terms(p.trace)["elbo"]), steps)
        self.per_step.update_state(tf.where(finite, mean, 0.0), steps * tf.cast(finite, tf.float32))
        return super().update_metrics(p, costs, finite)

    # The contract

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        """The `Pass` of a batch; see `LatentVariableModel.run`.

        Args:
            training: None outside of Keras' steps. There a bound takes its terms tempered by beta, and so does
                "resampling"; outside it is by the weights of the likelihood.
            needs: "past" has every z_t drawn as if x ended at it.
        """
        batch, steps = tf.unstack(tf.shape(self.image(inputs))[:2])
        noise_seed, uniform_seed = tf.unstack(tf.random.split(seed, 2, alg="philox"))
        size, filtering = [steps, num_samples * batch, self.latent_dim], None
        noise = drawn(lambda size: tf.random.stateless_normal(size, noise_seed, alg="philox"), size)
        if "resampling" in needs:
            size = [steps, batch]
            uniform = drawn(lambda size: tf.random.stateless_uniform(size, uniform_seed, alg="philox"), size, axis=-1)
            beta = 1.0 if training is None else tf.convert_to_tensor(self.beta)
            filtering = (uniform, self.bound.keywords.get("threshold", 0.5), beta)
        return self.passed(
            inputs, num_samples, noise, seed, filtering, from_past if "past" in needs else from_posterior
        )

    def passed(self, inputs, draws, noise, seed=None, filtering=None, pick=from_posterior):
        """The `Pass` of draws made of noise [T, draws * B, D]."""
        _, found = self.unroll(inputs, draws, None, filtering, pick, noise=noise)
        found = {name: by_draw(value, draws) for name, value in found.items()}
        real = self.real(inputs)
        p, q = tfd.Normal(found["p_loc"], found["p_scale"]), tfd.Normal(found["q_loc"], found["q_scale"])
        likelihood = self.decoded(found["code"])
        blocks = {name: found[name] for name in (*BLOCK, "ends") if filtering}
        if filtering:
            log_likelihood = {"x": tf.reduce_sum(blocks["ends"] * blocks["log_likelihood"], -1)}
        else:
            log_likelihood = self.score({"x": likelihood}, inputs)
        log_prior = tf.reduce_sum(real * tf.reduce_sum(p.log_prob(found["z"]), -1), -1)
        units = tf.reduce_mean(tf.reduce_sum(real[..., None] * tfd.kl_divergence(q, p), -2), (0, 1))
        trace = Trace(
            latents=dict.fromkeys(self.latent_names, real[..., None] * found["z"]),
            log_likelihood=log_likelihood,
            log_prior=dict.fromkeys(self.latent_names, log_prior),
            log_posterior=dict.fromkeys(self.latent_names, tf.reduce_sum(real * found["log_q"], -1)),
            log_mass=tf.zeros_like(log_prior[:1]),
            kl_per_unit=dict.fromkeys(self.latent_names if self.normal_posterior else (), units),
            blocks=blocks,
        )
        posterior, prior = (dict.fromkeys(self.latent_names, tfd.Independent(one, 2)) for one in (q, p))
        return Pass(inputs, trace, seed, posterior, prior, {"x": likelihood})

    def log_joint(self, latents, inputs):
        z = latents["z"]
        draws = tf.shape(z)[0]
        _, found = self.unroll(inputs, draws, z=time_first(tf.reshape(z, [-1, *tf.unstack(tf.shape(z))[3:]])))
        found = {name: by_draw(value, draws) for name, value in found.items()}
        log_prior = tf.reduce_sum(tfd.Normal(found["p_loc"], found["p_scale"]).log_prob(z), -1)
        log_likelihood = self.score({"x": self.decoded(found["code"])}, inputs)
        return log_likelihood, {"z": tf.reduce_sum(self.real(inputs) * log_prior, -1)}

    def score_field(self, name, likelihood, inputs):
        return tf.reduce_sum(self.score_steps(likelihood, inputs, self.real(inputs)), -1)

    def score_steps(self, likelihood, inputs, real):
        """[...]: log p(x_t | z_t, past), nats, of likelihoods of batch [...]; 0 where `real`, [...] too, is 0."""
        value = inputs.get(TARGET, inputs["x"])
        event = range(-len(self.step_shape), 0)
        value = tf.where(tf.reshape(real, tf.concat([tf.shape(real), [1] * len(event)], 0)) > 0, value, 0.0)
        if "mask" in inputs:
            return real * tf.reduce_sum(inputs["mask"] * likelihood.distribution.log_prob(value), event)
        return real * likelihood.log_prob(value)


class LatentSequenceModel(SequenceModel):
    """A model of sequences with a latent z_t [D] at every step; arguments as `SequenceModel`, and

    Args:
        latent_dim: D, how many units the latent of a step has.
    """

    capabilities = SequenceModel.capabilities | {"resampling", "scale"}
    latent_names = ("z",)

    def __init__(self, latent_dim=32, **kwargs):
        check_positive(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        super().__init__(**kwargs)

    @classmethod
    def examples(cls):
        return {name: {**one, "latent_dim": 2} for name, one in super().examples().items()}


def concat(*parts):
    """[N, ...] tensors side by side, in float32 whatever the policy."""
    return tf.concat([tf.cast(part, tf.float32) for part in parts], -1)
