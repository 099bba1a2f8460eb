"""A capacity for the code that grows in training: the annealed VAE.

    paid: |KL(q(z | x) || p(z)) - C|, its weight gamma in the paper; C is moved by a schedule of "capacity.nats"

With `beta=0` it takes the place of the KL: `annealed_vae`. Burgess et al. 2018, arXiv:1804.03599.
"""

import math

import keras
import tensorflow as tf

from zoo.errors import InvalidInput
from zoo.objectives.penalties import Penalty
from zoo.registry import PENALTIES


@PENALTIES.register("capacity")
class Capacity(Penalty):
    """How far the KL of all latents is from the nats that it may have.

    Args:
        weight: what the penalty is multiplied with beside the bound: gamma in the paper.
        nats: C, a variable that schedules move as "capacity.nats".
    """

    registry_name, needs = "capacity", ("prior",)

    def __init__(self, weight=1.0, nats=25.0, **kwargs):
        super().__init__(weight, **kwargs)
        if not isinstance(nats, (int, float)) or not 0 <= nats < math.inf:
            raise InvalidInput(f"capacity: nats is a number from 0, got {nats!r}")
        start = keras.initializers.Constant(nats)
        self.nats = self.add_weight(shape=(), initializer=start, trainable=False, name="nats")

    @property
    def scalars(self):
        return {**super().scalars, "nats": self.nats}

    def value(self, p, model):
        return tf.abs(sum(p.trace.kl.values()) - self.nats)
