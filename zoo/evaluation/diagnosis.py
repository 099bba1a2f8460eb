"""What is wrong with a trained model, and its cure: small checks of its numbers on data, of its log and its recipe.

Each check gives (what was seen, with its number; the cure), or None where nothing is wrong or nothing can be said.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from zoo.evaluation.metrics import UNUSED_KL, examples

if TYPE_CHECKING:
    from zoo.models.base import LatentVariableModel

EXAMPLES = 200
NOTHING = 0.5  # nats of all latents together that count as none
FLOAT = 17  # nats that a number of 24 bits can tell
FEW, MANY_SKIPPED = 600, 10  # updates: in all, and of an epoch
OVERFIT, DIVERGED = 0.1, 0.3  # shares of all that was gained and then lost again
WRONG, BOUND = 0.03, 1e-4  # share of values that the decoder is sure of and wrong about, and what being sure is
GREY = 0.05  # share of values that are neither 0 nor 1
LEAST_SPREAD = 0.3  # of a normal of fixed scale: the data's standard deviation by it


class Finding(NamedTuple):
    """What is wrong.

    Attributes:
        fault: its name.
        saw: what was seen, with its number.
        cure: what to do.
    """

    fault: str
    saw: str
    cure: str


class Seen(NamedTuple):
    """What the checks look at.

    Attributes:
        model: which is looked at.
        config: its arguments, defaults included.
        recipe: of its card, {} where there is none.
        log: name -> [epochs] of what each epoch reported; {} where that is not known.
        x: float [N, ...], the first data field as the likelihood scores it, None without data.
        kl: name of a latent -> its mean KL, nats.
        units: name of a latent -> [D], the mean KL of each unit, where it is known.
        numbers: how many numbers the latents of an example have.
        code: [N, D], the posterior's location of the first latent where it is a vector, or None.
        mean: [N, ...], the mean of p(x | z), or None.
        spread: [N, ...], its standard deviation, or None.
        log_likelihood: the mean of log p(x | z), nats.
        shares: [2]: the mean of what training maximises, and of the bound that it should be.
    """

    model: Any
    config: dict
    recipe: dict
    log: dict
    x: Any = None
    kl: dict = {}
    units: dict = {}
    numbers: int = 0
    code: Any = None
    mean: Any = None
    spread: Any = None
    log_likelihood: float = math.nan
    shares: tuple = ()


def diagnose(
    model: "LatentVariableModel", data: Any = None, history: dict[str, list[float]] | None = None
) -> list[Finding]:
    """What is wrong with a model: a list of `Finding`, empty where it is healthy as far as can be seen.

    Args:
        model: any model of the zoo, trained.
        data: held-out data as `zoo.evaluate` takes them, of which the first 200 examples are looked at; None looks at
            the log and the count of updates alone.
        history: name -> values of the epochs; None takes those of the model's last `fit`.

    Raises:
        InvalidInput: data that do not fit the model.
    """
    history = getattr(getattr(model, "history", None), "history", {}) if history is None else history
    log = {name: np.asarray(values, float) for name, values in history.items()}
    config = {**model.argument_defaults(), **model.get_config()}
    seen = Seen(model, config, (getattr(model, "card", None) or {}).get("recipe", {}), log)
    seen = seen if data is None else seen._replace(**measured(model, data))
    found = ((check.__name__.replace("_", " "), check(seen)) for check in CHECKS)
    return [Finding(fault, *said) for fault, said in found if said]


def measured(model, data):
    """What the checks look at of data, as a dict of the fields of `Seen`."""
    batch = next(iter(examples(model, data, EXAMPLES)))
    field, several = model.fields_of("data")[0], "steps" in model.offers

    @tf.function  # in a graph, where nothing refuses a NaN
    def numbers(fields):
        trace = model.run(
            fields, num_samples=1, training=False, seed=tf.constant([11, 5]), needs=model.bound.func.needs
        ).trace
        found = {"kl": trace.kl, "units": trace.kl_per_unit, "log_likelihood": trace.reconstruction}
        found["shares"] = [model.objective(trace), model.bound(trace.temper(model.beta))]
        if several:
            return found
        located = model.locations(fields)
        latents = {name: located[name] for name in model.latent_spec if name in located}
        likelihood = model.likelihoods(latents, model.condition_of(fields))[field]
        code = next(iter(located.values()))
        found |= {"mean": likelihood.mean(), **({"code": code} if code.shape.rank == 2 else {})}
        return found | deviation(likelihood)

    found = tf.nest.map_structure(lambda value: np.asarray(value, float), numbers(batch.fields))
    shapes = [spec.shape for spec in model.latent_spec.values()]
    steps = batch.fields[field].shape[1]
    return {
        **found,
        "x": np.asarray(batch.fields[field], float),
        "kl": {name: float(value.mean()) for name, value in found["kl"].items() if "bound" in model.offers},
        "units": {name: value.mean(0).ravel() for name, value in found["units"].items()},
        "numbers": sum(math.prod(size or steps for size in shape) for shape in shapes),
        "log_likelihood": float(found["log_likelihood"].mean()),
        "shares": tuple(float(value.mean()) for value in found["shares"]),
    }


@tf.autograph.experimental.do_not_convert
def deviation(likelihood):
    """{"spread": [N, ...]}, the standard deviation; {} of a mixture of levels, which says none."""
    try:
        return {"spread": likelihood.stddev()}
    except NotImplementedError:
        return {}


def kl_not_finite(seen):
    bad = [f"the KL of {name} is {value}" for name, value in seen.kl.items() if not math.isfinite(value)]
    for name in ("loss", "kl"):
        epochs = np.flatnonzero(~np.isfinite(seen.log.get(name, [0.0])))
        bad += [f"{name} of the log is no number in epoch {epochs[0] + 1}"] if len(epochs) else []
    return (bad[0], "lower the learning rate, set clipnorm=1, look for outliers and NaN in the data") if bad else None


def kl_explodes(seen):
    total = sum(seen.kl.values())
    if seen.numbers and math.isfinite(total) and total > FLOAT * seen.numbers:
        return (
            f"the KL is {total:.3g} nats in {seen.numbers} numbers, and one can tell {FLOAT}",
            "lower the learning rate, standardise the data, warm up beta, or clip gradients with clipnorm=1",
        )
    return None


def posterior_collapse(seen):
    total = sum(seen.kl.values())
    if seen.kl and total < NOTHING:
        units = sum(map(len, seen.units.values())) or seen.numbers
        return (
            f"the KL of all {units} units is {total:.2g} nats, so that codes say nothing of x",
            "warm up the KL (kl.name=linear), take free bits, a weaker decoder, or a likelihood of smaller scale",
        )
    return None


def levels_collapsed(seen):
    levels = {name: seen.kl[name] for name in seen.units if name in seen.kl and name in seen.model.latent_names}
    unused = [name for name, kl in levels.items() if kl < UNUSED_KL * len(seen.units[name])]
    if len(levels) > 1 and 2 * len(unused) >= len(levels) and sum(levels.values()) >= NOTHING:
        named = ", ".join(f"{name} {levels[name]:.2g}" for name in unused)
        return (
            f"{len(unused)} of {len(levels)} levels are not used (nats: {named})",
            "warm up the KL for longer, use batch normalisation or kl_balancing, lvae in place of hierarchical_vae",
        )
    return None


def warm_up_unfinished(seen):
    schedule = seen.recipe.get("kl") or {}
    end = schedule.get("stop", seen.config.get("beta", 1.0))
    now = float(seen.model.beta.numpy())
    if "bound" in seen.model.offers and now < 0.99 * end:
        return (
            f"beta is {now:.2g} and was to become {end:g}",
            "give the KL's schedule fewer steps, or train for more epochs",
        )
    return None


def overfitting(seen):
    values = seen.log.get("val_elbo", seen.log.get("val_reconstruction", np.zeros(0)))
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return None
    best, last = int(np.argmax(values)), values[-1]
    if values[best] - last > OVERFIT * max(values[best] - values[0], 1.0) and best < len(values) - 2:
        return (
            f"the validation ELBO was {values[best]:.1f} in epoch {best + 1} and is {last:.1f} after {len(values)}",
            "stop early (patience=10), take fewer units or a smaller network, or more data",
        )
    return None


def likelihood_does_not_fit(seen):
    if seen.x is None:
        return None
    likelihood = seen.config.get("likelihood")
    likelihood = likelihood if isinstance(likelihood, dict) else {"name": likelihood}
    name, grey = likelihood.get("name"), float(np.mean((seen.x > 0) & (seen.x < 1)))
    if name == "bernoulli" and grey > GREY:
        return (
            f"bernoulli, and {grey:.0%} of the values lie between 0 and 1",
            "binarize='dynamic', or likelihood='discretized_logistic'",
        )
    scale = likelihood.get("scale", 1.0)
    deviation = float(np.std(seen.x - seen.x.mean(0)))
    if name == "normal" and not isinstance(scale, str) and deviation < LEAST_SPREAD * scale:
        return (
            f"normal of scale {scale:g}, and the data's standard deviation is {deviation:.2g}: noise explains them",
            "likelihood={'name': 'normal', 'scale': 'learned'}, or standardised data",
        )
    return None


def dead_codes(seen):
    if seen.code is None or "bound" in seen.model.offers or len(seen.code) < 2:
        return None
    variances = np.var(seen.code, 0)
    dead = int(np.sum(variances < 1e-6 * max(variances.max(), 1e-12)))
    if 2 * dead >= len(variances):
        return (
            f"{dead} of {len(variances)} units of the code are the same for every x",
            "a smaller latent_dim, a lower learning rate, or another activation than relu",
        )
    return None


def decoder_saturated(seen):
    if seen.mean is None or seen.x.shape != seen.mean.shape or seen.model.data_spec["x"].maximum != 1:
        return None
    sure = (seen.mean < BOUND) | (seen.mean > 1 - BOUND)
    wrong = float(np.mean(sure & (np.abs(seen.x - seen.mean) > 0.5)))
    if wrong > WRONG:
        return (
            f"the decoder is sure of {np.mean(sure):.0%} of the values and wrong about {wrong:.0%}",
            "lower the learning rate, call model.adapt(data) first, and leave out an activation at the decoder's end",
        )
    return None


def learning_rate(seen):
    values = seen.log.get("elbo", -seen.log["loss"] if "loss" in seen.log else np.zeros(0))
    values = values[np.isfinite(values)]
    skipped = float(np.max(seen.log.get("skipped", [0.0]), initial=0.0))
    rate = f"learning_rate {seen.recipe['learning_rate']:g}" if "learning_rate" in seen.recipe else "the learning rate"
    cure = "a third of the rate, warmup_steps=1000, or clipnorm=1"
    if len(values) > 2:
        best, lost = values.max(), values.max() - values[-1]
        if lost > DIVERGED * max(best - values[0], 1.0) and values[-1] < values[: int(np.argmax(values)) + 1].mean():
            return f"the training ELBO was {best:.1f} and is {values[-1]:.1f}: {rate} is too large", cure
    if skipped >= MANY_SKIPPED:
        return f"{skipped:.0f} updates of an epoch were not finite, and left out: {rate} is too large", cure
    return None


def too_few_updates(seen):
    updates = int(seen.model.steps.numpy())
    if updates < FEW:
        return f"{updates} updates in all", "more epochs, or a smaller batch_size"
    return None


def mean_in_place_of_a_sum(seen):
    cure = "sum over the values of x and take the mean over the rows alone, as log_prob of tfd.Independent does"
    size = 1 if seen.x is None else int(np.prod(seen.x.shape[1:]))
    if size < 8:
        return None
    objective, bound = seen.shares
    if bound and abs(objective * size / bound - 1) < 0.2:
        return f"training maximises {objective:.3g}, which is its bound {bound:.1f} by the {size} values of x", cure
    if seen.mean is None or seen.spread is None or seen.x.shape != seen.mean.shape:
        return None
    if seen.model.data_spec["x"].maximum == 1:
        sure = np.clip(seen.mean, 1e-6, 1 - 1e-6)
        each = seen.x * np.log(sure) + (1 - seen.x) * np.log(1 - sure)
    else:
        spread = np.maximum(seen.spread, 1e-6)
        each = -0.5 * np.square((seen.x - seen.mean) / spread) - np.log(spread) - 0.5 * math.log(2 * math.pi)
    whole = float(each.reshape(len(each), -1).sum(1).mean())
    if abs(whole) > 1 and abs(seen.log_likelihood * size / whole - 1) < 0.5:
        return f"log p(x | z) is {seen.log_likelihood:.3g} nats, and the sum over the {size} values {whole:.1f}", cure
    return None


OF_LATENTS = (kl_not_finite, kl_explodes, posterior_collapse, levels_collapsed, dead_codes)
OF_DATA = (likelihood_does_not_fit, decoder_saturated, mean_in_place_of_a_sum)
OF_TRAINING = (warm_up_unfinished, overfitting, learning_rate, too_few_updates)
CHECKS: tuple[Callable, ...] = (*OF_LATENTS, *OF_DATA, *OF_TRAINING)
