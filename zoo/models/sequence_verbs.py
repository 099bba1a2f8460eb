"""What one does with a model of sequences: verbs and endpoints over its loop, and the loop that simulates."""

import itertools
import math
import types

import keras
import numpy as np
import tensorflow as tf

from zoo.distributions import FlowPosterior, location, scale
from zoo.errors import InvalidInput, check_positive
from zoo.models.graphs import graphed
from zoo.models.verbs import renamed
from zoo.networks.recurrent import keep, scan, time_first
from zoo.numerics import apart
from zoo.randomness import as_seed
from zoo.rows import normal_rows, split_rows


class SequenceVerbs:
    """Encode, reconstruct, sample, continue, predict, filter and score sequences; mixed into `SequenceModel`.

    x is [B, T, ...] and `length` [B] says how many steps of each are real: None means all of them.
    """

    sample_length = 64  # steps of a sample, unless said or fixed by the data's shape

    # Inference

    def located(self, inputs):
        """name -> [B, T, ...]: what the loop says at the posterior's locations, zeros in padding."""
        real = self.real(inputs)
        return {name: time_first(value) * expand(real, value) for name, value in self.unroll(inputs)[1].items()}

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
        return self.estimate(self.inputs_of(x, condition), num_samples, seed, resample).trace.log_marginal

    def estimate(self, inputs, num_samples, seed, resample):
        """The `Pass` of draws, of a particle filter with `resample`, which a model without latents does not need."""
        needs = ("resampling",) if resample and "resampling" in self.offers else ()
        return self(inputs, num_samples=num_samples, seed=seed, needs=needs)

    def filter(self, x, **condition):
        """(z [B, T, D], scale [B, T, D]): the posterior of each latent given x so far, at the locations before it."""
        found = self.filtered(self.inputs_of(x, condition))
        return found["z"], found["z_scale"]

    def predict_next(self, x, num_samples=100, seed=None, **condition):
        """([B, T, ...], [B, T]): the mean of each step given those before it, and its log score in nats.

        The mean is at the prior's location; the scores are a particle filter's estimates of log p(x_t | x_1..t-1),
        which add up to its estimate of log p(x).
        """
        check_positive(num_samples=num_samples)
        inputs = self.inputs_of(x, condition)
        p = self.estimate(inputs, num_samples, seed, resample=True)
        exact = () if p.trace.blocks else self.score_steps(p.likelihood["x"], inputs, self.real(inputs))[0, 0]
        return self.filtered(inputs)["prediction"], p.trace.log_steps if p.trace.blocks else exact

    # Generation

    def draw(self, seeds, condition):
        """{"z": [N, T, D]}, zeros in padding; `condition` may have the length [N]."""
        rows, length = tf.shape(seeds)[0], condition.get("length")
        length = tf.fill([rows], self.data_shape[0] or self.sample_length) if length is None else length
        found = self.simulated(self.start(rows), length, row_seeds=seeds)
        return {name: found[name] for name in self.latent_names}

    def likelihoods(self, latents, condition):
        """{"x": p(x_t | z_t, past)} of latents [..., T, D], the past being the means of the steps before."""
        z = latents["z"]
        rows = tf.reshape(z, tf.concat([[-1], tf.shape(z)[-2:]], 0))
        found = self.simulated(self.start(tf.shape(rows)[0]), None, z=time_first(rows))
        lead = tf.shape(z)[:-1]
        parameters = tf.reshape(found["parameters"], tf.concat([lead, self.likelihood_head.decoder_shape], 0))
        return {"x": self.likelihood_head(parameters)}

    def simulate(self, n, seed=None, mean=False, length=None):
        """({"z": [n, T, D]}, [n, T, ...]): draws of p(z, x), or the means of x_t given the steps drawn before it.

        Args:
            length: how many steps, one number or [n]; None as many as the data have, or else 64.
        """
        check_positive(n=n)
        found = self.simulated(self.start(n), self.lengths(n, length), seed=as_seed(seed))
        return {name: found[name] for name in self.latent_names}, found["mean" if mean else "x"]

    def sample(self, n, seed=None, mean=False, length=None):
        """[n, T, ...]: draws of p(x), or the means of each step given those drawn before it; see `simulate`."""
        return self.simulate(n, seed, mean, length)[1]

    def continue_sequence(self, x, steps, seed=None, mean=False, **condition):
        """[B, steps, ...]: how each sequence may go on after its last real step; the latents so far are drawn."""
        check_positive(steps=steps)
        inputs = self.inputs_of(x, condition)
        batch, time = tf.unstack(tf.shape(self.image(inputs))[:2])
        past, future = tf.unstack(tf.random.split(as_seed(seed), 2))
        noise = tf.random.stateless_normal([time, batch, self.latent_dim], past, alg="philox")
        state, _ = self.unroll(inputs, noise=noise)
        found = self.simulated(state, tf.fill([batch], steps), seed=future)
        return found["mean" if mean else "x"]

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

    @graphed
    def simulated(self, state, length, seed=None, row_seeds=None, z=None):
        """name -> [N, T, ...]: z, x, the mean and the decoder's parameters of steps drawn one after another.

        Args:
            state: before the first, of N rows.
            length: [N]; what follows is zeros. None with z.
            seed: int32 [2], of all draws; or `row_seeds`, int32 [N, 2], a seed a row.
            z: latents [T, N, D] as given; then the means are fed back in place of draws.
        """
        rows = tf.shape(next(iter(state.values())))[0]
        steps = tf.shape(z)[0] if z is not None else tf.reduce_max(length)
        real = tf.ones([steps, rows]) if z is not None else tf.transpose(tf.sequence_mask(length, dtype=tf.float32))
        elements = {"real": real, "cut": self.cuts(steps)}
        if z is not None:
            elements["z"] = z
        elif row_seeds is None:
            noise, draw = tf.unstack(tf.random.split(seed, 2))
            elements["noise"] = tf.random.stateless_normal([steps, rows, self.latent_dim], noise, alg="philox")
            elements["seed"] = tf.random.split(draw, steps)
        else:
            noise, draw = tf.unstack(split_rows(row_seeds, 2))
            elements["noise"] = self.row_noise(noise, steps)
            elements["seeds"] = split_rows(draw, steps)
        width, size = math.prod(self.likelihood_head.decoder_shape), math.prod(self.step_shape)
        outputs = {"z": self.latent_dim, "x": size, "mean": size, "parameters": width}
        found = {name: time_first(value) for name, value in scan(self.generate, state, elements, outputs)[1].items()}
        lead, real = tf.stack([rows, steps]), tf.transpose(real)
        found |= {k: tf.reshape(found[k], tf.concat([lead, self.step_shape], 0)) for k in ("x", "mean")}
        return {name: value * expand(real, value) for name, value in found.items()}

    def generate(self, state, each):
        """(the next state, what is said) of a step that is drawn, or has z given."""
        p = self.transition(state)
        z = each["z"] if "z" in each else p.mean() + p.stddev() * each["noise"]
        code, updated = self.emit(state, z)
        parameters = self.decode_parameters(code)
        likelihood = self.likelihood_head(parameters)
        mean = x = likelihood.mean()
        if "seed" in each:
            x = likelihood.sample(seed=each["seed"])
        elif "seeds" in each:
            x = tf.vectorized_map(self.draw_row, (parameters, each["seeds"]))
        new = keep(each["real"], self.advance(updated, z, self.see(x)), state)
        flat = {"x": x, "mean": mean, "parameters": parameters}
        flat = {name: tf.reshape(value, [-1, math.prod(value.shape[1:])]) for name, value in flat.items()}
        return new, {"z": z, **flat}

    def draw_row(self, row):
        """A draw of one x_t, of the decoder's parameters and a seed."""
        parameters, seed = row
        return self.likelihood_head(parameters[None]).sample(seed=seed)[0]

    def row_noise(self, seeds, steps):
        """[T, N, D]: standard normal noise, row by row of seeds [N, 2]."""
        each = split_rows(seeds, steps)
        noise = normal_rows(tf.reshape(each, [-1, 2]), [self.latent_dim])
        return tf.reshape(noise, tf.concat([tf.shape(each)[:2], [self.latent_dim]], 0))

    # Step by step

    def filtered(self, inputs):
        """name -> [B, T, ...]: z, its scale, the prediction and the reconstruction of each step, of x so far."""
        x, real = time_first(self.image(inputs)), tf.transpose(self.real(inputs))
        outputs = {"z": self.latent_dim, "z_scale": self.latent_dim}
        size = math.prod(self.step_shape)
        outputs |= {"prediction": size, "reconstruction": size}

        def body(state, each):
            new, said = self.online(state, each["x"])
            said = {name: tf.reshape(value, [-1, outputs[name]]) for name, value in said.items()}
            return keep(each["real"], new, state), said

        _, found = scan(body, self.start(tf.shape(x)[1]), {"x": x, "real": real}, outputs)
        found = {name: time_first(value) for name, value in found.items()}
        shape = tf.shape(self.image(inputs))
        found |= {name: tf.reshape(found[name], shape) for name in ("prediction", "reconstruction")}
        return {name: value * expand(tf.transpose(real), value) for name, value in found.items()}

    def online(self, state, x):
        """(the next state, what one step x [N, ...] says), everything at its location and from the past alone."""
        prior = self.transition(state)
        prediction = self.decoded(self.emit(state, prior.mean())[0]).mean()
        seen = {name: tf.expand_dims(value, 0) for name, value in self.see(x).items()}
        evidence = self.evidence(seen, tf.ones([1, tf.shape(x)[0]]), state)
        evidence = {name: tf.squeeze(value, 0) for name, value in evidence.items()}
        q, updated = self.infer(state, prior, evidence)
        z = location(q) if isinstance(q, FlowPosterior) else q.mean()
        code, updated = self.emit(updated, z)
        said = {"z": z, "z_scale": scale(q), "prediction": prediction, "reconstruction": self.decoded(code).mean()}
        return self.advance(updated, z, evidence), said

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
        return self.said(self.filtered(self.observed(fields)))

    def serve_step(self, x_t, **state):
        """One step of a stream: the next state, by the names of the one that went in, and what `filter` says of x_t."""
        new, said = self.online({name.removeprefix("state_"): value for name, value in state.items()}, x_t)
        new = {f"state_{name}": apart(value) for name, value in new.items()}
        return {**self.said(said), "prediction": apart(said["prediction"]), **new}

    def said(self, found):
        return {name: value for name, value in found.items() if self.latent_names or not name.startswith("z")}

    def serve_sample(self, seed, length):
        """x [N, T, ...], drawn step by step of each row's own seed; zeros after its length."""
        row_seeds = tf.bitcast(seed, tf.int32)
        return {"x": self.simulated(self.start(tf.shape(seed)[0]), length, row_seeds=row_seeds)["x"]}

    def serve_score(self, seed, **fields):
        """elbo and log_marginal [N] of `score_samples` draws, each row's of its own seed."""
        inputs = self.observed(fields)
        steps, draws = tf.shape(inputs["x"])[1], self.score_samples
        seeds = tf.reshape(split_rows(tf.bitcast(seed, tf.int32), draws), [-1, 2])
        trace = self.passed(inputs, draws, self.row_noise(seeds, steps), None)[0].trace
        return {"elbo": trace.elbo, "log_marginal": trace.log_marginal}


def expand(real, value):
    """[B, T] with as many axes as `value` [B, T, ...]."""
    return tf.reshape(real, tf.concat([tf.shape(real), [1] * (value.shape.rank - 2)], 0))
