"""What models with labels share: labels that may be unknown, the weights of labelled rows, and classification.

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298.
"""

import numpy as np
import tensorflow as tf

from zoo.data.check import is_arrays
from zoo.data.semi_supervised import check_labels, warn_of_missing
from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, check_positive
from zoo.models.base import LatentVariableModel
from zoo.models.inputs import as_classes
from zoo.objectives.classification import Classification
from zoo.replicas import over_replicas
from zoo.rows import split_rows, uniform_int_rows


class Labelled(LatentVariableModel):
    """A model of {"x", "y"} with a classifier q(y | x); y int [B], -1 where the label is unknown.

    What training minimises is, per example of the data,

        alpha * mean over the labelled ones of -log q(y | x) - mean over the examples of the bound,

    whatever the share of labelled rows in a batch: a labelled row counts `labelled_fraction` over its share. With
    alpha = 0.1 it is the paper's objective, alpha = 0.1 N, divided by N. The first term is the penalty
    "classification".

    Args:
        num_classes: C, how many labels there are, at least 2.
        alpha: weight of the classification term.
        labelled_fraction: the share of labelled rows in the data. None takes what the batches say, which
            `zoo.load_semi_supervised` gives a column of that name, or else their own share.
    """

    capabilities = LatentVariableModel.capabilities | {"classifier"}
    label = "y"

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

    @classmethod
    def examples(cls):
        return {"mlp": {**super().examples()["mlp"], "num_classes": 3}}

    def own_penalties(self):
        return [Classification(self.alpha)]

    def label_logits(self, x):
        """[B, C]: log q(y | x) up to a constant of each row."""
        raise NotImplementedError

    # Data

    @property
    def data_spec(self):
        y = FieldSpec((), "int32", -1, self.num_classes - 1, role="label", optional=True)
        return {**super().data_spec, self.label: y}

    @property
    def inference_layers(self):
        return []

    @property
    def batch_spec(self):
        column = FieldSpec((), "float32", 0.0, 1.0, "weight", optional=True)
        return {**super().batch_spec, "labelled_fraction": column}

    def fit(self, x=None, y=None, *args, **kwargs):
        """Keras' `fit`; arrays without any label are refused, and a class without one is named in a warning."""
        if is_arrays(x):
            fields = self.accept(x, y)
            if isinstance(fields, dict) and self.label in fields:
                labels = fields[self.label]
                labels = np.asarray(as_classes(tf.convert_to_tensor(labels), self.data_spec[self.label]))
                check_labels(labels, self.num_classes)
                warn_of_missing(labels, self.num_classes)
        return super().fit(x, y, *args, **kwargs)

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

    def classify(self, x, **fields):
        """[B, C]: q(y | x)."""
        return self.probabilities(self.image(self.inputs_of(x, fields)))

    def targets(self, inputs):
        """[B, C]: one-hot labels of a batch, zeros where unknown."""
        y = inputs.get(self.label)
        return tf.zeros([tf.shape(self.image(inputs))[0], self.num_classes]) if y is None else self.one_hot(y)

    def row_weight(self, inputs):
        """[B]: how much each row counts, whatever the share of labelled ones in the batch, of all replicas."""
        known = tf.reduce_sum(self.targets(inputs), -1)
        told = tf.cast(inputs.get("labelled_fraction", known), tf.float32)
        sums = tf.stack([tf.cast(tf.size(known), tf.float32), tf.reduce_sum(known), tf.reduce_sum(told)])
        size, labelled, told = tf.unstack(over_replicas(sums))
        natural = told / size if self.labelled_fraction is None else self.labelled_fraction
        both = tf.cast((labelled > 0) & (labelled < size), tf.float32)
        of_labelled = tf.math.divide_no_nan(size, labelled)
        of_others = tf.math.divide_no_nan(size, size - labelled)
        return both * (known * natural * of_labelled + (1 - known) * (1 - natural) * of_others) + (1 - both)


class LabelledGenerator(Labelled):
    """A labelled model whose label steers x: p(y) uniform, p(z) = prior, p(x | z, y) = likelihood.

    Attributes:
        top: how many of the likeliest labels training sums over, besides one that is drawn; None for all.
    """

    top = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.print_terms(*(f"kl_{name}" for name in (*self.latent_names, self.label)))

    def objective(self, trace):
        """[B]: the bound times the row's weight. An enumerated label's terms are outside beta and free bits."""
        if trace.log_mass.shape[1] == 1:
            return super().objective(trace)
        p, q = dict(trace.log_prior), dict(trace.log_posterior)
        of_label = trace.row_weight * trace.expect(p.pop(self.label) - q.pop(self.label))
        value = super().objective(trace._replace(log_prior=p, log_posterior=q)) + of_label
        drawn = self.top is not None and trace.log_mass.shape[1] == self.top + 1
        return value - centring(trace) if drawn else value

    def terms(self, trace):
        terms = super().terms(trace)
        name = f"kl_{self.label}"
        return {**terms, name: terms[name] - trace.entropy}  # an enumerated label's log q is its mass

    def locations(self, inputs):
        label = self.probabilities(self.image(inputs), **self.condition_of(inputs))
        return {**super().locations(inputs), self.label: label}

    def likelihoods(self, latents, condition):
        y = latents.get(self.label, condition.get(self.label))
        return {self.fields_of("data")[0]: self.likelihood(latents["z"], y)}

    def draw(self, seeds, condition, temperature=1.0):
        """z [N, D] and y int [N]: the label of the condition, and where it is -1 or missing one drawn from p(y)."""
        parts, y = tf.unstack(split_rows(seeds, 3)), condition.get(self.label)
        drawn = uniform_int_rows(parts[0], self.num_classes)
        if y is not None:
            drawn = tf.where(y < 0, drawn, y) if y.dtype.is_integer else self.filled(y, self.one_hot(drawn))
        return {"z": self.drawn_code(parts[2], temperature), self.label: drawn}


def centring(trace):
    """[B]: zero, whose gradient, subtracted from that of `top_values`' objective, takes a noise of mean 0 from it.

    The masses add up to 1, but their gradients do only in the mean over the drawn value. What the weights of all values
    have in common, taken as the mean weight of the likeliest, is therefore subtracted where it meets these gradients.
    """
    mass = tf.exp(trace.log_mass[0])
    likeliest = tf.stop_gradient(mass[:-1])
    common = tf.reduce_sum(likeliest * tf.reduce_mean(trace.log_weight, 0)[:-1], 0) / tf.reduce_sum(likeliest, 0)
    total = tf.reduce_sum(mass, 0)
    return tf.stop_gradient(trace.row_weight * common) * (total - tf.stop_gradient(total))
