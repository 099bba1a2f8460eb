"""Example inputs of a model's endpoints, made from its field specifications: for warm-up and for checks."""

import numpy as np
import tensorflow as tf

STEPS = 6


def example_inputs(model, names, count, seed=0):
    """{name: array [count, ...]} of the named fields, the same for the same seed.

    Images are what the model itself samples, for far from its data even rounding grows large in it; other data are
    uniform in their range (normal where unbounded). Of the latents every second row is what the model's `encode` says
    of such data, and the others are standard normal; whole-number latents are all encoded.
    """
    rng = np.random.default_rng(seed)
    # Sequences have STEPS steps, the first of them all real.
    data = {name: draw(spec, count, rng) for name, spec in model.field_specs.items() if name not in model.latent_spec}
    if "sample" in model.endpoints:
        data.update(sampled(model, data, count, seed))
    if set(names) & set(model.latent_spec):
        data.update(encoded(model, data, count, rng))
    return {name: data[name] for name in names}


def sampled(model, data, count, seed):
    """{data field: array [count, ...]} of the fields of real numbers."""
    given = [*model.conditions, *model.fields_of("length")]
    condition = {name: data[name] for name in given if name in model.endpoints["sample"][1]}
    found = {}
    for name, value in model.named(model.sample(count, seed=seed, mean=True, **condition)).items():
        spec = model.field_specs[name]
        if np.dtype(spec.dtype).kind == "f":
            value = np.array(value)
            found[name] = value if spec.minimum is None else np.clip(value, spec.minimum, spec.maximum)
    return found


def encoded(model, data, count, rng):
    """{latent: array [count, ...]}."""
    method, inputs = model.endpoints["encode"]
    codes = method(**{name: tf.constant(data[name]) for name in inputs})
    latents = {}
    for name, spec in model.latent_spec.items():
        noise = draw(spec, count, rng)
        if name not in codes:
            latents[name] = noise
            continue
        code = np.array(codes[name])
        if code.dtype.kind == "f":
            code[1::2] = noise[1::2]
        latents[name] = code
    return latents


def draw(spec, count, rng):
    """[count, *spec.shape] in the field's range and dtype. Labels leave out -1, which stands for unknown."""
    shape = (count, *(size or STEPS for size in spec.shape))
    if spec.role == "length":
        return np.concatenate([[STEPS], rng.integers(1, STEPS + 1, count - 1)]).astype(spec.dtype)
    if spec.role == "mask":
        return rng.integers(0, 2, shape).astype(spec.dtype)
    if np.dtype(spec.dtype).kind in "iu":
        low = max(spec.minimum or 0, 0)
        return rng.integers(low, 2**31 if spec.maximum is None else spec.maximum + 1, shape).astype(spec.dtype)
    if spec.minimum is None or spec.maximum is None:
        return rng.standard_normal(shape).astype(spec.dtype)
    return rng.uniform(spec.minimum, spec.maximum, shape).astype(spec.dtype)
