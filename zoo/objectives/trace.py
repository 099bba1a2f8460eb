"""What a model says about a batch, per draw, enumerated value and example, never averaged early."""

from typing import NamedTuple

import tensorflow as tf


class Trace(NamedTuple):
    """The log terms of S draws, C values of an enumerated latent (1 where there is none) and B examples, in nats.

    Attributes:
        latents: name -> [S, C, B, ...].
        log_likelihood: data field -> [S, C, B], log p(field | z), summed over the event, of what was observed of it.
        log_prior: name -> [S, C, B], log p(z_name | ...).
        log_posterior: name -> [S, C, B], log q(z_name | ...).
        log_mass: [1, C, B], log q(y | x) of an enumerated latent; 0 on an observed value and -inf on the others;
            0 with C = 1.
        kl_per_unit: name -> [B, D], KL(q || p) in closed form where both factorise; at the lower levels of a bottom-up
            hierarchy, where it has none, the mean over the draws. Never part of `log_weight`.
        beta: weight of the KL terms, already multiplied in.
        base: name -> [S, C, B, D], the reparameterised base draws, where a bound differentiates along their path; the
            terms above are then functions of the draws' values and know nothing of where these came from.
        path: name -> [S, C, B, D], the derivative of `log_weight` by each base draw, as a constant.
        blocks: of a pass with resampling, the log terms summed since the last one: "log_likelihood" and "kl", log q -
            log p, [S, C, B, T], and "ends", 1 where a block of steps ends, so that the draws' places are given anew.
        row_weight: [B], how much each example counts in the mean that is maximised; 1 unless its kind (labelled or
            not) is rarer or commoner in the batch than in the data.
    """

    latents: dict
    log_likelihood: dict
    log_prior: dict
    log_posterior: dict
    log_mass: tf.Tensor
    kl_per_unit: dict
    beta: tf.Tensor = 1.0
    base: dict = {}
    path: dict = {}
    blocks: dict = {}
    row_weight: tf.Tensor = 1.0

    @property
    def log_weight(self):
        """[S, C, B]: log p(x, z) - log q(z | x), without the enumerated mass."""
        terms = (self.log_likelihood, self.log_prior)
        return sum(sum(term.values()) for term in terms) - sum(self.log_posterior.values())

    @property
    def reconstruction(self):
        """[B]: E_q log p(x | z), of all data fields."""
        return self.expect(sum(self.log_likelihood.values()))

    @property
    def kl(self):
        """Name -> [B]: KL(q || p), in closed form where the trace has it, else estimated from the draws."""
        return {
            name: tf.reduce_sum(self.kl_per_unit[name], -1)
            if name in self.kl_per_unit
            else self.expect(self.log_posterior[name] - self.log_prior[name])
            for name in self.log_prior
        }

    @property
    def elbo(self):
        """[B]: mean over the draws of the log weight. At most `log_marginal`, trace by trace."""
        return self.expect(self.log_weight) + self.entropy

    @property
    def entropy(self):
        """[B]: the entropy of the enumerated q(y | x); 0 where nothing is enumerated."""
        return -tf.reduce_sum(tf.math.multiply_no_nan(self.log_mass, tf.exp(self.log_mass)), (0, 1))

    @property
    def log_evidence(self):
        """[S, B]: each draw's weights summed over the enumerated values that have mass.

        Where nothing is observed these are all values, whatever q(y | x) says.
        """
        support = tf.where(tf.math.is_inf(self.log_mass), self.log_mass, 0.0)
        return tf.reduce_logsumexp(support + self.log_weight, 1)

    @property
    def log_marginal(self):
        """[B]: the importance-weighted bound, log mean of the draws' weights; with resampling that of each block."""
        if self.blocks:
            return tf.reduce_sum(self.log_factors, -1)
        draws = tf.cast(tf.shape(self.log_weight)[0], self.log_weight.dtype)
        return tf.reduce_logsumexp(self.log_evidence, 0) - tf.math.log(draws)

    @property
    def log_blocks(self):
        """[B, T]: with resampling, the log mean weight of the steps since the last one, up to each."""
        weight = self.blocks["log_likelihood"] - self.blocks["kl"]
        return tf.reduce_logsumexp(weight, (0, 1)) - tf.math.log(tf.cast(tf.shape(weight)[0], weight.dtype))

    @property
    def log_factors(self):
        """[B, T]: `log_blocks` where a block ends, else 0: the factors of a particle filter's estimate."""
        return self.blocks["ends"][0, 0] * self.log_blocks

    @property
    def log_steps(self):
        """[B, T]: a particle filter's estimates of log p(x_t | x_1..t-1), which add up to that of log p(x)."""
        carried = (1 - self.blocks["ends"][0, 0]) * self.log_blocks
        return self.log_blocks - tf.pad(carried[:, :-1], [[0, 0], [1, 0]])

    def expect(self, values):
        """[S, C, B] -> [B]: mean over the draws of the sum over the enumerated values, weighted by their mass."""
        return tf.reduce_sum(tf.math.multiply_no_nan(tf.reduce_mean(values, 0), tf.exp(self.log_mass[0])), 0)

    def temper(self, beta):
        """The trace with its KL terms multiplied by `beta`."""

        def scale(terms):
            return {name: beta * term for name, term in terms.items()}

        return self._replace(
            log_prior=scale(self.log_prior),
            log_posterior=scale(self.log_posterior),
            kl_per_unit=scale(self.kl_per_unit),
            blocks=self.blocks and {**self.blocks, "kl": beta * self.blocks["kl"]},
            beta=beta * self.beta,
        )

    def __repr__(self):
        """One screen: a line a term, with its shape and its mean; `log_marginal` and `elbo` at the end."""
        whole = {"elbo": self.elbo, "log_marginal": self.log_marginal}
        fields = {name: value for name, value in self._asdict().items() if isinstance(value, dict) and value}
        each = {f"{field}[{name!r}]": value for field, terms in fields.items() for name, value in terms.items()}
        terms = {**each, "log_mass": self.log_mass, **whole}
        draws, values, examples = tf.convert_to_tensor(self.log_mass + self.log_weight).shape
        title = (
            f"Trace: {draws} draws, {values} enumerated values, {examples} examples; means in nats where terms are logs"
        )
        return "\n".join([title, *(term_line(name, value) for name, value in terms.items())])

    __str__ = __repr__

    @property
    def along_path(self):
        """[S, C, B]: zero, with the derivative of `log_weight` along the path of the base draws as its gradient."""
        terms = [
            tf.reduce_sum(self.path[name] * (draw - tf.stop_gradient(draw)), -1) for name, draw in self.base.items()
        ]
        return sum(terms, tf.zeros_like(self.log_weight))


def joined(traces, rows):
    """The `Trace` of a batch, of those of its parts, of each of which the first so many rows count."""

    def along(axis, *fields):
        def counted(part, n):  # all of a part whose size is known: a slice takes time
            return part if isinstance(n, int) and part.shape[axis] == n else part[(slice(None),) * axis + (slice(n),)]

        def whole(*parts):
            return tf.concat(list(map(counted, parts, rows)), axis)

        every = {field: [getattr(trace, field) for trace in traces] for field in fields}
        return {field: tf.nest.map_structure(whole, *found) for field, found in every.items()}

    terms = along(2, "latents", "log_likelihood", "log_prior", "log_posterior", "log_mass", "base", "path", "blocks")
    return traces[0]._replace(**terms, **along(0, "kl_per_unit"))


def term_line(name, value):
    """Name, shape and mean of a tensor; of one in a graph without the mean."""
    value = tf.convert_to_tensor(value)
    mean = f"  mean {float(tf.reduce_mean(tf.cast(value, tf.float32))):.4g}" if hasattr(value, "numpy") else ""
    return f"  {name:24} {str(list(value.shape)):20}{mean}".rstrip()


class Pass(NamedTuple):
    """One forward pass of a model over a batch; it stays inside a `tf.function`.

    Attributes:
        inputs: the model's inputs, by field.
        trace: the `Trace`.
        seed: int32 [2], of the pass.
        posterior, prior: name of a latent -> its distribution; q(y | x) of a label stands under the label's field.
        likelihood: data field -> its distribution.
        paid: name of a penalty -> its value on the pass, [B] or one number, without its weight.
    """

    inputs: dict
    trace: Trace
    seed: tf.Tensor
    posterior: dict
    prior: dict
    likelihood: dict
    paid: dict = {}
