"""What models with labels share: labels that may be unknown, the weights of labelled rows, and classification.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298.
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.data.check import check_batch
from zoo.data.semi_supervised import check_labels, warn_of_missing
from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, check_positive
from zoo.models.base import LatentVariableModel
from zoo.randomness import as_seed


class Labelled(LatentVariableModel):
    """A model of {"x", "y"} with a classifier q(y | x); y int [B], -1 where the label is unknown.

    What training maximises is, per example of the data,

        mean over the examples of the bound - alpha * mean over the labelled ones of -log q(y | x),

    whatever the share of labelled rows in a batch: a labelled row counts `labelled_fraction` over its share. With
    alpha = 0.1 it is the paper's objective, alpha = 0.1 N, divided by N.

    Args:
        num_classes: C, at least 2.
        alpha: weight of the classification term.
        labelled_fraction: the share of labelled rows in the data. None takes what the batches say, which
            `zoo.load_semi_supervised` gives a column of that name, or else their own share.
    """

    path_derivatives = False

    def __init__(self, num_classes=10, alpha=0.1, labelled_fraction=None, **kwargs):
        check_positive(num_classes=num_classes)
        if num_classes < 2:
            raise InvalidInput(f"num_classes must be at least 2, got {num_classes}")
        if not alpha >= 0:
            raise InvalidInput(f"alpha must not be negative, got {alpha!r}")
        if labelled_fraction is not None and not 0 < labelled_fraction <= 1:
            raise InvalidInput(f"labelled_fraction is a share above 0 and at most 1, got {labelled_fraction!r}")
        self.num_classes, self.alpha, self.labelled_fraction = num_classes, alpha, labelled_fraction
        super().__init__(**kwargs)
        self.term_metrics["classification"] = keras.metrics.Mean(name="classification")

    def label_logits(self, x):
        """[B, C]: log q(y | x) up to a constant of each row."""
        raise NotImplementedError

    # Data

    @property
    def data_spec(self):
        return {**super().data_spec, "y": FieldSpec((), "int32", -1, self.num_classes - 1)}

    @property
    def inference_layers(self):
        return []

    def fields(self, batch):
        if not isinstance(batch, (dict, tuple)):
            batch = {"x": batch}
        if isinstance(batch, dict) and "y" not in batch and "x" in batch:
            batch = {**batch, "y": tf.fill([tf.shape(batch["x"])[0]], -1)}
        return super().fields(batch)

    def preprocess(self, batch, seed, training):
        inputs = super().preprocess(batch, seed, training)
        if training and isinstance(batch, dict) and "labelled_fraction" in batch:
            inputs["labelled_fraction"] = batch["labelled_fraction"]
        return inputs

    def fit(self, x=None, *args, **kwargs):
        """Keras' `fit`; arrays without any label are refused, and a class without one is named in a warning."""
        fields = dict(zip(("x", "y"), x, strict=False)) if isinstance(x, tuple) else x
        if isinstance(fields, dict) and "y" in fields:
            check_batch(fields, self.data_spec)
            labels = np.asarray(fields["y"])
            check_labels(labels, self.num_classes)
            warn_of_missing(labels, self.num_classes)
        return super().fit(x, *args, **kwargs)

    # Labels

    def one_hot(self, y):
        """[B, C] of labels, zeros where unknown; probabilities stay what they are."""
        return tf.one_hot(y, self.num_classes) if y.dtype.is_integer else y

    def filled(self, y, otherwise):
        """[..., C]: the labels y, int [B] or probabilities; the mass they lack is shared out like `otherwise`."""
        y = self.one_hot(y)
        return y + (1 - tf.reduce_sum(y, -1, keepdims=True)) * otherwise

    def probabilities(self, x, y=None):
        """[B, C]: the label where it is known, else q(y | x)."""
        inferred = tf.nn.softmax(self.label_logits(x))
        return inferred if y is None else self.filled(y, inferred)

    def classify(self, x):
        """[B, C]: q(y | x)."""
        return self.probabilities(**self.inputs(x=x))

    def targets(self, inputs):
        """[B, C]: one-hot labels of a batch, zeros where unknown."""
        y = inputs.get("y")
        return tf.zeros([tf.shape(inputs["x"])[0], self.num_classes]) if y is None else self.one_hot(y)

    # Training

    def weigh(self, inputs, log_q):
        """(row_weight [B], penalty [B]) of a trace; log_q = log q(y | x) [B, C]."""
        target = self.targets(inputs)
        known = tf.reduce_sum(target, -1)
        size, labelled = tf.cast(tf.shape(known)[0], tf.float32), tf.reduce_sum(known)
        natural = labelled / size
        if self.labelled_fraction is not None:
            natural = self.labelled_fraction
        elif "labelled_fraction" in inputs:
            natural = tf.reduce_mean(inputs["labelled_fraction"])
        both = tf.cast((labelled > 0) & (labelled < size), tf.float32)
        of_labelled = tf.math.divide_no_nan(size, labelled)
        of_others = tf.math.divide_no_nan(size, size - labelled)
        weight = both * (known * natural * of_labelled + (1 - known) * (1 - natural) * of_others) + (1 - both)
        return weight, -self.alpha * of_labelled * tf.reduce_sum(target * log_q, -1)

    def objective(self, trace):
        """[B]: the bound times the row's weight. An enumerated label's terms are outside beta and free bits."""
        if "y" not in trace.log_prior or trace.log_mass.shape[1] == 1:
            return trace.row_weight * super().objective(trace)
        others = [{k: v for k, v in terms.items() if k != "y"} for terms in (trace.log_prior, trace.log_posterior)]
        bound = super().objective(trace._replace(log_prior=others[0], log_posterior=others[1]))
        return trace.row_weight * (bound + trace.expect(trace.log_prior["y"] - trace.log_posterior["y"]))

    def terms(self, trace):
        return {**super().terms(trace), "classification": trace.penalty}

    # Endpoints

    @property
    def endpoints(self):
        return {**super().endpoints, "classify": (self.serve_classify, ["x"])}

    def serve_classify(self, x):
        probabilities = self.probabilities(x)
        return {"probabilities": probabilities, "label": tf.argmax(probabilities, -1, tf.int32)}


class LabelledGenerator(Labelled):
    """A labelled model whose label steers x: p(y) uniform, p(z) = prior, p(x | z, y) = likelihood."""

    noise_units = 0  # how many normal numbers an example takes between (z, y) and p(x | ...)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        for term in {f"kl_{name}" for name in (*self.latent_names, "y")} - self.term_metrics.keys():
            self.term_metrics[term] = keras.metrics.Mean(name=term)

    def terms(self, trace):
        terms = super().terms(trace)
        return {**terms, "kl_y": terms["kl_y"] - trace.entropy}  # an enumerated label's log q is its mass

    def generate(self, z, y, noise):
        """p(x | ...) given z [n, D], y [n, C] and what lies between, drawn by noise [n, noise_units]."""
        return self.likelihood(z, y)

    def reconstruct(self, x, y=None):
        """[B, *data_shape]: the mean of p(x | z, y) at the posterior's location, with q(y | x) for an unknown label."""
        fields = self.inputs(x=x, y=y)
        label = self.probabilities(**fields)
        return self.likelihood(self.posterior(fields["x"], label).mean(), label).mean()

    def sample(self, n, seed=None, mean=False, y=None):
        """[n, *data_shape]: draws of p(x | y) for labels y int [n]; -1, or None for all, draws the label too."""
        check_positive(n=n)
        y = np.full(n, -1, "int32") if y is None else y
        if len(y) != n:
            raise InvalidInput(f"{n} images need {n} labels, got {len(y)}")
        seeds = tf.unstack(tf.random.split(as_seed(seed), 4))
        drawn = tf.random.stateless_uniform([n], seeds[0], maxval=self.num_classes, dtype=tf.int32)
        label = self.filled(self.inputs(y=y)["y"], self.one_hot(drawn))
        noise = tf.random.stateless_normal([n, self.noise_units], seeds[1])
        likelihood = self.generate(self.prior().sample(n, seed=seeds[2]), label, noise)
        return likelihood.mean() if mean else likelihood.sample(seed=seeds[3])

    def interpolate(self, x0, x1, steps=8, y=None):
        """[steps, B, *data_shape]: decoded points on the line between two codes and labels, ends included."""
        check_positive(steps=steps)
        ends = []
        for x in (x0, x1):
            fields = self.inputs(x=x, y=y)
            label = self.probabilities(**fields)
            ends.append((self.posterior(fields["x"], label).mean(), label))
        (z0, y0), (z1, y1) = ends
        places = tf.linspace(0.0, 1.0, steps)
        return tf.stack([self.likelihood(z0 + s * (z1 - z0), y0 + s * (y1 - y0)).mean() for s in places])

    def draw_latents(self, n, seed=None):
        raise InvalidInput("the label is a latent too, and not continuous: use sample")

    def serve_sample(self, seed, y):
        """x [N, ...]: the mean of p(x | ...) at latents (and labels, where -1) drawn from each row's own seed."""

        def row(pair):
            seeds = tf.random.split(pair, 3)
            label = tf.random.stateless_uniform([], seeds[0], maxval=self.num_classes, dtype=tf.int32)
            noise = tf.random.stateless_normal([self.noise_units], seeds[1])
            return label, noise, self.prior().sample(seed=seeds[2])

        drawn, noise, z = tf.vectorized_map(row, tf.bitcast(seed, tf.int32))
        return {"x": self.generate(z, self.filled(y, self.one_hot(drawn)), noise).mean()}
