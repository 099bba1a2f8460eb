"""How good a model is: marginal likelihood, its bound and its parts, and which latent units are used."""

import math

import numpy as np
import tensorflow as tf

from zoo.data import check_batch, load_dataset
from zoo.errors import InvalidInput, check_positive

ACTIVE_VARIANCE = 0.01
CHUNK_BYTES = 128 * 2**20
PROBE = {"num_examples": 100, "num_samples": 100, "seed": 7}


def evaluate(model, dataset, num_samples=5000, limit=None, seed=0, progress=None):
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

    Returns:
        Name -> {"value", "standard_error", "num_examples", ...}: "nll" (nats, with "num_samples"), "elbo",
        "reconstruction", "kl" (nats), "bits_per_dim" (from the nll, where the likelihood is discrete), "active_units"
        (units whose posterior mean varies by more than 0.01 over the data; Burda et al. 2016, arXiv:1509.00519), and
        of models that classify "error_percent", of the images as they are, not binarised. From such models the labels
        are hidden in all other numbers, which are those of p(x).

    Raises:
        InvalidInput: data that do not fit the model, sizes that are not positive.
    """
    scores = per_example(model, dataset, num_samples, limit, seed, progress)
    return summary(model, scores, num_samples)


def compare(model, other, dataset, num_samples=5000, limit=None, seed=0, progress=None):
    """The difference in NLL, `model` minus `other`, on the same images: negative where `model` is better.

    Returns:
        {"nll_difference": {"value", "standard_error", "num_examples", "num_samples"}, "nll": ..., "other_nll": ...};
        the standard error is that of the paired difference, nats.
    """
    if model.binarize != other.binarize and (model.binarize is None or other.binarize is None):
        raise InvalidInput(f"one model binarises ({model.binarize!r}), the other does not: they score different data")
    if not (model.has_bound and other.has_bound):
        raise InvalidInput("only models with a likelihood of x can be compared; an autoencoder has none")
    pair = [per_example(m, dataset, num_samples, limit, seed, progress)["nll"] for m in (model, other)]
    extra = {"num_samples": num_samples}
    return {
        "nll_difference": mean_and_error(pair[0] - pair[1], **extra),
        "nll": mean_and_error(pair[0], **extra),
        "other_nll": mean_and_error(pair[1], **extra),
    }


def per_example(model, dataset, num_samples, limit=None, seed=0, progress=None):
    """Name -> [N] arrays of one number per example, and "location/<latent>" -> [N, D]."""
    check_positive(num_samples=num_samples, **({"limit": limit} if limit is not None else {}))
    if not isinstance(dataset, tf.data.Dataset):
        dataset = load_dataset(dataset, batch_size=100, shuffle=False, labels="y" in model.data_spec)
    total = int(dataset.unbatch().cardinality()) if dataset.cardinality() < 0 else None
    estimator, classifies = Estimator(model, num_samples), hasattr(model, "classify")
    parts, done = [], 0
    for batch in dataset:
        check_batch(batch, model.data_spec)
        fields = model.preprocess(batch, None, training=False)
        if limit is not None:
            fields = {name: value[: limit - done] for name, value in fields.items()}
        if classifies:
            mistakes, fields["y"] = mistake_percent(model, batch, fields["y"]), tf.fill(tf.shape(fields["y"]), -1)
        parts.append(estimator(fields, seed=(seed, done)))
        if classifies:
            parts[-1]["error_percent"] = mistakes
        done += int(fields["x"].shape[0])
        if progress:
            progress(done, limit or total)
        if limit is not None and done >= limit:
            break
    if not parts:
        raise InvalidInput("there is nothing to evaluate: the data set is empty")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mistake_percent(model, batch, labels):
    """[B]: 100 where the likeliest label is not that of the first rows of a batch, 0 where it is; NaN where hidden."""
    labels = labels.numpy()
    probabilities = model.classify(model.fields(batch)["x"][: len(labels)]).numpy()
    return np.where(labels < 0, np.nan, 100.0 * (probabilities.argmax(-1) != labels))


class Estimator:
    """The importance-weighted estimate of log p(x) and the parts of the ELBO, with the draws taken in chunks.

    Args:
        model: any model of the zoo.
        num_samples: draws per example.
    """

    def __init__(self, model, num_samples):
        self.model, self.num_samples = model, num_samples
        self.compiled = tf.function(self.chunk, reduce_retracing=True)

    def chunk(self, fields, seed, draws):
        """Sums over `draws` draws: name -> [B]; "log_sum" is the log of the summed weights."""
        trace = self.model(fields, num_samples=draws, training=False, seed=seed)
        if not self.model.has_bound:
            return {"reconstruction": trace.reconstruction * draws}
        kl = sum(trace.kl.values()) - trace.entropy
        return {
            "log_sum": trace.log_marginal + math.log(draws),
            "reconstruction": trace.reconstruction * draws,
            "kl": kl * draws,
        }

    def draws_per_chunk(self, batch):
        """So many draws that the decoder's widest tensor stays within `CHUNK_BYTES`."""
        pixels = sum(math.prod(spec.shape) for spec in self.model.data_spec.values())
        width = max(pixels * self.model.values_per_pixel, 3000)
        return max(1, min(self.num_samples, CHUNK_BYTES // (4 * width * batch)))

    def __call__(self, fields, seed):
        size = int(fields["x"].shape[0])
        step = self.draws_per_chunk(size)
        sums, left, index = None, self.num_samples, 0
        key = tf.random.fold_in(tf.constant(seed, tf.int32), 101, alg="philox")
        while left:
            draws = min(step, left)
            terms = self.compiled(fields, tf.random.fold_in(key, index, alg="philox"), draws)
            terms = {name: value.numpy().astype("float64") for name, value in terms.items()}
            if sums is None:
                sums = terms
            else:
                sums = {k: np.logaddexp(sums[k], v) if k == "log_sum" else sums[k] + v for k, v in terms.items()}
            left, index = left - draws, index + 1
        out = {"reconstruction": sums["reconstruction"] / self.num_samples}
        if "log_sum" in sums:
            out["kl"] = sums["kl"] / self.num_samples
            out["elbo"] = out["reconstruction"] - out["kl"]
            out["nll"] = math.log(self.num_samples) - sums["log_sum"]
        for name, location in self.model.locations(fields).items():
            out[f"location/{name}"] = location.numpy().reshape(size, -1)
        return out


def mean_and_error(values, **extra):
    """{"value", "standard_error", "num_examples"} of [N] numbers."""
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return {"value": float(np.mean(values)), "standard_error": error, "num_examples": len(values), **extra}


def summary(model, scores, num_samples):
    """Metrics in the card's form from the numbers of `per_example`."""
    metrics = {}
    for name in ("nll", "elbo", "reconstruction", "kl"):
        if name in scores:
            metrics[name] = mean_and_error(scores[name], **({"num_samples": num_samples} if name == "nll" else {}))
    dimensions = math.prod(model.data_spec["x"].shape)
    if "nll" in scores and model.discrete:
        metrics["bits_per_dim"] = mean_and_error(scores["nll"] / (dimensions * math.log(2)), num_samples=num_samples)
    mistakes = scores.get("error_percent", np.array([np.nan]))
    if not np.isnan(mistakes).all():
        metrics["error_percent"] = mean_and_error(mistakes[~np.isnan(mistakes)])
    for name, location in scores.items():
        if name.startswith("location/"):
            active = int(np.sum(np.var(location, axis=0) > ACTIVE_VARIANCE))
            label = "active_units" if len(model.latent_names) == 1 else f"active_units_{name[9:]}"
            metrics[label] = {"value": active, "of": location.shape[1], "num_examples": len(location)}
    return metrics


def probe(model, dataset):
    """A small evaluation that is repeated to see that weights still mean the same: {"nll" or "reconstruction", ...}.

    The first 100 examples of the data set, 100 draws, one seed.
    """
    scores = per_example(model, dataset, PROBE["num_samples"], PROBE["num_examples"], PROBE["seed"])
    name = "nll" if "nll" in scores else "reconstruction"
    return {**PROBE, "metric": name, "value": float(np.mean(scores[name]))}


def test_data(model, data, batch_size=100, split="test", limit=None):
    """The held-out data of a card or preset, in its fixed order."""
    labels = "y" in model.data_spec
    return load_dataset(
        data["name"], split, batch_size, labels=labels, shuffle=False, limit=limit, data_dir=data.get("data_dir")
    )
