"""Training runs, recipes and the callbacks they are made of."""

from zoo.training.callbacks import EarlyStopping, ExponentialMovingAverage, KLPerUnitLogger
from zoo.training.checkpoint import Checkpoint
from zoo.training.recipe import Recipe
from zoo.training.run import train
from zoo.training.schedules import CyclicalKL, LinearKL, SigmoidKL

__all__ = [
    "Checkpoint",
    "CyclicalKL",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "KLPerUnitLogger",
    "LinearKL",
    "Recipe",
    "SigmoidKL",
    "train",
]
