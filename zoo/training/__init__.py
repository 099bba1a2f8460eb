"""Training runs, recipes and the callbacks they are made of."""

from zoo.training.callbacks import EarlyStopping, ExponentialMovingAverage
from zoo.training.checkpoint import Checkpoint
from zoo.training.logs import KLPerUnitLogger
from zoo.training.progress import Progress
from zoo.training.recipe import Recipe
from zoo.training.run import train
from zoo.training.schedules import Cyclical, CyclicalKL, Linear, LinearKL, Sigmoid, SigmoidKL

__all__ = [
    "Checkpoint",
    "Cyclical",
    "CyclicalKL",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "KLPerUnitLogger",
    "Linear",
    "LinearKL",
    "Progress",
    "Recipe",
    "Sigmoid",
    "SigmoidKL",
    "train",
]
