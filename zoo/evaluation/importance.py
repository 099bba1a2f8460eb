"""The importance-weighted estimate of log p(x), with as many draws as asked for in as little memory as there is."""

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from zoo.randomness import whole

CHUNK_BYTES = 128 * 2**20
TOGETHER = 2  # chunks at a time: one has the cores that an operator of the other leaves idle
NARROWEST = 3000  # numbers a draw and example: no chunk is made larger than it were with so many


class Estimator:
    """The importance-weighted estimate of log p(x) and the parts of the ELBO, with the draws taken in chunks.

    Args:
        model: any model of the zoo.
        num_samples: draws per example.
        draws_per_chunk: of all batches, so that numbers can be repeated draw by draw; None takes so many that the
            widest tensor that grows with them stays within `CHUNK_BYTES`.
    """

    def __init__(self, model, num_samples, draws_per_chunk=None):
        self.model, self.num_samples, self.draws_per_chunk = model, int(num_samples), draws_per_chunk
        self.width = None
        self.compiled = tf.function(self.chunk, reduce_retracing=True)
        self.located = tf.function(lambda fields: model.locations(fields), reduce_retracing=True)

    def chunk(self, fields, key, index, draws):
        """Sums over the `draws` draws of a chunk of a number: name -> [B], "units/<latent>" -> [B, D].

        "log_sum" and "log_squares" are the logs of the summed weights and of their summed squares. A draw whose latents
        leave the range of single precision has a weight of 0, and "overflow" counts it.
        """
        seed = tf.random.fold_in(key, index, alg="philox")
        trace = self.model.run(fields, num_samples=draws, training=False, seed=seed).trace
        over = tf.math.is_nan(trace.log_evidence)
        log_weight = tf.where(over, -math.inf, trace.log_evidence)
        units = {f"units/{name}": value for name, value in trace.kl_per_unit.items()}
        return {
            "log_sum": tf.reduce_logsumexp(log_weight, 0),
            "log_squares": tf.reduce_logsumexp(2 * log_weight, 0),
            "overflow": tf.reduce_sum(tf.cast(over, tf.float32), 0),
            **{name: value * draws for name, value in {**self.model.terms(trace), **units}.items()},
        }

    def draws_of(self, fields):
        """How many draws a chunk takes of a batch: a power of two, or all, so that few graphs are made."""
        if self.draws_per_chunk:
            return min(self.num_samples, self.draws_per_chunk)
        steps = fields["x"].shape[1] if "steps" in self.model.offers else 1
        rows = size_of(fields) * steps
        if self.width is None:
            narrowest = -(-NARROWEST // steps)
            draws = self.fitting(narrowest, rows)
            graph = self.compiled.get_concrete_function(fields, tf.constant([0, 0]), tf.constant(0), draws).graph
            self.width = max(narrowest, widest(graph, draws * rows))
        return self.fitting(self.width, rows)

    def fitting(self, width, rows):
        """How many draws of `width` numbers for each of so many examples, or of their steps, are in `CHUNK_BYTES`."""
        most = max(1, CHUNK_BYTES // (4 * width * rows))
        return min(self.num_samples, 2 ** int(math.log2(most)))

    def __call__(self, fields, seed):
        """Name -> [B] and "units/<latent>", "location/<latent>" -> [B, D], for the model's inputs and two numbers.

        Of sequences the locations are those of all their steps.
        """
        step, sums = self.draws_of(fields), None
        key = tf.random.fold_in(tf.constant([whole(seed[0]), seed[1]], tf.int32), 101, alg="philox")

        def chunk(start):
            draws = min(step, self.num_samples - start)
            terms = self.compiled(fields, key, tf.constant(start // step), draws)
            return {name: value.numpy().astype("float64") for name, value in terms.items()}

        with without_temporaries(), ThreadPoolExecutor(TOGETHER) as pool:
            for terms in pool.map(chunk, range(0, self.num_samples, step)):
                sums = terms if sums is None else {name: add(name, sums[name], value) for name, value in terms.items()}
        found = {name: value / self.num_samples for name, value in sums.items() if not name.startswith("log_")}
        found["overflow_percent"] = 100 * found.pop("overflow")
        found["nll"] = math.log(self.num_samples) - sums["log_sum"]
        with np.errstate(invalid="ignore"):  # of no draws
            found["effective_sample_size"] = np.exp(2 * sums["log_sum"] - sums["log_squares"])
        for name, location in self.located(fields).items():
            found[f"location/{name}"] = points(self.model, location.numpy(), fields)
        return found


@contextlib.contextmanager
def without_temporaries():
    """Inside, sums of many terms have no temporary variables, of which two runs of a graph at once have the same."""
    before = tf.config.optimizer.get_experimental_options().get("arithmetic_optimization", True)
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": before})


def points(model, location, fields):
    """[M, D] of a latent's location: a row an example, or of sequences a row for each of their real steps."""
    real = real_steps(model, fields)
    return location.reshape(size_of(fields), -1) if real is None else location[real]


def real_steps(model, fields):
    """bool [B, T]: which steps of a batch of sequences are no padding; None of other models."""
    if "steps" not in model.offers:
        return None
    return np.arange(fields["x"].shape[1]) < fields["length"].numpy()[:, None]


def add(name, total, value):
    """The sum over two chunks; of what is a logarithm, the logarithm of the sum."""
    return np.logaddexp(total, value) if name.startswith("log_") else total + value


def widest(graph, rows):
    """The numbers a row of the largest tensor in a graph whose size is a multiple of `rows`."""
    sizes = [tensor.shape.num_elements() or 0 for op in graph.get_operations() for tensor in op.outputs]
    return max(size // rows for size in sizes if size % rows == 0)


def size_of(fields):
    """The number of examples of a batch."""
    return int(next(iter(fields.values())).shape[0])
