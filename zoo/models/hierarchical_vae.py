"""A VAE of several stochastic levels with a bottom-up posterior, and what all hierarchies share.

    p(z_L) = N(0, I)                                 the top level
    p(z_l | z_l+1) = N(loc_l(z_l+1), scale_l(z_l+1)^2)
    p(x | z_1) = likelihood(decoder(z_1))
    q(z_1 | x) = posterior(encoder(x)),  q(z_l | z_l-1) = N(loc'_l(z_l-1), scale'_l(z_l-1)^2)

The generative story is told once, in `top_down(pick)`: draws from q, draws from p, locations and given values are four
ways to pick. Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082; Burda et al. 2016, arXiv:1509.00519 (two levels);
Sonderby et al. 2016, arXiv:1602.02282, whose plain VAE it is.
"""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, check_widths
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.verbs import single
from zoo.networks.mlp import dense_layers
from zoo.objectives.trace import Pass, Trace
from zoo.posteriors.conditional import ConditionalGaussian
from zoo.randomness import as_seed, seeded
from zoo.registry import POSTERIORS, register
from zoo.rows import normal_rows, split_rows

tfd = tfp.distributions


@register(
    "hierarchical_vae",
    "several stochastic levels, bottom-up posterior",
    "Rezende et al. 2014; Burda et al. 2016",
)
@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(EncoderDecoder):
    """A hierarchy of latents z1 (beside x) to zL (the top).

    Args:
        data_shape, encoder, decoder, likelihood: as `VAE`; encoder and decoder stand between x and z1.
        latent_dims: D of each level, from z1 up.
        hidden_units: widths of the perceptrons between each level and the next, from the lowest up, one entry (a number
            or several) fewer than levels. Activation, normalisation and gates are those of the encoder's dict.
        **kwargs: `bound`, `num_samples`, `beta`, `penalties`, `binarize`, `masked`, `seed`: see `LatentVariableModel`.

    Raises:
        InvalidInput: lengths that do not fit each other.
    """

    capabilities = EncoderDecoder.capabilities | {"levels"}
    posterior_name = "diagonal"

    def __init__(
        self,
        data_shape=(28, 28, 1),
        latent_dims=(32, 16),
        hidden_units=(128,),
        encoder="mlp",
        decoder=None,
        likelihood="bernoulli",
        **kwargs,
    ):
        check_widths(latent_dims=latent_dims)
        self.latent_dims = tuple(latent_dims)
        self.hidden_units = [list(w) if isinstance(w, (list, tuple)) else [w] for w in hidden_units]
        if not self.latent_dims or len(self.hidden_units) != len(self.latent_dims) - 1:
            raise InvalidInput(
                f"{len(self.latent_dims)} levels (latent_dims) need {max(0, len(self.latent_dims) - 1)} perceptrons "
                f"between them, got {len(self.hidden_units)} in hidden_units"
            )
        self.latent_names = tuple(f"z{i + 1}" for i in range(len(self.latent_dims)))
        super().__init__(**kwargs)
        options = ("activation", "batch_norm", "gated")
        self.options = {k: encoder[k] for k in options if k in encoder} if isinstance(encoder, dict) else {}
        with seeded(self.seed):
            self.make_networks(data_shape, encoder, decoder, likelihood)
            self.posterior_head = POSTERIORS.create(self.posterior_name, latent_dim=self.latent_dims[0])
        with seeded(self.seed + 1):
            self.downward = self.make_downward()
            self.upward = self.make_upward()

    @classmethod
    def examples(cls):
        encoder = {"name": "mlp", "hidden_units": [8]}
        sizes = {"data_shape": (4, 4, 1), "encoder": encoder, "seed": 1}
        return {
            "two levels": {**sizes, "latent_dims": (3, 2), "hidden_units": (5,)},
            "three levels": {**sizes, "latent_dims": (4, 3, 2), "hidden_units": (5, [6, 4])},
        }

    def between_levels(self, level, reverse=False):
        """Hidden layers between a level and the next above it."""
        widths = self.hidden_units[level]
        return dense_layers(widths[::-1] if reverse else widths, **self.options)

    def make_downward(self):
        """Layers of the generative model above z1, by level."""
        return [ConditionalGaussian(d, self.between_levels(i, True)) for i, d in enumerate(self.latent_dims[:-1])]

    def make_upward(self):
        """Layers of the inference model above z1."""
        return [ConditionalGaussian(d, self.between_levels(i)) for i, d in enumerate(self.latent_dims[1:])]

    @property
    def levels(self):
        return len(self.latent_dims)

    @property
    def inference_layers(self):
        return [self.encoder, self.posterior_head, *self.upward]

    # The generative story

    def top_down(self, pick, lead):
        """What the decoder takes, [*lead, F], from the latents that `pick(level, p(z_level | above))` decides on."""
        code = None
        for level in reversed(range(self.levels)):
            code = self.descend(level, code, pick(level, self.prior_of(level, code, lead)))
        return code

    def prior_of(self, level, code, lead):
        """p(z_level | levels above), with batch axes `lead`."""
        if level == self.levels - 1:
            return standard_normal(lead, self.latent_dims[level])
        return self.downward[level](code)

    def descend(self, level, code, z):
        """What the level below is conditioned on."""
        return z

    # Ways to pick

    def posterior_pick(self, x, take):
        """pick(level, prior) -> (z, q), `take(level, q)` being the draw or the location."""
        q = self.posterior_head(self.encoder(x))
        chosen = [(take(0, q), q)]
        for level, layer in enumerate(self.upward, 1):
            q = layer(chosen[-1][0])
            chosen.append((take(level, q), q))
        return lambda level, prior: chosen[level]

    def location_pick(self, x):
        return self.posterior_pick(x, lambda level, q: q.mean())

    def prior_pick(self, noise):
        """Draws from p, made of standard normal noise: one [*lead, D] a level."""
        return lambda level, prior: prior.mean() + prior.stddev() * noise[level]

    def noise(self, seeds):
        """Standard normal noise [N, D] for every level, row by row of seeds [N, 2]."""
        levels = tf.unstack(split_rows(seeds, self.levels))
        return [normal_rows(rows, [size]) for rows, size in zip(levels, self.latent_dims, strict=True)]

    def kl_of(self, level, z, q, prior):
        """[B, D]: mean over the draws of log q - log p per unit; in closed form where it is an average over q."""
        q, prior, top = q.distribution, prior.distribution, level == self.levels - 1
        # Below the top the prior is conditioned on draws that came from this level's own.
        kl = tfd.kl_divergence(q, prior) if top else q.log_prob(z) - prior.log_prob(z)
        return tf.reduce_mean(kl, (0, 1))

    # The contract

    def prior(self):
        raise InvalidInput("a hierarchy has no prior of all levels as one distribution: use draw or log_joint")

    def posterior(self, x):
        raise InvalidInput("a hierarchy has no posterior of all levels as one distribution: use encode or the trace")

    @property
    def latent_spec(self):
        sizes = zip(self.latent_names, self.latent_dims, strict=True)
        return {name: FieldSpec((d,), "float32", role="latent") for name, d in sizes}

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        x, draws = self.image(inputs), [num_samples, 1]
        seeds = tf.unstack(tf.random.split(seed, self.levels, alg="philox"))
        terms = {"latents": {}, "log_prior": {}, "log_posterior": {}, "kl_per_unit": {}}
        priors, posteriors = {}, {}

        def take(level, q):
            return q.sample(draws if q.batch_shape.rank == 1 else [], seed=seeds[level])

        pick = self.posterior_pick(x, take)

        def record(level, prior):
            z, q = pick(level, prior)
            name = self.latent_names[level]
            priors[name], posteriors[name], terms["latents"][name] = prior, q, z
            terms["log_prior"][name], terms["log_posterior"][name] = prior.log_prob(z), q.log_prob(z)
            if isinstance(q, tfd.Independent):
                terms["kl_per_unit"][name] = self.kl_of(level, z, q, prior)
            return z

        code = self.top_down(record, [*draws, tf.shape(x)[0]])
        likelihood = self.explained(code)
        log_likelihood = self.score(likelihood, inputs)
        terms = {field: {n: values[n] for n in self.latent_names if n in values} for field, values in terms.items()}
        zeros = tf.zeros_like(next(iter(terms["log_prior"].values()))[:1])
        trace = Trace(log_likelihood=log_likelihood, log_mass=zeros, **terms)
        return Pass(inputs, trace, seed, posteriors, priors, likelihood)

    def explained(self, code):
        """Data field -> p(field | what the decoder takes)."""
        return {self.fields_of("data")[0]: self.likelihood(code)}

    def given_pick(self, latents, record=None):
        """pick(level, prior) -> the given latent, or p's location where there is none; priors go into `record`."""

        def pick(level, prior):
            name = self.latent_names[level]
            if record is not None:
                record[name] = prior.log_prob(latents[name])
            return latents[name] if name in latents else prior.mean()

        return pick

    def likelihoods(self, latents, condition):
        lead = tf.unstack(tf.shape(next(iter(latents.values()))))[:-1]
        return self.explained(self.top_down(self.given_pick(latents), lead))

    def log_joint(self, latents, inputs):
        log_prior, lead = {}, tf.unstack(tf.shape(latents[self.latent_names[-1]]))[:-1]
        code = self.top_down(self.given_pick(latents, log_prior), lead)
        return self.score(self.explained(code), inputs), {name: log_prior[name] for name in self.latent_names}

    def located(self, x):
        """Name -> (location, q) of every level."""
        pick, found = self.location_pick(x), {}

        def record(level, prior):
            found[self.latent_names[level]] = pick(level, prior)
            return found[self.latent_names[level]][0]

        self.top_down(record, [tf.shape(x)[0]])
        return {name: found[name] for name in self.latent_names}

    def posteriors(self, inputs):
        return {name: q for name, (_, q) in self.located(self.image(inputs)).items()}

    def reconstruct(self, x, levels=None, seed=None, **condition):
        """[B, *data_shape]: the mean of p(x | z) at the posterior's location.

        Args:
            levels: None for all, or k: the top k levels are at the posterior's location, the rest drawn from p.
            seed: of the draws.

        Raises:
            InvalidInput: more levels than there are.
        """
        if levels is None:
            return super().reconstruct(x, **condition)
        if not isinstance(levels, int) or not 0 <= levels <= self.levels:
            raise InvalidInput(f"levels is how many of the {self.levels} levels are kept, from the top, got {levels!r}")
        x = self.image(self.inputs_of(x, condition))
        located = self.location_pick(x)
        free = self.prior_pick(self.noise(tf.random.split(as_seed(seed), tf.shape(x)[0])))

        def pick(level, prior):
            return located(level, prior)[0] if level >= self.levels - levels else free(level, prior)

        return single({k: p.mean() for k, p in self.explained(self.top_down(pick, [tf.shape(x)[0]])).items()})

    def draw(self, seeds, condition):
        """Name -> [N, D]: ancestral draws from p."""
        drawn, pick = {}, self.prior_pick(self.noise(seeds))

        def record(level, prior):
            drawn[self.latent_names[level]] = pick(level, prior)
            return drawn[self.latent_names[level]]

        self.top_down(record, [tf.shape(seeds)[0]])
        return {name: drawn[name] for name in self.latent_names}


def standard_normal(lead, size):
    """N(0, I) over [size] with batch axes `lead`."""
    zeros = tf.zeros([*lead, size])
    return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), 1)
