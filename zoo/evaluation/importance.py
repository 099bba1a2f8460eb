"""How good a model is: marginal likelihood, its bound and its parts, and which latent units are used."""

import math

import numpy as np
import tensorflow as tf

from zoo.data import check_batch, load_dataset
from zoo.errors import InvalidInput, check_positive

ACTIVE_VARIANCE = 0.01
UNUSED_KL = 0.01
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
        (units whose posterior mean varies by more than 0.01 over the data; Burda et al. 2016, arXiv:1509.00519),
        "unused_units" (units with a mean KL below 0.01 nats, where the KL is known per unit),
        "effective_sample_size" (of the draws: the mean over the images of (sum w)^2 / sum w^2). Models of several
        latents have "kl_<name>", "active_units_<name>" and "unused_units_<name>" of each. Models
        that classify have "error_percent", of the images as they are, not binarised; in all other numbers the labels
        are hidden from them, so that these are of p(x).

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
    check_positive(num_samples=num_samples)
    estimator = Estimator(model, num_samples)
    parts = [
        {**estimator(fields, seed=(seed, done)), **extra}
        for fields, done, extra in examples(model, dataset, limit, progress)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def examples(model, dataset, limit=None, progress=None):
    """The batches of a data set as the model's inputs, the number of examples before each, and what is known of them.

    The last is {"error_percent": [B]} of models that classify, from whom the labels are hidden afterwards.
    """
    if limit is not None:
        check_positive(limit=limit)
    if not isinstance(dataset, tf.data.Dataset):
        dataset = load_dataset(dataset, batch_size=100, shuffle=False, labels="y" in model.data_spec)
    total = int(dataset.unbatch().cardinality()) if dataset.cardinality() < 0 else None
    done, classifies = 0, hasattr(model, "classify")
    for batch in dataset:
        check_batch(batch, model.data_spec)
        fields = model.preprocess(batch, None, training=False)
        if limit is not None:
            fields = {name: value[: limit - done] for name, value in fields.items()}
        extra = {}
        if classifies:
            extra["error_percent"] = mistake_percent(model, batch, fields["y"])
            fields["y"] = tf.fill(tf.shape(fields["y"]), -1)
        yield fields, done, extra
        done += int(fields["x"].shape[0])
        if progress:
            progress(done, limit or total)
        if limit is not None and done >= limit:
            break
    if not done:
        raise InvalidInput("there is nothing to evaluate: the data set is empty")


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
        """Sums over `draws` draws: name -> [B], "units/<latent>" -> [B, D].

        "log_sum" and "log_squares" are the logs of the summed weights and of their summed squares.
        """
        trace = self.model(fields, num_samples=draws, training=False, seed=seed)
        if not self.model.has_bound:
            return {"reconstruction": trace.reconstruction * draws}
        log_weight = trace.log_evidence
        kl = trace.kl
        means = {"reconstruction": trace.reconstruction, "kl": sum(kl.values()) - trace.entropy}
        means |= {f"kl_{name}": value for name, value in kl.items() if len(kl) > 1}
        means |= {f"units/{name}": value for name, value in trace.kl_per_unit.items()}
        return {
            "log_sum": tf.reduce_logsumexp(log_weight, 0),
            "log_squares": tf.reduce_logsumexp(2 * log_weight, 0),
            **{name: value * draws for name, value in means.items()},
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
                sums = {k: np.logaddexp(sums[k], v) if k.startswith("log_") else sums[k] + v for k, v in terms.items()}
            left, index = left - draws, index + 1
        out = {name: value / self.num_samples for name, value in sums.items() if not name.startswith("log_")}
        if "log_sum" in sums:
            out["elbo"] = out["reconstruction"] - out["kl"]
            out["nll"] = math.log(self.num_samples) - sums["log_sum"]
            out["effective_sample_size"] = np.exp(2 * sums["log_sum"] - sums["log_squares"])
        for name, location in self.model.locations(fields).items():
            out[f"location/{name}"] = location.numpy().reshape(size, -1)
        return out


def mean_and_error(values, **extra):
    """{"value", "standard_error", "num_examples"} of [N] numbers."""
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return {"value": float(np.mean(values)), "standard_error": error, "num_examples": len(values), **extra}


def summary(model, scores, num_samples):
    """Metrics in the card's form from the numbers of `per_example`."""
    metrics, of_draws = {}, ("nll", "effective_sample_size")
    levels = [f"kl_{name}" for name in model.latent_names]
    for name in ("nll", "elbo", "reconstruction", "kl", *levels, "effective_sample_size"):
        if name in scores:
            metrics[name] = mean_and_error(scores[name], **({"num_samples": num_samples} if name in of_draws else {}))
    dimensions = math.prod(model.data_spec["x"].shape)
    if "nll" in scores and model.discrete:
        metrics["bits_per_dim"] = mean_and_error(scores["nll"] / (dimensions * math.log(2)), num_samples=num_samples)
    mistakes = scores.get("error_percent", np.array([np.nan]))
    if not np.isnan(mistakes).all():
        metrics["error_percent"] = mean_and_error(mistakes[~np.isnan(mistakes)])
    for name, location in scores.items():
        if name.startswith("location/"):
            latent = name.removeprefix("location/")
            suffix = "" if len(model.latent_names) == 1 else f"_{latent}"
            entry = {"of": location.shape[1], "num_examples": len(location)}
            active = np.var(location, axis=0) > ACTIVE_VARIANCE
            metrics[f"active_units{suffix}"] = {"value": int(np.sum(active)), **entry}
            units = scores.get(f"units/{latent}")
            if units is not None and units.shape[1:] == active.shape:
                unused = int(np.sum(np.mean(units, axis=0) < UNUSED_KL))
                metrics[f"unused_units{suffix}"] = {"value": unused, **entry}
    return metrics


def collapse_report(metrics):
    """What the metrics of `evaluate` say, in sentences, about latents that are not used: [str].

    A latent counts as unused where its KL is below 0.01 nats a unit. (Below the top of a hierarchy active units do not
    show it: the posterior's mean moves with the prior's.) Nothing is said of a model of one latent that is used.
    """
    sentences, levels = [], levels_of(metrics)
    for name, (kl, active, unused) in levels.items():
        level, size = f"latent {name}" if name else "the latent", active["of"]
        if kl["value"] < UNUSED_KL * size:
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
