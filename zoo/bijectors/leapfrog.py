"""The leapfrog integrator of Hamiltonian dynamics: a map of (position, momentum) that keeps the volume."""

import tensorflow as tf

LIMIT = 1e3  # a position or momentum beyond it has diverged: the integrator is unstable at its step size


def leapfrog(gradient, z, v, step_size, num_steps, cooling=1.0):
    """`num_steps` leapfrog steps of H(z, v) = -log p(z) + |v|^2 / 2: (z, v, diverged [...]).

    The steps are written out, so that a gradient of the result, a second derivative of log p, is taken as that of any
    other layer. A row whose trajectory leaves [-1000, 1000] or is not finite has diverged: it stays where it began,
    and sends no gradient. Neal 2011, arXiv:1206.1901; tempered as Caterini et al. 2018, arXiv:1805.11328.

    Args:
        gradient: z [..., D] -> d log p / dz [..., D].
        z, v: [..., D].
        step_size: [D], of each dimension, or one number; 0 keeps a dimension where it is.
        num_steps: how many steps.
        cooling: in (0, 1], what the momentum is multiplied by over all steps, most of it in the first ones; the volume
            changes by its D-th power.
    """
    start, steady = (z, v), tf.fill(tf.concat([tf.shape(z)[:-1], [1]], 0), True)
    slope = gradient(z)
    factors = cooling_factors(cooling, num_steps)
    for factor in factors:
        v += 0.5 * step_size * slope
        z += step_size * v
        steady = steady & within_limits(z, v)
        z, v = tf.where(steady, z, start[0]), tf.where(steady, v, start[1])
        slope = gradient(z)
        v = factor * (v + 0.5 * step_size * slope)
    steady = steady & within_limits(z, v)
    z, v = tf.where(steady, z, start[0]), tf.where(steady, v, start[1] * cooling)
    return z, v, ~tf.squeeze(steady, -1)


def cooling_factors(cooling, num_steps):
    """The factors of the steps, whose product is `cooling`: ratios of the inverse square roots of temperatures.

    1 / sqrt(beta_k) falls from 1 / cooling to 1 as a parabola of k. Caterini et al. 2018, equation 11.
    """
    heats = [1 / cooling + (1 - 1 / cooling) * (k / num_steps) ** 2 for k in range(num_steps + 1)]
    return [after / before for before, after in zip(heats, heats[1:], strict=False)]


def within_limits(z, v):
    """[..., 1]: whether all of z and v [..., D] are finite and within the limit."""
    return tf.reduce_all((tf.abs(z) < LIMIT) & (tf.abs(v) < LIMIT), -1, keepdims=True)
