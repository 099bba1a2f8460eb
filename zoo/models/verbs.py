"""What one does with a model, written once over its contract: verbs, and the endpoints of its exports."""

import numpy as np
import tensorflow as tf

from zoo.distributions import location, scale
from zoo.errors import InvalidInput, check_positive
from zoo.models.graphs import graphed
from zoo.models.guards import check_draws, check_memory, check_temperature
from zoo.models.inputs import padded
from zoo.randomness import as_seed


class Verbs:
    """Encode, decode, reconstruct, sample, interpolate, score; mixed into `LatentVariableModel`.

    A model of one latent or one data field takes and gives tensors, of several dicts by name. `condition` are the
    fields of `model.conditions` by name, such as y.
    """

    @graphed
    def code(self, inputs):
        """Name -> the locations that the data fields are decoded from."""
        located = self.locations(inputs)
        return {name: located[name] for name in (*self.latent_spec, *self.conditions) if name in located}

    def encode(self, x, **condition):
        """[B, D]: the posterior's location."""
        code = self.code(self.inputs_of(x, condition))
        return single({name: code[name] for name in self.latent_spec})

    def decode(self, z=None, **fields):
        """[B, *data_shape]: the mean of p(x | z) of z [B, D], or of latents by name or in a dict."""
        self.require("decode", ["decoder"])
        given = {} if z is None else z if isinstance(z, dict) else {next(iter(self.latent_spec)): z}
        fields = self.inputs(**joined(given, fields))
        latents = {name: value for name, value in fields.items() if name in self.latent_spec}
        if not latents:
            raise InvalidInput(f"decode takes a dict with one or more of {', '.join(self.latent_spec)}")
        return single(self.means(latents, self.condition_of(fields)))

    def reconstruct(self, x, **condition):
        """[B, *data_shape]: the mean of p(x | z) at the posterior's location."""
        return single(self.rebuilt(self.inputs_of(x, condition)))

    @graphed
    def rebuilt(self, inputs):
        """Data field -> what `reconstruct` gives."""
        return self.means(self.code(inputs), self.condition_of(inputs))

    def interpolate(self, x0, x1, steps=8, **condition):
        """[steps, B, *data_shape]: decoded points on the way between the codes of x0 and x1, ends included."""
        check_positive(steps=steps)
        self.require("interpolate", ["decoder"])
        ends = [self.inputs_of(x, condition) for x in (x0, x1)]
        check_memory(f"{steps} steps", steps * len(next(iter(ends[0].values()))), self.row_size)
        start, stop = (self.code(inputs) for inputs in ends)
        given = self.condition_of(ends[0])
        places = tf.unstack(tf.linspace(0.0, 1.0, steps))
        path = [self.means(self.between(start, stop, place), given) for place in places]
        return single({name: tf.stack([means[name] for means in path]) for name in path[0]})

    def log_prob(self, x, num_samples=100, seed=None, **condition):
        """[B]: the importance-weighted estimate of log p(x | condition), nats. Burda et al. 2016, arXiv:1509.00519.

        A label with a p(y) of its own is no condition: of `m2`, `m1_m2` and `jmvae` log_prob(x, y=y) is log p(x, y),
        with y = -1 or without it log p(x). An `m1` says log p(x) whatever the label.

        x is scored as it is: binarise grey images first, as `zoo.evaluate` does, by
        `model.preprocess(x, None, training=False)["x"]`.
        """
        check_positive(num_samples=num_samples)
        self.require("log_prob", ["bound"])
        inputs = self.inputs_of(x, condition)
        check_draws(self, inputs, num_samples)
        return self.log_marginal(inputs, as_seed(seed), int(num_samples))

    @graphed
    def log_marginal(self, inputs, seed, num_samples):
        """[B]: what `log_prob` gives."""
        return self(inputs, num_samples=num_samples, seed=seed).log_marginal

    def simulate(self, n, seed=None, mean=False, temperature=1.0, **condition):
        """({name: [n, D]}, [n, *data_shape]): draws of p(latents, x | condition), or the means of p(x | latents)."""
        check_positive(n=n)
        temperature = None if temperature == 1 else check_temperature(self, temperature)
        self.require("sample", ["prior"])
        check_memory(f"{n} draws", n, self.row_size)
        latent_seed, pixel_seed = tf.unstack(tf.random.split(as_seed(seed), 2))
        given = self.condition_of(self.inputs(**self.given(n, condition)))
        latents, found = self.drawn(tf.random.split(latent_seed, n), pixel_seed, given, bool(mean), temperature)
        return latents, single(found)

    @graphed
    def drawn(self, seeds, pixel_seed, condition, mean, temperature=None):
        """(latents by name, data field -> draws or means): what `simulate` gives, of a seed for each row's latents."""
        latents = self.draw(seeds, condition, **({} if temperature is None else {"temperature": temperature}))
        likelihoods = self.likelihoods(latents, condition)
        return latents, {k: p.mean() if mean else p.sample(seed=pixel_seed) for k, p in likelihoods.items()}

    def sample(self, n, seed=None, mean=False, temperature=1.0, **condition):
        """[n, *data_shape]: draws of p(x | condition), or with `mean` the means of p(x | z) at drawn z.

        The scales of p(z) are multiplied by the temperature: below 1 draws are more typical, and less varied.
        """
        return self.simulate(n, seed, mean, temperature, **condition)[1]

    def given(self, n, condition):
        """The condition of n draws, one value standing for all of them; another length is refused."""
        found = {}
        for name, value in condition.items():
            found[name] = value if value is None or np.ndim(value) else np.full(n, value)
            if value is not None and len(found[name]) != n:
                raise InvalidInput(f"{n} images need {n} labels, got {len(value)} in {name}")
        return found

    @graphed
    def means(self, latents, condition):
        """Data field -> the mean of p(field | latents, condition)."""
        return {name: likelihood.mean() for name, likelihood in self.likelihoods(latents, condition).items()}

    def named(self, x):
        """The data fields by name: x is the first of them, or a dict."""
        x = padded(x, self.data_spec)
        return x if isinstance(x, dict) else {self.fields_of("data")[0]: x}

    def inputs_of(self, x, condition):
        """The model's inputs: data fields as `named` takes them, beside fields by name."""
        return self.inputs(**joined(self.named(x), condition))

    # Endpoints

    @property
    def endpoints(self):
        """Name -> (method, its inputs' names in `field_specs`): the signatures of an export; the first is the default.

        Methods take keyword tensors with a leading row axis and return a dict of tensors, row by row.
        """
        data, condition = self.fields_of("data", "mask"), self.conditions
        known = {
            "reconstruct": (None, self.serve_reconstruct, [*data, *condition]),
            "encode": (None, self.serve_encode, [*data, *condition]),
            "decode": ("decoder", self.serve_decode, [*self.latent_spec, *condition]),
            "sample": ("prior", self.serve_sample, ["seed", *condition]),
            "score": ("bound", self.serve_score, [*data, "seed", *condition]),
            "classify": ("classifier", self.serve_classify, data),
        }
        offered = {None, *self.offers}
        return {name: (method, inputs) for name, (need, method, inputs) in known.items() if need in offered}

    def serve_reconstruct(self, **fields):
        return renamed(self.rebuilt(self.observed(fields)))

    def serve_encode(self, **fields):
        posteriors = self.posteriors(self.observed(fields))
        found = {name: location(posteriors[name]) for name in self.latent_spec}
        scales = self.latent_spec if "scale" in self.offers else ()
        return {**found, **{f"{name}_scale": scale(posteriors[name]) for name in scales}}

    def serve_decode(self, **fields):
        latents = {name: fields[name] for name in self.latent_spec}
        return renamed(self.means(latents, self.condition_of(fields)))

    def serve_sample(self, seed, **condition):
        """The mean of p(x | z) at latents drawn from each row's own seed."""
        return self.means(self.draw(tf.bitcast(seed, tf.int32), condition), condition)

    def serve_score(self, seed, **fields):
        """elbo and log_marginal [N] of `score_samples` draws, row by row: a row's numbers depend on its seed alone."""

        def row(fields):
            row_seed = fields.pop("seed")
            inputs = self.observed({name: value[None] for name, value in fields.items()})
            trace = self(inputs, num_samples=self.score_samples, seed=row_seed)
            return {"elbo": trace.elbo[0], "log_marginal": trace.log_marginal[0]}

        return tf.vectorized_map(row, {**fields, "seed": tf.bitcast(seed, tf.int32)})

    def serve_classify(self, **fields):
        probabilities = self.probabilities(self.image(self.observed(fields)))
        return {"probabilities": probabilities, "label": tf.argmax(probabilities, -1, tf.int32)}


def joined(first, second):
    """Two dicts of fields as one; a field that stands in both is refused."""
    if twice := first.keys() & second.keys():
        raise InvalidInput(f"field {min(twice)!r} is given twice")
    return {**first, **second}


def single(values):
    """The only value of a dict, or the dict."""
    return next(iter(values.values())) if len(values) == 1 else values


def renamed(means):
    """What endpoints call the means of p(x | z): reconstruction, or the fields' names where there are several."""
    return {"reconstruction": single(means)} if len(means) == 1 else means
