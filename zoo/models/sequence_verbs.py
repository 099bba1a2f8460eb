"""What one does with a model of sequences: verbs and endpoints over its loops."""

import itertools
import types

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InvalidInput, check_positive
from zoo.models.graphs import graphed
from zoo.models.guards import check_draws
from zoo.models.sequence_loop import from_past, from_prior
from zoo.models.verbs import renamed
from zoo.networks.recurrent import time_first
from zoo.numerics import apart
from zoo.randomness import as_seed
from zoo.rows import normal_rows, split_rows


class SequenceVerbs:
    """Encode, reconstruct, sample, continue, predict, filter and score sequences; mixed into `SequenceModel`.

    x is [B, T, ...] and `length` [B] says how many steps of each are real: None means all of them.
    """

    sample_length = 64  # steps of a sample, unless said or fixed by the data's shape

    # Inference

    @graphed
    def located(self, inputs):
        """name -> [B, T, ...]: what the loop says at the posterior's locations, zeros in padding."""
        return self.without_padding(self.unroll(inputs)[1], self.real(inputs))

    def without_padding(self, found, real):
        """What a loop says, [T, N, ...], as [N, T, ...] with zeros where `real` [N, T] is 0."""
        return {name: time_first(value) * expand(real, value) for name, value in found.items()}

    def locations(self, inputs):
        found = self.located(inputs)
        return {name: found[name] for name in self.latent_names}

    def posteriors(self, inputs):
        if not self.normal_posterior:
            raise InvalidInput("the steps of a flow have no posterior as one distribution: use encode or the trace")
        found = self.located(inputs)
        scales = tf.where(self.real(inputs)[..., None] > 0, found["q_scale"], 1.0)
        return {name: self.steps_of(found["q_loc"], scales) for name in self.latent_names}

    def reconstruct(self, x, **condition):
        """[B, T, ...]: the mean of p(x_t | z_t, past) at the posterior's locations, the past being x's own."""
        return self.rebuilt(self.inputs_of(x, condition))

    def predict(self, x, *args, **kwargs):
        """Keras' `predict`, the reconstructions [N, T, ...]; T is the longest batch's, and zeros follow the others."""
        if not isinstance(x, (tf.data.Dataset, types.GeneratorType)):
            return super().predict(x, *args, **kwargs)
        batches = itertools.islice(x, kwargs.pop("steps", None))
        rows = [row for batch in batches for row in super(SequenceVerbs, self).predict(batch, *args, **kwargs)]
        if not rows:
            raise InvalidInput("the data set is empty: it yields no batch")
        return keras.utils.pad_sequences(rows, dtype="float32", padding="post")

    @graphed
    def rebuilt(self, inputs):
        mean = self.decoded(self.located(inputs)["code"]).mean()
        return mean * expand(self.real(inputs), mean)

    def log_prob(self, x, num_samples=100, seed=None, resample=False, **condition):
        """[B]: an estimate of log p(x), nats, by importance weights or, with `resample`, by a particle filter.

        Both are below it on average; the filter is the closer one for long sequences (Maddison et al. 2017).
        """
        check_positive(num_samples=num_samples)
        inputs = self.inputs_of(x, condition)
        check_draws(self, inputs, num_samples)
        return self.log_marginal(inputs, as_seed(seed), int(num_samples), bool(resample))

    @graphed
    def log_marginal(self, inputs, seed, num_samples, resample=False):
        return self.estimate(inputs, num_samples, seed, resample).trace.log_marginal

    def estimate(self, inputs, num_samples, seed, resample, *needs):
        """The `Pass` of draws, of a particle filter with `resample`, which a model without latents does not need."""
        needs += ("resampling",) if resample and "resampling" in self.offers else ()
        return self(inputs, num_samples=num_samples, seed=seed, needs=needs)

    def filter(self, x, **condition):
        """(z [B, T, D], scale [B, T, D]): the posterior of each latent given x so far, at the locations before it."""
        found = self.filtered(self.inputs_of(x, condition))
        return found["z"], found["z_scale"]

    @graphed
    def filtered(self, inputs):
        """name -> [B, T, ...]: z, its scale, the prediction and the reconstruction of each step, of x so far."""
        real = self.real(inputs)
        found = self.online(self.without_padding(self.unroll(inputs, pick=from_past)[1], real))
        return {name: value * expand(real, value) for name, value in found.items()}

    def online(self, said):
        """What a step of x, and those before it, say at their locations."""
        prediction, reconstruction = (self.decoded(said[code]).mean() for code in ("ahead", "code"))
        found = {"z": said["z"], "z_scale": said["q_scale"]} if self.latent_names else {}
        return {**found, "prediction": prediction, "reconstruction": reconstruction}

    def predict_next(self, x, num_samples=100, seed=None, **condition):
        """([B, T, ...], [B, T]): the mean of each step given those before it, and its log score in nats.

        The mean is at the prior's location; the scores are a particle filter's estimates of log p(x_t | x_1..t-1),
        which add up to one of log p(x). Neither knows of later steps, so that those of x's beginning are the same.
        """
        check_positive(num_samples=num_samples)
        return self.predicted(self.inputs_of(x, condition), int(num_samples), as_seed(seed))

    @graphed
    def predicted(self, inputs, num_samples, seed):
        p = self.estimate(inputs, num_samples, seed, True, "past")
        exact = () if p.trace.blocks else self.score_steps(p.likelihood["x"], inputs, self.real(inputs))[0, 0]
        return self.filtered(inputs)["prediction"], p.trace.log_steps if p.trace.blocks else exact

    # Generation

    def draw(self, seeds, condition):
        """{"z": [N, T, D]}, zeros in padding; `condition` may have the length [N]."""
        rows, length = tf.shape(seeds)[0], condition.get("length")
        length = tf.fill([rows], self.data_shape[0] or self.sample_length) if length is None else length
        return self.simulated(self.start(rows), length, row_seeds=seeds)[0]

    def likelihoods(self, latents, condition):
        """{"x": p(x_t | z_t, past)} of latents [..., T, D], the past being the means of the steps before."""
        z = latents["z"]
        code = self.codes(tf.reshape(z, tf.concat([[-1], tf.shape(z)[-2:]], 0)))
        return {"x": self.decoded(tf.reshape(code, tf.concat([tf.shape(z)[:-1], code.shape[-1:]], 0)))}

    @graphed
    def codes(self, z):
        """What the decoder takes of latents [N, T, D], [N, T, F], the means of steps being those that follow."""
        z = time_first(z)
        _, found = self.walk(from_prior, self.start(tf.shape(z)[1]), {"real": tf.ones(tf.shape(z)[:2]), "z": z})
        return time_first(found["code"])

    def simulate(self, n, seed=None, mean=False, length=None):
        """({"z": [n, T, D]}, [n, T, ...]): draws of p(z, x), or the means of x_t given the steps drawn before it.

        Args:
            length: how many steps, one number or [n]; None as many as the data have, or else 64.
        """
        check_positive(n=n)
        return self.simulated(self.start(n), self.lengths(n, length), as_seed(seed), mean=bool(mean))

    def sample(self, n, seed=None, mean=False, length=None):
        """[n, T, ...]: draws of p(x), or the means of each step given those drawn before it; see `simulate`."""
        return self.simulate(n, seed, mean, length)[1]

    def continue_sequence(self, x, steps, seed=None, mean=False, **condition):
        """[B, steps, ...]: how each sequence may go on after its last real step; the latents so far are drawn."""
        check_positive(steps=steps)
        inputs = self.inputs_of(x, condition)
        return self.continued(inputs, tf.fill(tf.shape(self.image(inputs))[:1], int(steps)), as_seed(seed), bool(mean))

    @graphed
    def continued(self, inputs, length, seed, mean):
        past, future = tf.unstack(tf.random.split(seed, 2))
        batch, time = tf.unstack(tf.shape(self.image(inputs))[:2])
        noise = tf.random.stateless_normal([time, batch, self.latent_dim], past, alg="philox")
        state, _ = self.unroll(inputs, noise=noise)
        return self.simulated(state, length, future, mean=mean)[1]

    @graphed
    def simulated(self, state, length, seed=None, row_seeds=None, mean=False):
        """({latent: [N, T, D]}, x [N, T, ...]), or the means of x_t, from a state on; zeros after `length` [N].

        Args:
            seed: int32 [2], of all draws; or `row_seeds`, int32 [N, 2], a seed a row.
        """
        real, steps, rows = tf.sequence_mask(length, dtype=tf.float32), tf.reduce_max(length), tf.shape(length)[0]
        each = {"real": tf.transpose(real)}
        if row_seeds is None:
            noise, draw = tf.unstack(tf.random.split(seed, 2))
            each["noise"] = tf.random.stateless_normal([steps, rows, self.latent_dim], noise, alg="philox")
            each["seed"] = tf.random.split(draw, steps)
        else:
            noise, draw = tf.unstack(split_rows(row_seeds, 2))
            each["noise"], each["seeds"] = self.row_noise(noise, steps), split_rows(draw, steps)
        found = self.without_padding(self.walk(from_prior, state, each)[1], real)
        x = self.decoded(found["code"]).mean() if mean else found["x"]
        x = tf.reshape(x, tf.concat([[rows, steps], self.step_shape], 0))
        return {name: found[name] for name in self.latent_names}, x * expand(real, x)

    def lengths(self, n, length):
        """int32 [n] of how many steps to draw.

        Raises:
            InvalidInput: not positive whole numbers, or not n of them.
        """
        length = (self.data_shape[0] or self.sample_length) if length is None else length
        found = np.asarray(length)
        if found.dtype.kind not in "iu" or found.min(initial=1) < 1 or found.shape not in ((), (n,)):
            raise InvalidInput(f"length is a positive whole number, or {n} of them, got {length!r}")
        return tf.constant(np.broadcast_to(found, (n,)), tf.int32)

    def row_noise(self, seeds, steps):
        """[T, N, D]: standard normal noise, row by row of seeds [N, 2]."""
        each = split_rows(seeds, steps)
        noise = normal_rows(tf.reshape(each, [-1, 2]), [self.latent_dim])
        return tf.reshape(noise, tf.concat([tf.shape(each)[:2], [self.latent_dim]], 0))

    # Endpoints

    @property
    def field_specs(self):
        state = {f"state_{name}": spec for name, spec in self.state_spec.items()}
        return {**super().field_specs, **state, "x_t": self.data_spec["x"]._replace(shape=self.step_shape)}

    @property
    def endpoints(self):
        data, state = ["x", *self.fields_of("mask"), "length"], [f"state_{name}" for name in self.state_spec]
        known = {
            "reconstruct": (self.serve_reconstruct, data),
            "encode": (self.serve_encode, data),
            "filter": (self.serve_filter, data),
            "sample": (self.serve_sample, ["seed", "length"]),
            "score": (self.serve_score, [*data, "seed"]),
            "step": (self.serve_step, ["x_t", *state]),
        }
        return known if self.latent_names else {name: known[name] for name in known if name != "encode"}

    def serve_reconstruct(self, **fields):
        return renamed({"x": self.rebuilt(self.observed(fields))})

    def serve_encode(self, **fields):
        found = self.located(self.observed(fields))
        return {"z": found["z"], "z_scale": found["q_scale"]}

    def serve_filter(self, **fields):
        """What `step` says of every step in turn, from the first."""
        return self.filtered(self.observed(fields))

    def serve_step(self, x_t, **state):
        """One step of a stream: the next state, by the names of the one that went in, and what `filter` says of x_t."""
        state = {name.removeprefix("state_"): value for name, value in state.items()}
        state, said = self.step(state, self.see(x_t), from_past)
        said = self.online(said)
        state = {f"state_{name}": apart(value) for name, value in state.items()}
        return {**said, "prediction": apart(said["prediction"]), **state}

    def serve_sample(self, seed, length):
        """x [N, T, ...], drawn step by step of each row's own seed; zeros after its length."""
        return {"x": self.simulated(self.start(tf.shape(seed)[0]), length, row_seeds=tf.bitcast(seed, tf.int32))[1]}

    def serve_score(self, seed, **fields):
        """elbo and log_marginal [N] of `score_samples` draws, each row's of its own seed."""
        inputs, draws = self.observed(fields), self.score_samples
        seeds = tf.reshape(split_rows(tf.bitcast(seed, tf.int32), draws), [-1, 2])
        trace = self.passed(inputs, draws, self.row_noise(seeds, tf.shape(inputs["x"])[1])).trace
        return {"elbo": trace.elbo, "log_marginal": trace.log_marginal}


def expand(real, value):
    """[B, T] with as many axes as `value` [B, T, ...]."""
    return tf.reshape(real, tf.concat([tf.shape(real), [1] * (value.shape.rank - 2)], 0))
