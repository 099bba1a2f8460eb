"""The metrics of a card: each says what it needs of a model, what it measures of a batch, and how it sums that up.

A metric is a function of `Scores` that gives {name: entry}, an entry being {"value", "num_examples", ...}. What it
measures beyond the importance-weighted estimate is a function of (model, `Examples`) that gives {name: [B, ...] array}.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.data import check_batch, open_source, takes_labels
from zoo.data.batches import Order, batches, told
from zoo.errors import InvalidInput, check_positive
from zoo.evaluation.importance import Estimator, real_steps, size_of
from zoo.evaluation.kept import owner_of
from zoo.registry import METRICS

ACTIVE_VARIANCE = 0.01
UNUSED_KL = 0.01


class Examples(NamedTuple):
    """A batch as the model takes it.

    Attributes:
        fields: what the model is evaluated on; labels that it may infer are hidden.
        shown: the same with its labels.
        raw: the same, not binarised.
        start: the number of examples before it.
    """

    fields: dict
    shown: dict
    raw: dict
    start: int


class Scores(NamedTuple):
    """What was measured, example by example.

    Attributes:
        model: of whom.
        values: name -> [N] or [N, ...].
        num_samples: draws per example.
    """

    model: object
    values: dict
    num_samples: int

    def mean(self, name, **extra):
        """The entry of what is there for every example; none where it was not measured."""
        return {name: mean_and_error(self.values[name], **extra)} if name in self.values else {}


def mean_and_error(values, **extra):
    """{"value", "standard_error", "num_examples"} of [N] numbers."""
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return {"value": float(np.mean(values)), "standard_error": error, "num_examples": len(values), **extra}


def examples(model, dataset, limit=None, progress=None):
    """The `Examples` of a data set, batch by batch."""
    if limit is not None:
        check_positive(limit=limit)
    if not isinstance(dataset, tf.data.Dataset):
        like = (getattr(model, "card", None) or {}).get("data")
        dataset = batches(open_source(dataset, labels=takes_labels(model.data_spec), like=like).split(), 100, Order())
    count, done, label = int(dataset.cardinality()), 0, model.fields_of("label")
    for number, batch in enumerate(read(dataset), 1):
        check_batch(batch, model.data_spec)
        left = None if limit is None else limit - done
        both = model.preprocess(batch, None, training=False), model.fields(batch)
        shown, raw = ({name: value[:left] for name, value in fields.items()} for fields in both)
        hidden = {name: tf.fill(tf.shape(shown[name]), -1) for name in label if name in shown}
        yield Examples({**shown, **hidden}, shown, raw, done)
        done += size_of(shown)
        if progress:
            whole = [done + (count - number) * size_of(shown)] if count > 0 else []  # the last batch may be smaller
            progress(done, min([*whole, *([] if limit is None else [limit])], default=None))
        if limit is not None and done >= limit:
            break
    if not done:
        raise InvalidInput("there is nothing to evaluate: the data set is empty")


def read(dataset):
    """The batches of a data set; what cannot be read of it is one line."""
    with told():
        yield from dataset


def per_example(model, dataset, num_samples, limit=None, seed=0, progress=None, draws_per_chunk=None, kept=None):
    """Name -> [N] arrays of one number per example, "units/<latent>" -> [N, D], "location/<latent>" -> [M, D].

    `kept` is None, or a `Kept` that holds the numbers of each batch until it is cleared.
    """
    check_positive(num_samples=num_samples)
    estimator = Estimator(model, num_samples, draws_per_chunk)
    measures = [metric.measure for metric in offered(model) if metric.measure]
    owner = kept and owner_of(model, num_samples, seed, draws_per_chunk)

    def measured(batch):
        found = estimator(batch.fields, seed=(seed, batch.start))
        for measure in measures:
            found |= measure(model, batch)
        return found

    parts = [
        kept.numbers(owner, batch, measured) if kept else measured(batch)
        for batch in examples(model, dataset, limit, progress)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def offered(model):
    """The metrics whose needs a model meets."""
    return [metric for metric in METRICS.values() if model.offers.issuperset(metric.needs)]


def summary(model, values, num_samples):
    """Metrics in the card's form from the numbers of `per_example`, without those that overflowing draws leave none."""
    scores, metrics = Scores(model, values, num_samples), {}
    for metric in offered(model):
        metrics |= metric(scores)
    overflows = "overflow_percent" in metrics
    return {name: entry for name, entry in metrics.items() if math.isfinite(entry["value"]) or not overflows}


def given(model):
    """{"given": the fields on which a model's density of x is conditioned}, {} where it is p(x)."""
    names = model.fields_of("condition")
    return {"given": ", ".join(names)} if names else {}


@METRICS.register("nll", needs=["bound"])
def nll(scores):
    """-log p(x), or -log p(x | y) of a conditional model, importance-weighted. Burda et al. 2016, arXiv:1509.00519."""
    return scores.mean("nll", num_samples=scores.num_samples, **given(scores.model))


@METRICS.register("elbo", needs=["bound"], higher_is_better=True)
def elbo(scores):
    """The evidence lower bound, nats."""
    return scores.mean("elbo", **given(scores.model))


@METRICS.register("reconstruction", higher_is_better=True)
def reconstruction(scores):
    """E_q log p(x | z), nats."""
    return scores.mean("reconstruction")


@METRICS.register("kl", needs=["bound"])
def kl(scores):
    """KL(q || p) of all latents, nats, and of each where there are several."""
    names = scores.model.latent_names
    each = [scores.mean(f"kl_{name}") for name in names] if len(names) > 1 else []
    return {name: entry for part in (scores.mean("kl"), *each) for name, entry in part.items()}


@METRICS.register("effective_sample_size", needs=["bound"])
def effective_sample_size(scores):
    """(sum w)^2 / sum w^2 of the draws' weights."""
    return scores.mean("effective_sample_size", num_samples=scores.num_samples)


@METRICS.register("overflow_percent", needs=["bound"])
def overflow_percent(scores):
    """How many draws leave the range of single precision; their weight is 0, and means over draws have no value."""
    found = scores.mean("overflow_percent", num_samples=scores.num_samples)
    return found if any(entry["value"] for entry in found.values()) else {}


def observed(model, batch):
    """[B]: how many values of the data were observed."""
    count, real = np.zeros(size_of(batch.fields)), real_steps(model, batch.fields)
    for name in model.fields_of("data"):
        value, spec = batch.fields[name].numpy(), model.data_spec[name]
        masks = [m for m in model.fields_of("mask") if model.data_spec[m].shape == spec.shape]
        seen = batch.fields[masks[0]].numpy() if masks else value >= 0 if spec.optional else np.ones_like(value)
        if real is not None:
            seen = seen * real.reshape(*real.shape, *[1] * (value.ndim - 2))
        count += seen.reshape(len(value), -1).sum(1)
    return {"observed": count}


@METRICS.register("bits_per_dim", needs=["bound", "discrete"], measure=observed)
def bits_per_dim(scores):
    """The NLL in bits for each value of the data that was observed; examples of which none was are left out."""
    seen = scores.values["observed"] > 0
    bits = scores.values["nll"][seen] / (scores.values["observed"][seen] * math.log(2))
    entry = mean_and_error(bits, num_samples=scores.num_samples, **given(scores.model))
    return {"bits_per_dim": entry} if seen.any() else {}


def mistakes(model, batch):
    """[B]: 100 where the likeliest label is not that of the image, not binarised; NaN where that is hidden."""
    method, inputs = model.endpoints["classify"]
    (name,) = model.fields_of("label")
    likeliest = method(**{field: batch.raw[field] for field in inputs if field in batch.raw})["label"].numpy()
    labels = batch.shown[name].numpy()
    return {"error_percent": np.where(labels < 0, np.nan, 100.0 * (likeliest != labels))}


@METRICS.register("error_percent", needs=["classifier"], measure=mistakes)
def error_percent(scores):
    """How many labels the classifier misses, of those that are known."""
    found = scores.values["error_percent"]
    found = found[~np.isnan(found)]
    return {"error_percent": mean_and_error(found)} if len(found) else {}


def paid(model, batch):
    """ "paid/<penalty>" -> [1], what the model pays for a batch; its labels are shown."""
    if not model.penalties:
        return {}
    p = model.run(batch.shown, num_samples=1, training=False, seed=tf.constant([29, batch.start]))
    return {f"paid/{penalty.name}": np.mean(penalty(p, model))[None] for penalty in model.penalties}


@METRICS.register("penalties", measure=paid)
def penalties(scores):
    """What the model pays besides its bound: the mean over the batches, in each penalty's own unit."""
    found = {}
    for penalty in scores.model.penalties:
        values, count = scores.values[f"paid/{penalty.name}"], len(scores.values["reconstruction"])
        extra = {"num_batches": len(values), "unit": penalty.unit}
        found[penalty.name] = {**mean_and_error(values), "num_examples": count, **extra}
    return found


def trajectories(model, batch):
    """[B]: the share of an image's trajectories that diverge, of 10 draws."""
    p = model.run(batch.fields, num_samples=10, training=False, seed=tf.constant([31, batch.start]))
    return {"diverged": p.paid["diverged"].numpy()}


@METRICS.register("diverged", needs=["trajectories"], measure=trajectories)
def diverged(scores):
    """The share of Hamiltonian trajectories that diverge, and are left out."""
    return scores.mean("diverged")


@METRICS.register("active_units")
def active_units(scores):
    """Units whose posterior mean varies by more than 0.01 over the data. Burda et al. 2016, arXiv:1509.00519."""
    return units(scores, "active_units", lambda latent, active: active)


@METRICS.register("unused_units", needs=["bound"])
def unused_units(scores):
    """Units with a mean KL below 0.01 nats, where the KL is known per unit."""

    def unused(latent, active):
        kl_per_unit = scores.values.get(f"units/{latent}")
        known = kl_per_unit is not None and kl_per_unit.shape[1:] == active.shape
        return np.mean(kl_per_unit, axis=0) < UNUSED_KL if known else None

    return units(scores, "unused_units", unused)


def units(scores, metric, chosen):
    """Entries that count the units of each latent that `chosen(latent, which are active)` picks, where it can."""
    found = {}
    several = len(scores.model.latent_names) > 1
    for name, location in scores.values.items():
        kind, _, latent = name.partition("/")
        if kind == "location":
            which = chosen(latent, np.var(location, axis=0) > ACTIVE_VARIANCE)
            if which is not None:
                count = len(scores.values.get("reconstruction", location))  # a location is a row a step of sequences
                entry = {"value": int(np.sum(which)), "of": location.shape[1], "num_examples": count}
                found[f"{metric}_{latent}" if several else metric] = entry
    return found
