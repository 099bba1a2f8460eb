"""Adversaries: penalties that learn. Each has a cost, variables and an optimiser of its own.

A model's training step plays a game of several players on the same pass: the model minimises its own cost with the
adversaries as they are, and each adversary its own cost with the model as it is.
"""

from typing import NamedTuple

import keras

from zoo.errors import InvalidInput
from zoo.objectives.penalties import Penalty


class Player(NamedTuple):
    """Who minimises what.

    Attributes:
        name: of the player.
        cost: `Pass` -> the scalar it minimises.
        variables: what it moves.
        optimizer: by which.
    """

    name: str
    cost: callable
    variables: list
    optimizer: keras.optimizers.Optimizer


class Adversary(Penalty):
    """A penalty with a cost of its own, minimised by Adam with beta_1 = 0.5 and beta_2 = 0.9.

    A subclass writes `value`, what the model pays, and `cost`; its layers are made in the first call of `value`.

    Args:
        weight: of the penalty.
        learning_rate: of the adversary's optimiser.
        clipnorm: None, or the largest norm of its whole gradient.
    """

    def __init__(self, weight=1.0, learning_rate=1e-4, clipnorm=None, **kwargs):
        super().__init__(weight, **kwargs)
        if not learning_rate > 0 or (clipnorm is not None and not clipnorm > 0):
            raise InvalidInput(f"{self.name}: learning_rate and clipnorm must be positive")
        self.learning_rate, self.clipnorm = learning_rate, clipnorm
        self.optimizer = None

    def cost(self, p, model):
        """The scalar that the adversary minimises, for a `Pass` whose tensors it holds fixed."""
        raise NotImplementedError

    def players(self, model):
        return [Player(self.name, lambda p: self.cost(p, model), self.trainable_variables, self.optimizer)]

    def compile(self, mixed):
        adam = keras.optimizers.Adam(self.learning_rate, 0.5, 0.9, global_clipnorm=self.clipnorm)
        self.optimizer = keras.optimizers.LossScaleOptimizer(adam) if mixed else adam
        self.optimizer.build(self.trainable_variables)
