"""One step along a sequence, and the loops made of it: training, filter, prediction, simulation and serving alike.

A step picks z_t, and makes x_t where it is not given:

    from_posterior    z_t as q(z_t | z_1..t-1, x) has it
    from_past         so too, as if x ended with this step: what follows is not known
    from_prior        z_t as p(z_t | past) has it, then x_t as p(x_t | z_t, past) has it

z_t is as given, or drawn by given noise, or at its location where there is neither.
"""

import math

import tensorflow as tf

from zoo.data.spec import TARGET
from zoo.distributions import FlowPosterior
from zoo.models.particles import blocks_of, particle_body
from zoo.networks.recurrent import keep, scan, severed, time_first


class SequenceLoop:
    """A step and the loops over it; mixed into `SequenceModel`."""

    def step(self, state, each, pick):
        """(the next state, name -> what is said) of a step of N rows.

        Args:
            state: before the step.
            each: what `see` and `evidence` say of x_t, or a "seed" or "seeds" [N, 2] of its draw; "z" or its "noise".
            pick: one of the above, (model, state, p(z_t | past), each) -> (z_t, the state, what it says).
        """
        if "cut" in each:
            state = severed(state, each["cut"])
        p = self.transition(state)
        z, updated, said = pick(self, state, p, each)
        code, updated = self.emit(updated, z)
        said |= {"z": z, "code": code, "p_loc": p.distribution.loc, "p_scale": p.distribution.scale}
        if pick is from_prior:
            x = self.draw_step(code, each)
            each, said["x"] = self.see(x), tf.reshape(x, [-1, math.prod(self.step_shape)])
        return self.advance(updated, z, each), said

    def draw_step(self, code, each):
        """x_t [N, ...] by one seed, or by one a row; its mean where there is neither."""
        parameters = self.decode_parameters(code)
        if "seeds" in each:
            return tf.vectorized_map(self.draw_row, (parameters, each["seeds"]))
        likelihood = self.likelihood_head(parameters)
        return likelihood.sample(seed=each["seed"]) if "seed" in each else likelihood.mean()

    def draw_row(self, row):
        """A draw of one x_t, of the decoder's parameters and a seed."""
        parameters, seed = row
        return self.likelihood_head(parameters[None]).sample(seed=seed)[0]

    def walk(self, pick, state, each, shared=(), draws=1, filtering=None):
        """(the state after the last real step, name -> [T, N, ...]) of a loop of steps.

        Args:
            state: of N rows, before the first step.
            each: name -> [T, ...]: what `step` takes of each.
            shared: name -> [T, N / draws, ...]: what all draws of an example take alike; "real", 0 in padding, or in
                `each`.
            filtering: None, or (threshold, beta) of a particle filter.
        """
        elements = {**dict(shared), **each}
        if self.truncate:
            elements["cut"] = self.cuts(tf.shape(elements["real"])[0])
        outputs = {name: self.sizes[name] for name in SAYS[pick]}

        def body(state, each):
            new, said = self.step(state, each, pick)
            return keep(each["real"], new, state), said

        if filtering:
            body, more = particle_body(self, body, draws, *filtering)
            state, outputs = {**state, **blocks_of(next(iter(state.values())))}, {**outputs, **more}

        def of_draws(state, each):
            rows = {name: tf.tile(each[name], [draws] + [1] * (each[name].shape.rank - 1)) for name in shared}
            return body(state, {**each, **rows})

        return scan(of_draws, state, elements, outputs)

    def unroll(self, inputs, draws=1, state=None, filtering=None, pick=None, **each):
        """(the state after the last real step, name -> [T, draws * B, ...]) of a loop along x.

        Args:
            state: before the first step, of draws * B rows; None starts afresh.
            filtering: None, or (uniform [T, B], threshold, beta) of a particle filter.
            pick: `from_posterior`, unless said.
            **each: z [T, draws * B, D] as given, or the noise of its draws; with neither it is at its location.
        """
        x, real = time_first(self.image(inputs)), tf.transpose(self.real(inputs))
        batch, pick = tf.shape(real)[1], pick or from_posterior
        state = self.start(draws * batch) if state is None else state
        shared = self.by_row(self.see, x)
        if pick is from_posterior:
            shared = self.evidence(shared, real, {name: value[:batch] for name, value in state.items()})
        shared = {**shared, "real": real}
        if filtering:
            uniform, *filtering = filtering
            shared["x"] = time_first(inputs.get(TARGET, self.image(inputs)))
            shared |= {mask: time_first(inputs[mask]) for mask in self.fields_of("mask") if mask in inputs}
            each |= {"uniform": uniform, "more": tf.concat([real[1:], tf.zeros_like(real[:1])], 0)}
        return self.walk(pick, state, each, shared, draws, filtering)

    @property
    def sizes(self):
        """Name -> what follows the rows of what a step says: its size, or () where nothing does."""
        latent = dict.fromkeys(("z", "p_loc", "p_scale", "q_loc", "q_scale"), self.latent_dim)
        code = dict.fromkeys(("code", "ahead"), self.code_size)
        return {**latent, **code, "log_q": (), "x": math.prod(self.step_shape)}

    def cuts(self, steps, reverse=False):
        """[T]: 1 in the steps before which gradients stop; in a loop from the last to the first, that stop there."""
        t = tf.range(steps)
        return tf.cast((t + 1) % self.truncate == 0 if reverse else (t > 0) & (t % self.truncate == 0), tf.float32)

    def sweep(self, cell, gates, real, reverse=False, **settings):
        """`Recurrence.sweep`, through which gradients go no further than through `walk`."""
        cut = self.cuts(tf.shape(gates)[0], reverse) if self.truncate else None
        return cell.sweep(gates, real, reverse=reverse, cut=cut, **settings)

    def by_row(self, function, x):
        """What a function of [N, ...], or of a dict of them, makes of x [T, B, ...] with all steps as rows."""
        lead = tf.shape(x)[:2]
        made = function(tf.reshape(x, tf.concat([[-1], x.shape[2:]], 0)))
        return tf.nest.map_structure(lambda value: tf.reshape(value, tf.concat([lead, value.shape[1:]], 0)), made)


def from_posterior(model, state, p, each):
    """z_t of q(z_t | past, evidence), and log q(z_t)."""
    q, state = model.infer(state, p, each)
    flow = isinstance(q, FlowPosterior)
    base = q.distribution if flow else q
    z, log_det = picked(base, each), 0.0
    log_q = tf.zeros_like(z[:, 0]) if flow and "z" in each else base.log_prob(z)
    if flow and "z" not in each:
        z, log_det = q.push(z)
    return z, state, {"log_q": log_q - log_det, "q_loc": base.distribution.loc, "q_scale": base.distribution.scale}


def from_past(model, state, p, each):
    """As `from_posterior`, of the evidence that this step alone gives; "ahead" is the code at p's location."""
    one = {name: tf.expand_dims(value, 0) for name, value in each.items()}
    evidence = model.evidence(one, tf.ones([1, tf.shape(p.distribution.loc)[0]]), state)
    evidence = {name: tf.squeeze(value, 0) for name, value in evidence.items()}
    z, updated, said = from_posterior(model, state, p, {**each, **evidence})
    return z, updated, {**said, "ahead": model.emit(state, p.distribution.loc)[0]}


def from_prior(model, state, p, each):
    return picked(p, each), state, {}


def picked(distribution, each):
    """[N, D]: as given, drawn by given noise, or at the location of a normal distribution."""
    if "z" in each:
        return each["z"]
    normal = distribution.distribution
    return normal.loc + normal.scale * each["noise"] if "noise" in each else normal.loc


SAYS = {from_posterior: ("z", "code", "log_q", "p_loc", "p_scale", "q_loc", "q_scale"), from_prior: ("z", "code", "x")}
SAYS[from_past] = (*SAYS[from_posterior], "ahead")


def by_draw(value, draws):
    """[T, draws * B, ...] -> [draws, 1, B, T, ...]; of one row for all draws [1, 1, B, T]."""
    rows = tf.reshape(value, tf.concat([[tf.shape(value)[0], draws, -1], tf.shape(value)[2:]], 0))
    return tf.transpose(rows, [1, 2, 0, *range(3, rows.shape.rank)])[:, None]
