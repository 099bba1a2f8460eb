"""Monotone rational-quadratic splines. Durkan, Bekasov, Murray & Papamakarios 2019, arXiv:1906.04032."""

import numpy as np
import tensorflow as tf

from zoo.bijectors.base import Flow


class Spline(Flow):
    """Elementwise, increasing: rational-quadratic on K bins of [-limit, limit], the identity outside.

    Within a bin of width w and height h, with t in [0, 1] the place in it, s = h / w, and slopes a and b at its ends,
    y rises by h (s t^2 + a t (1 - t)) / (s + (a + b - 2 s) t (1 - t)). Summed over all bins with t clipped to [0, 1]
    that is the whole spline, without looking for the bin, for which LiteRT's GPU path has no operators; its inverse is
    summed likewise. The values are those of tfb.RationalQuadraticSpline.

    Args:
        widths, heights: [..., D, K], positive, K > 1, summing to 2 limit.
        slopes: [..., D, K - 1], positive, at the knots between the bins; 1 at the ends.
        limit: where the identity begins.
    """

    def __init__(self, widths, heights, slopes, limit, validate_args=True, name="Spline"):
        parameters = dict(locals())
        super().__init__(parameters, validate_args, name)
        ends = tf.ones_like(slopes[..., :1])
        self.limit, self.widths, self.heights = limit, widths, heights
        self.left, self.right = tf.concat([ends, slopes], -1), tf.concat([slopes, ends], -1)
        self.slope = heights / widths
        self.curve = self.left + self.right - 2 * self.slope

    def push(self, x):
        starts = self.starts(self.widths)
        t = tf.clip_by_value((x[..., None] - starts) / self.widths, 0.0, 1.0)
        bend = t * (1 - t)
        below = self.slope + self.curve * bend
        rise = self.heights * (self.slope * tf.square(t) + self.left * bend) / below
        y = tf.reduce_sum(rise, -1) - self.limit + self.outside(x)
        above = self.right * tf.square(t) + 2 * self.slope * bend + self.left * tf.square(1 - t)
        log_slope = 2 * tf.math.log(self.slope / below) + tf.math.log(above)
        inside = tf.reduce_sum(tf.where(self.bin(x, starts), log_slope, tf.zeros_like(log_slope)), -1)
        return y, tf.reduce_sum(inside, -1)

    def solve(self, y):
        """In each bin the root of a quadratic in t, in the form that does not cancel."""
        rise = tf.clip_by_value(y[..., None] - self.starts(self.heights), 0.0, self.heights)
        a = self.heights * (self.slope - self.left) + rise * self.curve
        b = self.heights * self.left - rise * self.curve
        c = self.slope * rise
        root = tf.sqrt(tf.maximum(tf.square(b) + 4 * a * c, 0))
        t = tf.clip_by_value(2 * c / (b + root), 0.0, 1.0)
        return tf.reduce_sum(self.widths * t, -1) - self.limit + self.outside(y)

    def starts(self, lengths):
        """[..., D, K]: where each bin begins."""
        count = lengths.shape[-1]
        before = tf.constant(np.triu(np.ones([count, count]), 1), lengths.dtype)
        return tf.tensordot(lengths, before, 1) - self.limit

    def bin(self, x, starts):
        """[..., D, K]: whether x lies in the bin; in none outside of the limits, else in exactly one."""
        reached = x[..., None] >= starts
        ended = tf.concat([reached[..., 1:], (x >= self.limit)[..., None]], -1)
        return tf.logical_and(reached, tf.logical_not(ended))

    def outside(self, x):
        """How far x lies beyond the limits."""
        return x - tf.clip_by_value(x, -self.limit, self.limit)
