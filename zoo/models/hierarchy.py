"""What all hierarchies of latents share: one generative story, told from the top down, and ways to pick in it.

    p(z) = prod_l p(z_l | z_l+1, ..., z_L),  q(z | x) = prod_l q(z_l | ..., x)

`top_down(pick)` tells it once: draws from q, draws from p, locations and given values are four ways to pick.
"""

import tensorflow as tf

from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.verbs import single
from zoo.objectives.trace import Pass, Trace
from zoo.probability import tfp
from zoo.randomness import as_seed
from zoo.rows import normal_rows, split_rows

tfd = tfp.distributions


class Hierarchy(EncoderDecoder):
    """A hierarchy of latents z1 (beside x) to zL (the top).

    A member says `latent_shapes` of its levels from z1 up, `prior_of`, `descend` and `posterior_pick`.
    """

    capabilities = EncoderDecoder.capabilities | {"levels"}

    @property
    def levels(self):
        return len(self.latent_shapes)

    @property
    def latent_names(self):
        return tuple(f"z{level + 1}" for level in range(self.levels))

    # The generative story

    def top_down(self, pick, lead):
        """What the decoder takes, [*lead, ...], from the latents that `pick(level, p(z_level | code), code)` decides.

        The code is what a level is conditioned on, `start` at the top.
        """
        code = self.start(lead)
        for level in reversed(range(self.levels)):
            code = self.descend(level, code, pick(level, self.prior_of(level, code, lead), code))
        return code

    def start(self, lead):
        """What the top level is conditioned on, with batch axes `lead`: nothing here."""

    def prior_of(self, level, code, lead):
        """p(z_level | code), with batch axes `lead`."""
        raise NotImplementedError

    def descend(self, level, code, z):
        """What the level below is conditioned on."""
        raise NotImplementedError

    def posterior_pick(self, x, take):
        """pick(level, prior, code) -> (z, q), `take(level, q)` being the draw or the location."""
        raise NotImplementedError

    def kl_of(self, level, z, q, prior):
        """[B, D]: mean over the draws of KL(q || p) per unit, in closed form at the levels above as they were drawn."""
        return tf.reduce_mean(tfd.kl_divergence(q.distribution, prior.distribution), (0, 1))

    # Ways to pick

    def location_pick(self, x):
        return self.posterior_pick(x, lambda level, q: q.mean())

    def prior_pick(self, noise):
        """Draws from p, made of standard normal noise: one a level."""
        return lambda level, prior, code: prior.mean() + prior.stddev() * noise[level]

    def noise(self, seeds):
        """Standard normal noise [N, ...] for every level, row by row of seeds [N, 2]."""
        levels = tf.unstack(split_rows(seeds, self.levels))
        return [normal_rows(rows, shape) for rows, shape in zip(levels, self.latent_shapes, strict=True)]

    # The contract

    def prior(self):
        raise InvalidInput("a hierarchy has no prior of all levels as one distribution: use draw or log_joint")

    def posterior(self, x):
        raise InvalidInput("a hierarchy has no posterior of all levels as one distribution: use encode or the trace")

    @property
    def latent_spec(self):
        shapes = zip(self.latent_names, self.latent_shapes, strict=True)
        return {name: FieldSpec(shape, "float32", role="latent") for name, shape in shapes}

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        x, draws = self.image(inputs), [num_samples, 1]
        seeds = tf.unstack(tf.random.split(seed, self.levels, alg="philox"))
        terms = {"latents": {}, "log_prior": {}, "log_posterior": {}, "kl_per_unit": {}}
        priors, posteriors = {}, {}

        def take(level, q):
            return q.sample(draws if q.batch_shape.rank == 1 else [], seed=seeds[level])

        pick = self.posterior_pick(x, take)

        def record(level, prior, code):
            z, q = pick(level, prior, code)
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
        """pick(level, prior, code) -> the given latent, or p's location where none is; priors go into `record`."""

        def pick(level, prior, code):
            name = self.latent_names[level]
            if record is not None:
                record[name] = prior.log_prob(latents[name])
            return latents[name] if name in latents else prior.mean()

        return pick

    def lead_of(self, latents):
        """The batch axes of latents by name."""
        name, z = next(iter(latents.items()))
        return tf.unstack(tf.shape(z))[: z.shape.rank - len(self.latent_spec[name].shape)]

    def likelihoods(self, latents, condition):
        return self.explained(self.top_down(self.given_pick(latents), self.lead_of(latents)))

    def log_joint(self, latents, inputs):
        log_prior = {}
        code = self.top_down(self.given_pick(latents, log_prior), self.lead_of(latents))
        return self.score(self.explained(code), inputs), {name: log_prior[name] for name in self.latent_names}

    def located(self, x):
        """Name -> (location, q) of every level."""
        pick, found = self.location_pick(x), {}

        def record(level, prior, code):
            found[self.latent_names[level]] = pick(level, prior, code)
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

        def pick(level, prior, code):
            return located(level, prior, code)[0] if level >= self.levels - levels else free(level, prior, code)

        return single({k: p.mean() for k, p in self.explained(self.top_down(pick, [tf.shape(x)[0]])).items()})

    def draw(self, seeds, condition, temperature=1.0):
        """Name -> [N, ...]: ancestral draws from p."""
        drawn, pick = {}, self.prior_pick([temperature * noise for noise in self.noise(seeds)])

        def record(level, prior, code):
            drawn[self.latent_names[level]] = pick(level, prior, code)
            return drawn[self.latent_names[level]]

        self.top_down(record, [tf.shape(seeds)[0]])
        return {name: drawn[name] for name in self.latent_names}


def standard_normal(lead, size):
    """N(0, I) over [size] with batch axes `lead`."""
    zeros = tf.zeros([*lead, size])
    return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), 1)
