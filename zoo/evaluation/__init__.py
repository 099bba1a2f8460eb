"""How good a model is: likelihoods, bounds and their parts, codes, and which latent units are used."""

from zoo.evaluation.annealing import annealed_importance
from zoo.evaluation.codes import features
from zoo.evaluation.importance import collapse_report, compare, evaluate, mean_and_error, per_example, probe, test_data

__all__ = [
    "annealed_importance",
    "collapse_report",
    "compare",
    "evaluate",
    "features",
    "mean_and_error",
    "per_example",
    "probe",
    "test_data",
]
