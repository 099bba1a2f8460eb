"""How good a model is: likelihoods, bounds and their parts, codes, and which latent units are used."""

from zoo.evaluation import sequences  # noqa: F401
from zoo.evaluation.annealing import annealed_importance
from zoo.evaluation.codes import features
from zoo.evaluation.diagnosis import Finding, diagnose
from zoo.evaluation.importance import Estimator
from zoo.evaluation.kept import Kept
from zoo.evaluation.metrics import mean_and_error, per_example, summary
from zoo.evaluation.refinement import PosteriorSamples, sample_posterior
from zoo.evaluation.report import collapse_report, compare, evaluate, probe, score_each, test_data

__all__ = [
    "Estimator",
    "Finding",
    "Kept",
    "PosteriorSamples",
    "annealed_importance",
    "collapse_report",
    "compare",
    "diagnose",
    "evaluate",
    "features",
    "mean_and_error",
    "per_example",
    "probe",
    "sample_posterior",
    "score_each",
    "summary",
    "test_data",
]
