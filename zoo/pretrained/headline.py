"""The one number of a pretrained model, the same wherever models are listed, and which numbers are of its kind."""

from typing import NamedTuple

LEVELS = ("discretized", "categorical")  # how the names of likelihoods of several levels begin


class Headline(NamedTuple):
    """What a card measured, in one number.

    Attributes:
        kind: of which numbers this is one, in words: what they are, their unit, and of what data.
        rank: the value, or minus the value where higher is better.
        entry: {"value", "standard_error", "num_examples", ...}.
    """

    kind: str
    rank: float
    entry: dict


def headline(card):
    """The `Headline` of a card, None of one that has not measured its number."""
    metrics = card.get("metrics", {})
    metric, kind = measured(card, metrics)
    if metric not in metrics:
        return None
    entry = metrics[metric]
    return Headline(kind, -entry["value"] if metric == "elbo_per_step" else entry["value"], entry)


def measured(card, metrics):
    """(metric, kind) of a card's number."""
    discrete = "bits_per_dim" in metrics
    if "elbo_per_step" in metrics:
        of = "discrete data" if discrete else "a density, continuous data"
        return "elbo_per_step", f"ELBO in nats a step, {of}"
    if "given" in metrics.get("nll", {}):
        return "nll", f"NLL in nats, p(x | {metrics['nll']['given']})"
    if not discrete:
        return "nll", "NLL in nats, a density, continuous data"
    likelihood = card["config"].get("likelihood") or ""
    name = likelihood.get("name", "") if isinstance(likelihood, dict) else likelihood
    if str(name).startswith(LEVELS):
        return "bits_per_dim", "bits per dimension, levels of grey or colour"
    return "nll", "NLL in nats, binary data"


def data_of(card):
    """The data of a card as its number has them, such as "mnist, binarised afresh"."""
    drawn = ", binarised afresh" if card["config"].get("binarize") == "dynamic" else ""
    return f"{card['data'].get('name', '?')}{drawn}"
