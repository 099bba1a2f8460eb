"""The contract of every model, and the one training step they share."""

import inspect

import keras
import tensorflow as tf

from zoo.data.check import check_batch, check_dataset
from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput, check_positive
from zoo.models.guards import StopWhenNotFinite
from zoo.models.metrics import ActiveUnits
from zoo.objectives import bounds
from zoo.randomness import as_seed, noise_of_image
from zoo.updates import apply_if

BINARIZE = (None, "dynamic", "fixed")


class LatentVariableModel(keras.Model):
    """A latent-variable model p(x, z) with an inference model q(z | x), trained by a bound on log p(x).

    A member of the family says what it is in `data_spec`, `call`, `log_joint`, `encode`, `decode` and `sample`;
    training, evaluation, export and plots ask nothing else. Every argument of a subclass is a plain number, string,
    tuple, dict or a serialisable Keras layer, so that `get_config` is written once, here.

    Args:
        bound: name of a bound (`zoo.bounds`), or a dict with its arguments, as `{"name": "free_bits", "nats": 1.0}`.
        num_samples: draws of the latents per example in training.
        beta: weight of the KL; a variable, saved with the model and moved by the callbacks of `zoo.callbacks`.
        binarize: None, "dynamic" (pixels are drawn as Bernoulli(value) afresh in each training step, and once and for
            all, keyed by the image itself, everywhere else) or "fixed" (once and for all in training too).
        seed: of the weights' and the training steps' random numbers.

    Raises:
        InvalidInput: (a `ValueError`) any argument out of range.
    """

    supports_jit = True
    latent_names = ("z",)
    has_bound = True
    score_samples = 64
    path_derivatives = False  # whether `call` gives the trace's `base` and `path` to the bounds that ask for them
    without_arguments = ("self",)  # of the base classes' constructors: what a subclass decides itself

    def __new__(cls, *args, **kwargs):
        model = super().__new__(cls, *args, **kwargs)
        given = inspect.signature(cls.__init__).bind(None, *args, **kwargs).arguments
        given.pop("self", None)
        object.__setattr__(model, "_arguments", {**given.pop("kwargs", {}), **given})
        return model

    def __init__(self, bound="elbo", num_samples=1, beta=1.0, binarize=None, seed=0, name=None):
        super().__init__(name=name)
        check_positive(num_samples=num_samples)
        if binarize not in BINARIZE:
            raise InvalidInput(f"binarize is one of {', '.join(map(repr, BINARIZE))}, got {binarize!r}")
        if not beta >= 0:
            raise InvalidInput(f"beta must not be negative, got {beta!r}")
        if not isinstance(seed, int) or not 0 <= seed < 2**31:
            raise InvalidInput(f"seed must be a whole number from 0 to 2**31 - 1, got {seed!r}")
        self.bound = bounds.get(bound, num_samples)
        self.num_samples, self.binarize, self.seed = num_samples, binarize, seed
        start = keras.initializers.Constant(beta)
        self.beta = self.add_weight(name="beta", shape=(), initializer=start, trainable=False)
        self.steps = self.add_weight(name="steps", shape=(), dtype="int32", initializer="zeros", trainable=False)
        kl = ["kl"] + [f"kl_{latent}" for latent in self.latent_names if len(self.latent_names) > 1]
        names = ["loss", "elbo", "reconstruction", *kl] if self.has_bound else ["loss", "reconstruction"]
        self.term_metrics = {term: keras.metrics.Mean(name=term) for term in names}
        units = self.latent_names if self.has_bound else ()
        several = len(self.latent_names) > 1
        self.unit_metrics = {n: ActiveUnits(f"active_units_{n}" if several else "active_units") for n in units}
        self.skipped = keras.metrics.Sum(name="skipped")

    # What a member of the family says.

    @property
    def data_spec(self):
        """Name -> `FieldSpec` of every field of a batch."""
        raise NotImplementedError

    def call(self, inputs, num_samples=None, training=None, seed=None):
        """The trace of a batch, a dict of fields or x alone. `num_samples=None` takes the model's own."""
        raise NotImplementedError

    def log_joint(self, latents, inputs):
        """(log p(x | latents) [S, C, B], {name: log p(latent) [S, C, B]}) of given latents, each [S, C, B, ...]."""
        raise NotImplementedError

    def likelihood_given(self, latents, inputs):
        """p(x | latents), of latents [..., D] by name and what the model is conditioned on: batch [...]."""
        raise NotImplementedError

    def draw_latents(self, n, seed=None):
        """Name -> [n, D]: draws of every latent from the prior."""
        raise NotImplementedError

    def locations(self, inputs):
        """Name -> [B, D]: the location of each latent's posterior, for given inputs."""
        raise NotImplementedError

    @property
    def inference_layers(self):
        """The layers whose weights belong to q(z | x) alone; empty where it shares them with the generative model."""
        return []

    @property
    def discrete(self):
        """Whether log p(x | z) is a log probability, so that bits per dimension have a meaning."""
        raise NotImplementedError

    @property
    def values_per_pixel(self):
        """How many numbers the decoder gives for each value of x; evaluation sizes its chunks by it."""
        return 1

    # Written once.

    def check_bound(self):
        """Raise `InvalidInput` for a bound whose gradient this model cannot give."""
        name = self.bound.func.__name__
        if self.bound.func in bounds.PATH and not (self.path_derivatives and self.inference_layers):
            raise InvalidInput(
                f"{name} needs one stochastic level whose posterior shares no weights with the generative model: "
                "train this model by 'elbo' or 'iwae'"
            )
        if bounds.of_inference(self.bound) and not self.inference_layers:
            raise InvalidInput(f"{name} needs an inference model that shares no weights with the generative model")

    @classmethod
    def argument_defaults(cls):
        """Name -> default of the constructor's arguments, base classes included."""
        defaults = {}
        for base in cls.__mro__[: cls.__mro__.index(keras.Model)]:
            for parameter in inspect.signature(base.__init__).parameters.values():
                if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                    defaults.setdefault(parameter.name, parameter.default)
        return {name: default for name, default in defaults.items() if name not in cls.without_arguments}

    @classmethod
    def argument_names(cls):
        """The constructor's argument names, base classes included."""
        return list(cls.argument_defaults())

    def get_config(self):
        def plain(value):
            return keras.saving.serialize_keras_object(value) if isinstance(value, keras.layers.Layer) else value

        return {name: plain(value) for name, value in self._arguments.items()}

    @classmethod
    def from_config(cls, config):
        model = cls(**config)
        model.build()
        return model

    def build(self, input_shape=None):
        """Create every weight, from `data_spec` alone."""
        if self.built:
            return
        self.check_bound()
        self.built = True  # or the call below would build again
        trace = self.call(self.fake_batch(2), num_samples=1, seed=tf.constant([0, 0]))
        for name, metric in self.unit_metrics.items():
            if name in trace.kl_per_unit:
                metric.build(trace.kl_per_unit[name].shape[-1])

    def fake_batch(self, batch_size):
        """A batch that fits `data_spec`: its lowest values (0 where unbounded; labels are the first class)."""
        return {
            name: tf.fill([batch_size, *spec.shape], tf.cast(max(spec.minimum or 0, 0), spec.dtype))
            for name, spec in self.data_spec.items()
        }

    @property
    def latent_spec(self):
        """Name -> `FieldSpec` of every latent."""
        raise NotImplementedError

    @property
    def field_specs(self):
        """Name -> `FieldSpec` of everything a verb or an endpoint takes."""
        return {**self.data_spec, **self.latent_spec, "seed": FieldSpec((), "int64")}

    def inputs(self, **fields):
        """Fields as tensors of their declared dtypes; eager ones are checked against `field_specs` first."""
        given = {name: value for name, value in fields.items() if value is not None}
        spec = {name: self.field_specs[name] for name in given}
        if tf.executing_eagerly():
            check_batch(given, spec)
        return {name: self.to_range(value, spec[name]) for name, value in given.items()}

    @staticmethod
    def to_range(value, spec):
        """uint8 pixels divided by 255; labels as probabilities [B, C] as they are; the rest cast to the dtype."""
        value = tf.convert_to_tensor(value)
        if value.dtype == tf.uint8 and spec.dtype == "float32":
            return tf.cast(value, tf.float32) / 255.0
        if value.dtype.is_floating and tf.as_dtype(spec.dtype).is_integer and value.shape.rank == len(spec.shape) + 2:
            return value
        return tf.cast(value, spec.dtype)

    def fields(self, batch):
        """x alone, a dict or a tuple (x, y) -> the fields of `data_spec`, in its dtypes; uint8 becomes [0, 1]."""
        if isinstance(batch, tuple):
            batch = dict(zip(("x", "y"), batch, strict=False))
        if not isinstance(batch, dict):
            batch = {"x": batch}
        missing = [name for name in self.data_spec if name not in batch]
        if missing:
            raise InvalidInput(f"the batch lacks {', '.join(missing)}; the model takes {', '.join(self.data_spec)}")
        return {name: self.to_range(batch[name], spec) for name, spec in self.data_spec.items()}

    def preprocess(self, batch, seed, training):
        """What the data pipeline gives -> the model's inputs, inside the step: `fields`, then binarised.

        Args:
            batch: x alone, a dict, or a tuple (x, y); labels are kept where `data_spec` has them.
            seed: int32 [2], of this step.
        """
        inputs = self.fields(batch)
        if self.binarize:
            x = inputs["x"]
            if training and self.binarize == "dynamic":
                noise = tf.random.stateless_uniform(tf.shape(x), seed, alg="philox")
            else:
                noise = noise_of_image(x)
            inputs["x"] = tf.cast(noise < x, tf.float32)
        return inputs

    def objective(self, trace):
        """[B]: what training maximises."""
        return self.bound(trace.temper(self.beta))

    def step_seed(self):
        """int32 [2]: of the model's seed, the step and the replica."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = tf.convert_to_tensor(self.steps)
        seed = tf.constant([17, self.seed], tf.int32)
        for part in (step, replica):
            seed = tf.random.fold_in(seed, part, alg="philox")
        return seed

    def train_step(self, batch):
        noise_seed, draw_seed = tf.unstack(tf.random.split(self.step_seed(), 2, alg="philox"))
        inputs = self.preprocess(batch, noise_seed, training=True)
        statistics = [v for v in self.non_trainable_weights if v is not self.beta and v is not self.steps]
        before = [tf.convert_to_tensor(v) for v in statistics]
        trace, loss, gradients = self.gradients(inputs, draw_seed)
        # One sum of squares: what overflows it would overflow Adam's second moments too.
        finite = tf.math.is_finite(loss + tf.add_n([tf.nn.l2_loss(g) for g in gradients if g is not None]))
        self.steps.assign_add(1)
        apply_if(finite, self.optimizer, gradients, self.trainable_variables)
        for variable, old in zip(statistics, before, strict=True):  # of batch normalisation
            variable.assign(tf.where(finite, tf.convert_to_tensor(variable), old))
        return self.update_metrics(trace, loss, finite)

    def gradients(self, inputs, seed):
        """(trace, loss, the loss' gradient by every trainable variable)."""
        inference = bounds.of_inference(self.bound)
        with tf.GradientTape(persistent=inference is not None) as tape:
            trace = self(inputs, training=True, seed=seed)
            loss = tf.reduce_mean(trace.penalty - self.objective(trace))
            total = self.total_loss(loss)
            if inference:
                objective = inference(trace.temper(self.beta))
                inference_total = self.total_loss(tf.reduce_mean(trace.penalty - objective))
        gradients = tape.gradient(total, self.trainable_variables)
        if inference:
            own = [v for layer in self.inference_layers for v in layer.trainable_variables]
            replaced = {id(v): g for v, g in zip(own, tape.gradient(inference_total, own), strict=True)}
            gradients = [replaced.get(id(v), g) for v, g in zip(self.trainable_variables, gradients, strict=True)]
        return trace, loss, gradients

    def total_loss(self, loss):
        """The loss with regularisers, scaled for mixed precision and for the sum over replicas."""
        return self.optimizer.scale_loss(loss + sum(self.losses)) / self.distribute_strategy.num_replicas_in_sync

    def test_step(self, batch):
        # The latents' seed does not depend on the step, so that two evaluations of the same weights agree.
        inputs = self.preprocess(batch, None, training=False)
        trace = self(inputs, training=False, seed=tf.constant([23, self.seed], tf.int32))
        loss = tf.reduce_mean(trace.penalty - self.objective(trace))
        return self.update_metrics(trace, loss, tf.constant(True))  # what is not finite must show

    def predict_step(self, batch):
        return self.reconstruct(**self.preprocess(batch, None, training=False))

    def update_metrics(self, trace, loss, finite):
        """Update one mean per term with the finite steps, and return the logs of all."""
        weight = tf.cast(finite, tf.float32) * tf.cast(tf.shape(trace.penalty)[0], tf.float32)
        self.skipped.update_state(tf.cast(~finite, tf.float32))
        for term, value in {"loss": loss, **self.terms(trace)}.items():
            self.term_metrics[term].update_state(tf.where(finite, tf.reduce_mean(value), 0.0), weight)
        for name, metric in self.unit_metrics.items():
            if name in trace.kl_per_unit:
                metric.update_state(tf.where(finite, tf.reduce_mean(trace.kl_per_unit[name], 0), 0.0), weight)
        return self.get_metrics_result()

    def terms(self, trace):
        """Name -> [B] of what `fit` prints: elbo = reconstruction - kl to rounding, whatever bound is trained."""
        if not self.has_bound:
            return {"reconstruction": trace.reconstruction}
        kl = trace.kl
        each = {f"kl_{name}": value for name, value in kl.items()} if len(kl) > 1 else {}
        total = sum(kl.values()) - trace.entropy
        return {
            "elbo": trace.reconstruction - total,
            "reconstruction": trace.reconstruction,
            "kl": total,
            **each,
        }

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        return {name: value for name, value in logs.items() if value is not None}

    def fit(self, x=None, *args, callbacks=None, **kwargs):
        """Keras' `fit`, which first checks the data and stops with a clear message when updates stay non-finite."""
        if self._compile_loss is not None:
            raise InvalidInput("the loss is the model's bound: set it with create(..., bound=...), not in compile")
        for data in (x, kwargs.get("validation_data")):
            if data is not None:
                check_dataset(data, self.data_spec)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # a data set brings its own order; Keras would warn
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(StopWhenNotFinite())
        else:
            callbacks = [*(callbacks or []), StopWhenNotFinite()]
        return super().fit(x, *args, callbacks=callbacks, **kwargs)

    def log_prob(self, x, num_samples=100, seed=None, **condition):
        """[B]: the importance-weighted estimate of log p(x | condition), nats. Burda et al. 2016, arXiv:1509.00519.

        x is scored as it is: binarise grey images first, as `zoo.evaluate` does, by
        `model.preprocess(x, None, training=False)["x"]`.
        """
        check_positive(num_samples=num_samples)
        return self(self.inputs(x=x, **condition), num_samples=num_samples, seed=as_seed(seed)).log_marginal

    def simulate(self, n, seed=None, mean=False, **condition):
        """({name: [n, D]}, [n, *data_shape]): draws of p(latents, x | condition), or the means of p(x | latents)."""
        check_positive(n=n)
        latent_seed, pixel_seed = tf.unstack(tf.random.split(as_seed(seed), 2))
        latents = self.draw_latents(n, latent_seed)
        likelihood = self.likelihood_given(latents, self.inputs(**condition))
        return latents, likelihood.mean() if mean else likelihood.sample(seed=pixel_seed)

    def adapt(self, dataset):
        """Set what the data alone determine, before training. Here nothing."""

    def serve_score(self, x, seed, **condition):
        """elbo and log_marginal [N] of `score_samples` draws, row by row: a row's numbers depend on its seed alone."""

        def row(fields):
            row_seed = fields.pop("seed")
            inputs = {name: value[None] for name, value in fields.items()}
            trace = self(inputs, num_samples=self.score_samples, seed=row_seed)
            return {"elbo": trace.elbo[0], "log_marginal": trace.log_marginal[0]}

        return tf.vectorized_map(row, {"x": x, "seed": tf.bitcast(seed, tf.int32), **condition})

    @property
    def endpoints(self):
        """Name -> (method, its inputs' names in `field_specs`): the signatures of an export; the first is the default.

        Methods take keyword tensors with a leading row axis and return a dict of tensors, row by row.
        """
        raise NotImplementedError
