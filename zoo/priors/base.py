"""A prior p(z): a layer with a density made of its weights, draws row by row, and the geometry of its space."""

import keras
import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.probability import tfp
from zoo.registry import PRIORS
from zoo.rows import normal_rows

tfd = tfp.distributions


class Prior(keras.layers.Layer):
    """What every prior says of itself; one of your own writes `distribution`, and the rest where it differs."""

    rows_apart = True

    def distribution(self):
        """p(z) over [D]."""
        raise NotImplementedError

    def draw(self, seeds):
        """[N, D]: for each row of seeds, int32 [N, 2], what `distribution().sample(seed=row)` draws."""
        return tf.vectorized_map(lambda row: self.distribution().sample(seed=row), seeds)

    def tempered(self, seeds, temperature):
        """[N, D]: as `draw`, with scales that are multiplied by a temperature.

        Raises:
            InvalidInput: a prior without scales.
        """
        raise InvalidInput(f"a {type(self).__name__} has no scale for a temperature: a standard_normal or mixture has")

    def between(self, start, stop, place):
        """[..., D]: the point on the way from `start` to `stop` at `place` in [0, 1]: on a straight line."""
        return start + place * (stop - start)

    def quantiles(self, probabilities):
        """z [N, D] of probabilities [N, D] in (0, 1): a grid that is even in them is one that the prior fills evenly.

        Raises:
            InvalidInput: a prior that has none.
        """
        raise InvalidInput(f"a {type(self).__name__} has no quantiles: a grid needs a standard_normal or flow prior")


@PRIORS.register("standard_normal")
class StandardNormal(Prior):
    """N(0, I).

    Args:
        latent_dim: D, or the shape of a map.
    """

    def __init__(self, latent_dim):
        super().__init__(name="prior")
        self.shape = [latent_dim] if isinstance(latent_dim, int) else list(latent_dim)
        self.built = True

    def distribution(self):
        return tfd.Independent(tfd.Normal(tf.zeros(self.shape), tf.ones(self.shape)), len(self.shape))

    def draw(self, seeds):
        return normal_rows(seeds, self.shape)

    def tempered(self, seeds, temperature):
        return temperature * self.draw(seeds)

    def quantiles(self, probabilities):
        return tf.math.ndtri(probabilities)
