"""The loop of a model of sequences, which serves its pass, its particle filter and its locations alike."""

import tensorflow as tf

from zoo.data.spec import TARGET
from zoo.distributions import FlowPosterior
from zoo.models.particles import blocks_of, particle_body
from zoo.networks.recurrent import keep, scan, time_first


class SequenceLoop:
    """One masked loop along x; mixed into `SequenceModel`."""

    def step(self, state, each):
        """(the next state, what the step says) at z_t given, drawn by given noise, or at its location."""
        if self.truncate:
            state = {name: tf.where(each["cut"] > 0, tf.stop_gradient(value), value) for name, value in state.items()}
        prior = self.transition(state)
        q, updated = self.infer(state, prior, each)
        z, log_q = taken(q, each)
        code, updated = self.emit(updated, z)
        base = q.distribution if isinstance(q, FlowPosterior) else q
        p, base = prior.distribution, base.distribution
        said = {"z": z, "code": code, "log_q": log_q}
        said |= {"p_loc": p.loc, "p_scale": p.scale, "q_loc": base.loc, "q_scale": base.scale}
        return keep(each["real"], self.advance(updated, z, each), state), said

    def unroll(self, inputs, draws=1, state=None, filtering=None, **chosen):
        """(the state after the last real step, name -> [T, draws * B, ...]) of a loop along x.

        Args:
            state: before the first step, of draws * B rows; None starts afresh.
            filtering: None, or {"uniform": [T, B], "threshold": share, "beta": weight} of a particle filter.
            **chosen: z [T, draws * B, D] as given, or the noise of its draws; with neither it is at its location.
        """
        x, real = time_first(self.image(inputs)), tf.transpose(self.real(inputs))
        steps, batch = tf.shape(real)[0], tf.shape(real)[1]
        state = self.start(draws * batch) if state is None else state
        shared = self.evidence(self.by_row(self.see, x), real, {name: value[:batch] for name, value in state.items()})
        shared = {**shared, "real": real}
        own = {**chosen, "cut": self.cuts(steps)}
        body = self.step
        outputs = {"z": self.latent_dim, "code": self.code_size, "log_q": (), "p_loc": self.latent_dim}
        outputs |= dict.fromkeys(("p_scale", "q_loc", "q_scale"), self.latent_dim)
        if filtering:
            shared["x"] = time_first(inputs.get(TARGET, self.image(inputs)))
            shared |= {mask: time_first(inputs[mask]) for mask in self.fields_of("mask") if mask in inputs}
            own |= {"uniform": filtering["uniform"], "more": tf.concat([real[1:], tf.zeros_like(real[:1])], 0)}
            body, more = particle_body(self, draws, **{k: v for k, v in filtering.items() if k != "uniform"})
            outputs |= more
            state = {**state, **blocks_of(draws * batch)}

        def each_draw(state, each):
            rows = {name: tf.tile(each[name], [draws] + [1] * (each[name].shape.rank - 1)) for name in shared}
            return body(state, {**each, **rows})

        return scan(each_draw, state, {**shared, **own}, outputs)

    def cuts(self, steps):
        """[T]: 1 in the steps before which gradients stop."""
        t = tf.range(steps)
        return tf.cast((t > 0) & (t % (self.truncate or steps) == 0), tf.float32)

    def by_row(self, function, x):
        """What a function of [N, ...], or of a dict of them, makes of x [T, B, ...] with all steps as rows."""
        lead = tf.shape(x)[:2]
        made = function(tf.reshape(x, tf.concat([[-1], x.shape[2:]], 0)))
        return tf.nest.map_structure(lambda value: tf.reshape(value, tf.concat([lead, value.shape[1:]], 0)), made)


def taken(q, each):
    """(z, log q(z)): given as it is; else drawn by noise, or at the location where there is none."""
    flow = isinstance(q, FlowPosterior)
    base = q.distribution if flow else q
    if "z" in each:
        return each["z"], tf.zeros_like(base.mean()[:, 0]) if flow else base.log_prob(each["z"])
    z = base.mean() + base.stddev() * each["noise"] if "noise" in each else base.mean()
    log_q = base.log_prob(z)
    if not flow:
        return z, log_q
    z, log_det = q.push(z)
    return z, log_q - log_det


def by_draw(value, draws):
    """[T, draws * B, ...] -> [draws, 1, B, T, ...]; of one row for all draws [1, 1, B, T]."""
    rows = tf.reshape(value, tf.concat([[tf.shape(value)[0], draws, -1], tf.shape(value)[2:]], 0))
    return tf.transpose(rows, [1, 2, 0, *range(3, rows.shape.rank)])[:, None]
