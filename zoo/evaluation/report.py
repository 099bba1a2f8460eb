"""How good a model is: its metrics over a data set, its difference from another, and what they say in words."""

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data import open_source, takes_labels
from zoo.data.batches import Order, batches
from zoo.errors import InvalidInput, check_positive
from zoo.evaluation.importance import Estimator
from zoo.evaluation.kept import Kept
from zoo.evaluation.metrics import UNUSED_KL, examples, mean_and_error, per_example, summary
from zoo.evaluation.refinement import REFINEMENTS, refined
from zoo.precision import in_precision
from zoo.quiet import waiting

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

PROBE = {"num_examples": 100, "num_samples": 100, "seed": 7}
LARGEST_BIAS, BIAS_EXAMPLES, BIAS_DRAWS = 0.01, 1000, 100  # of an evaluation in half the bits; nats


def evaluate(
    model: "LatentVariableModel",
    dataset: Any,
    num_samples: int = 5000,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
    refine: str | dict[str, Any] | None = None,
    kept: Kept | None = None,
    precision: str = "float32",
) -> dict[str, dict[str, Any]]:
    """The metrics of a card, over every example of a data set.

    Images are binarised once, keyed by the image (`LatentVariableModel.preprocess`), so any two evaluations see the
    same test set. Memory does not grow with `num_samples`: the draws are taken in chunks.

    Args:
        model: any model of the zoo.
        dataset: a `tf.data.Dataset` of batches, or arrays.
        num_samples: draws per example of the importance-weighted estimate.
        limit: only the first examples.
        seed: of the draws.
        progress: called as progress(done, total or None) after each batch.
        refine: "hmc" also measures the posterior by Hamiltonian Monte Carlo from the encoder's draws (how much better
            its reconstructions are, R-hat, effective sample size): see `sample_posterior`. It takes a thousand times
            the time of a reconstruction, so give a limit.
        kept: a `Kept`, which holds the numbers of each batch on the disk: the same call goes on with them after a stop.
            Clear it when all is done.
        precision: "bfloat16" lets the networks compute in half the bits, in less time where the processor has
            instructions for them. "bfloat16_bias" is then what this does to the NLL: the paired difference on the
            first 1,000 examples or more, 100 draws each. "float32" leaves the model as it is.

    Returns:
        Name -> {"value", "standard_error", "num_examples", ...} of every metric whose needs the model meets; see
        `zoo.evaluation.metrics`. Models of several latents have "kl_<name>", "active_units_<name>" and
        "unused_units_<name>" of each, and penalties are there under their names. From models that classify the labels
        are hidden, so that all numbers but the errors and penalties are of p(x).

    Raises:
        InvalidInput: data that do not fit the model, sizes that are not positive, an NLL that bfloat16 is not known,
            by two standard errors, to move by less than 0.01 nats.
    """
    if refine is not None and precision != "float32":
        raise InvalidInput("refine is in single precision: leave out refine or precision")
    sampler = None if refine is None else REFINEMENTS.create(refine, model=model)
    with waiting("evaluating") if progress is None else contextlib.nullcontext():
        bias, exact, model = {}, model, in_precision(model, precision)
        if model is not exact:
            bias = bias_of(model, exact, dataset, limit, seed, progress, kept)
        scores = per_example(model, dataset, num_samples, limit, seed, progress, kept=kept)
        metrics = summary(model, scores, num_samples) | bias
        if sampler:
            metrics |= refined(sampler, dataset, scores["reconstruction"], limit, seed, progress)
    return metrics


def score_each(model, dataset, num_samples=500, seed=0, progress=None):
    """{"elbo", "log_marginal"}: [N] nats of each example of a data set, its labels hidden; as `evaluate` otherwise."""
    check_positive(num_samples=num_samples)
    estimator = Estimator(model, num_samples)
    each = [estimator(b.fields, seed=(seed, b.start)) for b in examples(model, dataset, progress=progress)]
    return {
        "elbo": np.concatenate([part["elbo"] for part in each]),
        "log_marginal": -np.concatenate([part["nll"] for part in each]),
    }


def compare(
    model: "LatentVariableModel",
    other: "LatentVariableModel",
    dataset: Any,
    num_samples: int = 5000,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
    kept: Kept | None = None,
) -> dict[str, dict[str, Any]]:
    """The difference in NLL, `model` minus `other`, on the same images: negative where `model` is better.

    Returns:
        {"nll_difference": {"value", "standard_error", "num_examples", "num_samples"}, "nll": ..., "other_nll": ...};
        the standard error is that of the paired difference, nats. Of sequences "nll_per_step_difference" too, the
        mean over them of each one's difference by its steps.
    """
    if model.binarize != other.binarize and (model.binarize is None or other.binarize is None):
        raise InvalidInput(f"one model binarises ({model.binarize!r}), the other does not: they score different data")
    for each in (model, other):
        each.require("a comparison of likelihoods", ["bound"])
    scores = [per_example(m, dataset, num_samples, limit, seed, progress, kept=kept) for m in (model, other)]
    pair, extra = [each["nll"] for each in scores], {"num_samples": num_samples}
    found = {"nll_difference": mean_and_error(pair[0] - pair[1], **extra)}
    if "steps" in scores[0]:
        found["nll_per_step_difference"] = mean_and_error((pair[0] - pair[1]) / scores[0]["steps"], **extra)
    return {**found, "nll": mean_and_error(pair[0], **extra), "other_nll": mean_and_error(pair[1], **extra)}


def bias_of(model, exact, dataset, limit, seed, progress, kept):
    """{"bfloat16_bias": entry}: the NLL by `model`, whose networks have half the bits, minus that by `exact`, nats.

    More examples are taken, up to the limit, until two standard errors tell on which side of `LARGEST_BIAS` it is.
    """
    size = BIAS_EXAMPLES
    while True:
        size = size if limit is None else min(size, limit)
        found = compare(model, exact, dataset, BIAS_DRAWS, size, seed, progress, kept)["nll_difference"]
        value, error, count = found["value"], found["standard_error"], found["num_examples"]
        error = math.inf if error is None else error
        if abs(value) + 2 * error <= LARGEST_BIAS:
            return {"bfloat16_bias": found}
        if count < size or size == limit or not abs(value) - 2 * error <= LARGEST_BIAS:
            break
        size *= 4
    said = f"{value:.3f} +- {error:.3f} nats on {count} examples, where {LARGEST_BIAS} and two such errors are allowed"
    raise InvalidInput(f"bfloat16 moves the NLL by {said}: leave precision out, or take more examples")


def probe(model, dataset, settings=None):
    """A small evaluation that is repeated to see that weights still mean the same: a card's "probe".

    Args:
        model: any model of the zoo.
        dataset: its held-out data.
        settings: a card's probe, whose "num_examples", "num_samples", "seed" and "draws_per_chunk" are repeated; None
            takes the first 100 examples and 100 draws.

    Returns:
        The settings, with "metric" ("nll", or "reconstruction" of a model without a bound) and its "value".
    """
    keys = ("num_examples", "num_samples", "seed")
    settings = PROBE if settings is None else settings
    size, num_samples, seed = (settings[key] for key in keys)
    estimator = Estimator(model, num_samples, settings.get("draws_per_chunk"))
    metric, values = "nll" if "bound" in model.offers else "reconstruction", []
    for batch in examples(model, dataset, size):
        estimator.draws_per_chunk = estimator.draws_of(batch.fields)  # the first batch decides for all
        values.append(estimator(batch.fields, seed=(seed, batch.start))[metric])
    found = {
        "draws_per_chunk": estimator.draws_per_chunk,
        "metric": metric,
        "value": float(np.mean(np.concatenate(values))),
    }
    return {**{key: settings[key] for key in keys}, **found}


def collapse_report(metrics):
    """What the metrics of `evaluate` say, in sentences, about latents that are not used: [str].

    A latent counts as unused where its KL is below 0.01 nats a unit and below 1 nat in all, for a map of thousands of
    units may say little in each and much together. (Below the top of a hierarchy active units do not show it: the
    posterior's mean moves with the prior's.) Nothing is said of a model of one latent that is used.
    """
    sentences, levels = [], levels_of(metrics)
    for name, (kl, active, unused) in levels.items():
        level, size = f"latent {name}" if name else "the latent", active["of"]
        if kl["value"] < min(UNUSED_KL * size, 1):
            sentences.append(f"{level} is unused: the KL of its {size} units is {kl['value']:.3f} nats.")
        elif unused and unused["value"]:
            sentences.append(f"{level} is used, but {unused['value']} of its {size} units are not.")
    if len(levels) > 1 and not any("is unused" in sentence for sentence in sentences):
        sentences.append(f"every one of the {len(levels)} latents is used.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def levels_of(metrics):
    """Name of a latent ("" where there is one) -> its entries (kl, active_units, unused_units or None)."""
    suffixes = [name.removeprefix("active_units") for name in metrics if name.startswith("active_units")]
    names = ("kl", "active_units", "unused_units")
    found = {suffix.removeprefix("_"): [metrics.get(name + suffix) for name in names] for suffix in suffixes}
    return {name: entries for name, entries in found.items() if entries[0]}


def test_data(model, data, batch_size=100, split="test", limit=None):
    """The held-out data of a card, in its fixed order."""
    labels = takes_labels(model.data_spec) and data.get("label", True)
    return batches(open_source(data.get("name"), labels=labels, like=data).split(split, limit), batch_size, Order())
