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
from zoo.errors import InvalidInput, check_positive
from zoo.models.vae import VAE
from zoo.networks.conditional import ConditionalGaussian
from zoo.networks.mlp import dense_layers
from zoo.objectives.trace import Trace
from zoo.randomness import as_seed, seeded
from zoo.registry import register

tfd = tfp.distributions


@register("hierarchical_vae")
@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(VAE):
    """A hierarchy of latents z1 (beside x) to zL (the top).

    Args:
        latent_dims: D of each level, from z1 up.
        hidden_units: widths of the perceptrons between each level and the next, from the lowest up, one entry (a number
            or several) fewer than levels. Activation, normalisation and gates are those of the encoder's dict.
        **kwargs: `data_shape`, `encoder`, `decoder` (between x and z1), `likelihood` as `VAE`; `bound`, `num_samples`,
            `beta`, `binarize`, `seed` as `LatentVariableModel`.

    Raises:
        InvalidInput: lengths that do not fit each other.
    """

    path_derivatives = False
    without_arguments = ("self", "latent_dim", "prior", "posterior")

    def __init__(self, latent_dims=(32, 16), hidden_units=(128,), **kwargs):
        check_positive(latent_dims=list(latent_dims))
        self.latent_dims = tuple(latent_dims)
        self.hidden_units = [list(w) if isinstance(w, (list, tuple)) else [w] for w in hidden_units]
        if not self.latent_dims or len(self.hidden_units) != len(self.latent_dims) - 1:
            raise InvalidInput(
                f"{len(self.latent_dims)} levels (latent_dims) need {max(0, len(self.latent_dims) - 1)} perceptrons "
                f"between them, got {len(self.hidden_units)} in hidden_units"
            )
        self.latent_names = tuple(f"z{i + 1}" for i in range(len(self.latent_dims)))
        super().__init__(latent_dim=self.latent_dims[0], **kwargs)
        spec = kwargs.get("encoder", {})
        options = ("activation", "batch_norm", "gated")
        self.options = {k: spec[k] for k in options if k in spec} if isinstance(spec, dict) else {}
        with seeded(self.seed + 1):
            self.downward = self.make_downward()
            self.upward = self.make_upward()

    def between(self, level, reverse=False):
        """Hidden layers between a level and the next above it."""
        widths = self.hidden_units[level]
        return dense_layers(widths[::-1] if reverse else widths, **self.options)

    def make_downward(self):
        """Layers of the generative model above z1, by level."""
        return [ConditionalGaussian(d, self.between(i, True)) for i, d in enumerate(self.latent_dims[:-1])]

    def make_upward(self):
        """Layers of the inference model above z1."""
        return [ConditionalGaussian(d, self.between(i)) for i, d in enumerate(self.latent_dims[1:])]

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

    def noise(self, lead, seed):
        """Standard normal noise for every level."""
        seeds = tf.unstack(tf.random.split(seed, self.levels, alg="philox"))
        pairs = zip(seeds, self.latent_dims, strict=True)
        return [tf.random.stateless_normal([*lead, size], s, alg="philox") for s, size in pairs]

    def kl_of(self, level, z, q, prior):
        """[B, D]: mean over the draws of log q - log p per unit; in closed form where it is an average over q."""
        q, prior, top = q.distribution, prior.distribution, level == self.levels - 1
        # Below the top the prior is conditioned on draws that came from this level's own.
        kl = tfd.kl_divergence(q, prior) if top else q.log_prob(z) - prior.log_prob(z)
        return tf.reduce_mean(kl, (0, 1))

    # The contract

    def prior(self):
        raise InvalidInput("a hierarchy has no prior of all levels as one distribution: use draw_latents or log_joint")

    def posterior(self, x):
        raise InvalidInput("a hierarchy has no posterior of all levels as one distribution: use encode or the trace")

    @property
    def latent_spec(self):
        return {name: FieldSpec((d,), "float32") for name, d in zip(self.latent_names, self.latent_dims, strict=True)}

    def call(self, inputs, num_samples=None, training=None, seed=None):
        x = inputs["x"] if isinstance(inputs, dict) else inputs
        draws = [num_samples or self.num_samples, 1]
        seeds = tf.unstack(tf.random.split(as_seed(seed), self.levels, alg="philox"))
        terms = {"latents": {}, "log_prior": {}, "log_posterior": {}, "kl_per_unit": {}}

        def take(level, q):
            return q.sample(draws if q.batch_shape.rank == 1 else [], seed=seeds[level])

        pick = self.posterior_pick(x, take)

        def record(level, prior):
            z, q = pick(level, prior)
            name = self.latent_names[level]
            terms["latents"][name] = z
            terms["log_prior"][name], terms["log_posterior"][name] = prior.log_prob(z), q.log_prob(z)
            if isinstance(q, tfd.Independent):
                terms["kl_per_unit"][name] = self.kl_of(level, z, q, prior)
            return z

        code = self.top_down(record, [*draws, tf.shape(x)[0]])
        log_likelihood = self.likelihood(code).log_prob(x)
        zeros = tf.zeros_like(log_likelihood[0, 0])
        terms = {field: {n: values[n] for n in self.latent_names if n in values} for field, values in terms.items()}
        return Trace(log_likelihood=log_likelihood, log_mass=zeros[None, None], penalty=zeros, **terms)

    def likelihood_given(self, latents, inputs):
        lead = tf.unstack(tf.shape(latents[self.latent_names[-1]]))[:-1]
        return self.likelihood(self.top_down(lambda level, prior: latents[self.latent_names[level]], lead))

    def log_joint(self, latents, inputs):
        log_prior = {}

        def given(level, prior):
            name = self.latent_names[level]
            log_prior[name] = prior.log_prob(latents[name])
            return latents[name]

        code = self.top_down(given, tf.unstack(tf.shape(latents[self.latent_names[-1]]))[:-1])
        return self.likelihood(code).log_prob(inputs["x"]), {name: log_prior[name] for name in self.latent_names}

    def locations(self, inputs):
        return self.encode(inputs["x"])

    def encode(self, x):
        """Name -> [B, D]: the posterior's location at every level, each given the locations it depends on."""
        return {name: z for name, (z, _) in self.located(self.inputs(x=x)["x"]).items()}

    def located(self, x):
        """Name -> (location, q) of every level."""
        pick, found = self.location_pick(x), {}

        def record(level, prior):
            found[self.latent_names[level]] = pick(level, prior)
            return found[self.latent_names[level]][0]

        self.top_down(record, [tf.shape(x)[0]])
        return {name: found[name] for name in self.latent_names}

    def decode(self, z=None, **latents):
        """[B, *data_shape]: the mean of p(x | latents), as a dict or by name; missing levels are at p's location."""
        fields = self.inputs(**(z or {}), **latents)
        if not fields:
            raise InvalidInput(f"decode takes a dict with one or more of {', '.join(self.latent_names)}")
        rows = tf.shape(next(iter(fields.values())))[0]
        code = self.top_down(lambda level, prior: fields.get(self.latent_names[level], prior.mean()), [rows])
        return self.likelihood(code).mean()

    def reconstruct(self, x, levels=None, seed=None):
        """[B, *data_shape]: the mean of p(x | z) at the posterior's location.

        Args:
            levels: None for all, or k: the top k levels are at the posterior's location, the rest drawn from p.
            seed: of the draws.

        Raises:
            InvalidInput: more levels than there are.
        """
        kept = self.levels if levels is None else levels
        if not isinstance(kept, int) or not 0 <= kept <= self.levels:
            raise InvalidInput(f"levels is how many of the {self.levels} levels are kept, from the top, got {levels!r}")
        x = self.inputs(x=x)["x"]
        located = self.location_pick(x)
        free = self.prior_pick(self.noise([tf.shape(x)[0]], as_seed(seed))) if kept < self.levels else None

        def pick(level, prior):
            return located(level, prior)[0] if level >= self.levels - kept else free(level, prior)

        return self.likelihood(self.top_down(pick, [tf.shape(x)[0]])).mean()

    def draw_latents(self, n, seed=None):
        """Name -> [n, D]: ancestral draws from p."""
        check_positive(n=n)
        drawn, pick = {}, self.prior_pick(self.noise([n], as_seed(seed)))

        def record(level, prior):
            drawn[self.latent_names[level]] = pick(level, prior)
            return drawn[self.latent_names[level]]

        self.top_down(record, [n])
        return {name: drawn[name] for name in self.latent_names}

    def interpolate(self, x0, x1, steps=8):
        """[steps, B, *data_shape]: decoded points on the line between the locations of x0 and x1, ends included."""
        check_positive(steps=steps)
        start, stop = self.encode(x0), self.encode(x1)
        places = tf.unstack(tf.linspace(0.0, 1.0, steps))
        return tf.stack([self.decode({n: start[n] + place * (stop[n] - start[n]) for n in start}) for place in places])

    # Endpoints

    @property
    def endpoints(self):
        return {**super().endpoints, "decode": (self.serve_decode, list(self.latent_names))}

    def serve_encode(self, x):
        located = self.located(x).items()
        return {**{n: z for n, (z, _) in located}, **{f"{n}_scale": q.stddev() for n, (_, q) in located}}

    def serve_decode(self, **latents):
        return {"reconstruction": self.decode(latents)}

    def serve_sample(self, seed):
        """x [N, ...]: the mean of p(x | z) at latents drawn from each row's own seed."""
        noise = tf.vectorized_map(lambda row: self.noise([], row), tf.bitcast(seed, tf.int32))
        return {"x": self.likelihood(self.top_down(self.prior_pick(noise), [tf.shape(seed)[0]])).mean()}


def standard_normal(lead, size):
    """N(0, I) over [size] with batch axes `lead`."""
    zeros = tf.zeros([*lead, size])
    return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), 1)
