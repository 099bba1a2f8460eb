"""Small models and batches for every name in the registry, and the tiers of parametrised tests."""

import datetime

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.creation import model_class

STEPS = 4


def small(name, **config):
    """A model small enough for a test: the first of its class' examples, `config` over its arguments."""
    example = next(iter(model_class(name)[0].examples().values()))
    return zoo.create(name, **{**example, **config})


def tiered(values, plain, ids=str):
    """Parameters of a test: those for which `plain` holds in any run, the others with --all."""
    return [pytest.param(v, id=ids(v), marks=() if plain(v) else pytest.mark.slow) for v in values]


def of_today(names, count=2):
    """So many of the names, others each day."""
    names, day = sorted(names), datetime.date.today().timetuple().tm_yday
    return [names[(day * count + i) % len(names)] for i in range(min(count, len(names)))]


def wanted(request, argument):
    """The values of a parameter in the tests of this run and module that ask for a fixture."""
    tests = [t for t in request.session.items if t.module is request.module and request.fixturename in t.fixturenames]
    parameters = [t.callspec.params for t in tests if hasattr(t, "callspec")]
    return list(dict.fromkeys(p[argument] for p in parameters if argument in p))


def lively(name, **config):
    """A small model whose decoder depends strongly on z, and whose posterior is wide enough to be a proposal."""
    arguments = model_class(name)[0].argument_names()
    deep, sizes = "latent_dims" in arguments, {"latent_dims": (2, 2), "latent_dim": 2}
    sizes = {argument: size for argument, size in sizes.items() if argument in arguments}
    model = small(name, data_shape=(2, 2, 1), **sizes, **config)
    if name == "deep_vae":
        return shaken(model)
    for weight in model.decoder.weights:
        weight.assign(weight * (6.0 if name == "kl_autoencoder" else 2.5))
    above = [getattr(layer, "head", None) for layer in model.upward] if deep else []
    if not model.latent_names:
        shaken(model, 0.5)
    for head in [getattr(model, "posterior_head", None), *getattr(model, "heads", above)]:
        if head is None:
            continue
        head = getattr(head, "head", head)
        # A ladder's posterior is narrower than its prior, the less so the vaguer the evidence.
        raw_scale = [3.0, 3.0] if name == "lvae" else [1.0, 0.7]
        last = head.convolution if name == "kl_autoencoder" else head.dense
        last.kernel.assign(last.kernel * 0.5)
        last.bias.assign([0.0, 0.3, *raw_scale, 0.0, 0.3][: last.bias.shape[0]])
    if hasattr(model, "m2"):
        model.posterior_head.dense.bias.assign([0.0, 0.3, 1.3, 1.3])
        for layer, factor, scale in (
            (model.m2.posterior_head.dense, 0.3, 1.0),
            (model.m2.decoder.output_layer, 0.5, 0.6),
        ):
            layer.kernel.assign(layer.kernel * factor)
            layer.bias.assign([0.0, 0.0, scale, scale])
    return model


def random_batch(model, size=5, seed=0):
    """Fields that fit the model's `data_spec`: 8-bit levels in [0, 1], masks, labels (and -1 for unknown) in turn.

    Sequences have up to STEPS steps. What is missing is 0, as it is in every pass.
    """
    random, batch = np.random.RandomState(seed), {}
    for name, spec in model.data_spec.items():
        spec = spec._replace(shape=tuple(s or STEPS for s in spec.shape))
        if spec.role == "length":
            steps = batch[model.fields_of("data")[0]].shape[1]
            batch[name] = steps - tf.range(size) % steps
        elif spec.dtype == "int32":
            batch[name] = tf.range(size) % (spec.maximum - spec.minimum + 1) + spec.minimum
        elif spec.role == "mask":
            batch[name] = tf.constant(random.rand(size, *spec.shape) < 0.7, tf.float32)
        else:
            batch[name] = tf.constant(random.randint(0, 256, (size, *spec.shape)) / 255, tf.float32)
    return model.observed(batch)


def numbers(trace):
    """The log terms of a trace as NumPy arrays."""
    return {
        "log_marginal": trace.log_marginal.numpy(),
        "log_mass": trace.log_mass.numpy(),
        **{f"log_likelihood {k}": v.numpy() for k, v in trace.log_likelihood.items()},
        **{f"log_prior {k}": v.numpy() for k, v in trace.log_prior.items()},
        **{f"log_posterior {k}": v.numpy() for k, v in trace.log_posterior.items()},
        **{f"kl {k}": v.numpy() for k, v in trace.kl_per_unit.items()},
    }


def assert_same(first, second, **tolerance):
    """Two dicts of arrays, such as those of `numbers`."""
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], err_msg=name, **tolerance)


def shaken(model, size=0.1):
    """The model with no float weight at its initial value."""
    random = np.random.RandomState(1)
    for weight in model.weights:
        noise = random.normal(0.0, size, weight.shape)
        if "variance" in weight.path:
            weight.assign(weight * np.exp(noise))
        elif len(weight.shape) and weight.dtype == "float32":
            weight.assign(weight + noise)
    return model


def step_gradients(model, inputs, number):
    """({player: its cost}, [gradients in the order of `model.trainable_variables`]) of a training step."""
    _, costs, moves = model.gradients(inputs, number)
    found = {id(v): g for _, gradients, variables in moves for g, v in zip(gradients, variables, strict=True)}
    return costs, [found[id(v)] for v in model.trainable_variables]


def cost(model, batch):
    """What the model minimises on a batch."""
    return model.cost(model.forward(batch, seed(1), training=True))


def seed(number):
    return tf.constant([3, number])
