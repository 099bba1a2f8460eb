"""The contract of every model: what a member of the family says, and what follows from it."""

import inspect
import numbers
import random
import threading

import keras
import tensorflow as tf

from zoo.distributions import location
from zoo.errors import InvalidInput, check_positive
from zoo.lazy import deferred
from zoo.models import saving, weights
from zoo.models.guards import check_draws, check_keras
from zoo.models.inputs import Inputs
from zoo.models.step import Step
from zoo.models.verbs import Verbs
from zoo.objectives import bounds
from zoo.randomness import as_seed, seeded
from zoo.registry import PENALTIES, WANTED, check_classes
from zoo.settings import python

PRESETS = "zoo.pretrained.presets"
BINARIZE = (None, "dynamic", "fixed")


class LatentVariableModel(Verbs, Inputs, Step, keras.Model):
    """A latent-variable model p(x, z) with an inference model q(z | x), trained by a bound on log p(x).

    A member of the family says what it is in `data_spec`, `run`, `log_joint`, `posteriors`, `draw` and `likelihoods`;
    training, evaluation, export and pictures ask nothing else. Every argument of a subclass is a plain number, string,
    tuple, dict or a serialisable Keras layer, so that `get_config` is written once, here.

    Args:
        bound: name of a bound (`zoo.objectives.bounds`), or a dict with its arguments, as
            `{"name": "free_bits", "nats": 1.0}`.
        num_samples: draws of the latents per example in training.
        beta: weight of the KL; a variable, saved with the model and moved by schedules (`zoo.training.schedules`).
        penalties: costs beside the bound, as `[{"name": "mmd", "weight": 10.0}]` (`zoo.objectives.penalties`).
        binarize: None, "dynamic" (pixels are drawn as Bernoulli(value) afresh in each training step, and once and for
            all, keyed by the image itself, everywhere else) or "fixed" (once and for all in training too).
        masked: whether values of the data may be missing: a batch may then have a field "mask", 1 where a value is
            observed. Networks see 0 in place of what is missing, and the likelihood is that of what is observed
            (Mattei & Frellsen 2019, arXiv:1812.02633).
        seed: of the weights' and the training steps' random numbers; None draws one, which `model.seed` and the
            config then hold, from Python's generator, which `keras.utils.set_random_seed` governs.

    Raises:
        InvalidInput: (a `ValueError`) any argument out of range.
    """

    supports_jit = True
    latent_names = ("z",)
    score_samples = 64
    capabilities = frozenset({"bound", "prior", "scale", "decoder"})  # what every member of the class offers
    cpu_endpoints = ()  # those with operators that the LiteRT GPU path refuses
    rows_apart = True  # whether training, too, makes of a row what it would without the others (`zoo.models.sharing`)
    card = None  # the content of the card.json of a model that `zoo.load` made
    retired = {}  # arguments that configs written earlier may hold -> what takes their place

    def __new__(cls, *args, **kwargs):
        model = super().__new__(cls, *args, **kwargs)
        given = inspect.signature(cls.__init__).bind(None, *args, **kwargs).arguments
        given.pop("self", None)
        object.__setattr__(model, "_arguments", python({**given.pop("kwargs", {}), **given}))
        for name, value in (("graphs", {}), ("graphs_lock", threading.RLock())):  # which Keras is not to look at
            object.__setattr__(model, name, value)
        check_classes(model._arguments)
        return model

    def __init__(
        self, bound="elbo", num_samples=1, beta=1.0, penalties=(), binarize=None, masked=False, seed=None, name=None
    ):
        check_keras()
        super().__init__(name=name, autocast=False)  # layers cast what they see; data are scored as they are
        check_positive(num_samples=num_samples)
        if binarize not in BINARIZE:
            raise InvalidInput(f"binarize is one of {', '.join(map(repr, BINARIZE))}, got {binarize!r}")
        if not beta >= 0:
            raise InvalidInput(f"beta must not be negative, got {beta!r}")
        if seed is None:
            self._arguments["seed"] = seed = random.randrange(2**31)
        if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**31:
            raise InvalidInput(f"seed must be a whole number from 0 to 2**31 - 1, got {seed!r}")
        self.bound = bounds.get(bound, num_samples)
        self.num_samples, self.binarize, self.masked, self.seed = num_samples, binarize, masked, seed
        start = keras.initializers.Constant(beta)
        self.beta = self.add_weight(name="beta", shape=(), initializer=start, trainable=False)
        self.steps = self.add_weight(name="steps", shape=(), dtype="int32", initializer="zeros", trainable=False)
        if not isinstance(penalties, (list, tuple)):
            raise InvalidInput(f"penalties is a list of names or dicts, got {penalties!r}")
        with seeded(seed + 3):
            self.penalties = [*self.own_penalties(), *(PENALTIES.create(penalty) for penalty in penalties)]
        names = [penalty.name for penalty in self.penalties]
        if len(set(names)) < len(names):
            raise InvalidInput(f"every penalty has a name of its own, got {', '.join(names)}")
        self.make_metrics()

    def own_penalties(self):
        """The penalties that belong to the model itself."""
        return []

    # What a member of the family says.

    @property
    def data_spec(self):
        """Name -> `FieldSpec` of every field of a batch, by role."""
        raise NotImplementedError

    @property
    def latent_spec(self):
        """Name -> `FieldSpec` of every latent that the data fields are decoded from."""
        raise NotImplementedError

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        """The `Pass` of a batch; `num_samples=None` takes the model's own.

        Args:
            inputs: dict of fields.
            seed: None, an int or int32 [2].
            needs: what a bound asks of the trace beyond the terms: "path" for its `base` and `path`, "resampling" for
                its `blocks`.
        """
        raise NotImplementedError

    def log_joint(self, latents, inputs):
        """({data field: log p(field | latents)}, {name: log p(latent)}), [S, C, B], of latents [S, C, B, ...]."""
        raise NotImplementedError

    def posteriors(self, inputs):
        """Name -> q(latent | inputs, the locations of the latents it depends on): batch [B]."""
        raise NotImplementedError

    def draw(self, seeds, condition, temperature=1.0):
        """Name -> [N, ...]: a draw of every latent from the prior, each row by its own seed, seeds int32 [N, 2].

        Scales of the prior are multiplied by the temperature; a model whose prior has none leaves the argument out.
        """
        raise NotImplementedError

    def likelihoods(self, latents, condition):
        """Data field -> p(field | latents, condition), of latents [..., D] by name: batch [...]."""
        raise NotImplementedError

    def locations(self, inputs):
        """Name -> [B, ...]: the location of each latent's posterior."""
        return {name: location(posterior) for name, posterior in self.posteriors(inputs).items()}

    def between(self, start, stop, place):
        """Latents by name, at `place` in [0, 1] on the way from `start` to `stop`."""
        return {name: start[name] + place * (stop[name] - start[name]) for name in start}

    @property
    def conditions(self):
        """The names of the fields that encoding and decoding depend on besides the data."""
        return self.fields_of("condition", "label")

    @property
    def inference_layers(self):
        """The layers whose weights belong to q(z | x) alone; empty where it shares them with the generative model."""
        return []

    @property
    def discrete(self):
        """Whether log p(x | z) is a log probability, so that bits per dimension have a meaning."""
        raise NotImplementedError

    @property
    def scalars(self):
        """Name -> scalar variable that a schedule may move."""
        own = {f"{one.name}.{name}": variable for one in self.penalties for name, variable in one.scalars.items()}
        return {"beta": self.beta, **own}

    @property
    def own_weights(self):
        """The weights of the model itself, without those of penalties and adversaries."""
        others = {id(w) for penalty in self.penalties for w in penalty.weights}
        return [w for w in self.weights if id(w) not in others]

    def take(self, model):
        """Take over the networks of another kind of model, to start from.

        Raises:
            InvalidInput: where there is nothing to take.
        """
        raise InvalidInput(f"a {self.registry_name} cannot start from a {model.registry_name}")

    def adapt(self, dataset):
        """Set what the data alone determine, before training. Here nothing."""

    # What it offers, and what bounds, penalties, metrics, pictures and endpoints need.

    @property
    def offers(self):
        """What the model can give, as a set of words.

        "bound" on log p(x), "prior" (latents can be drawn), "scale" of the posterior, "classifier" q(y | x),
        "label_decoder" (decoding takes a label), "levels", "one_latent", "plane" (one latent of two units), "discrete"
        (log p(x | z) is a log probability), "path" (base draws of one level), "inference" (weights of q alone),
        "trajectories" (a Hamiltonian posterior), "decoder" (latents alone say what x is), "steps" (x and the latents
        have a time axis) and "resampling" (draws of the latents can be resampled between the steps).
        """
        latents = list(self.latent_spec.values())
        shown = {
            "discrete": self.discrete,
            "one_latent": len(self.latent_names) == 1,
            "plane": len(latents) == 1 and latents[0].shape == (2,),
            "label_decoder": bool(self.conditions),
            "inference": bool(self.inference_layers),
        }
        found = self.capabilities | {name for name, there in shown.items() if there}
        return found if self.inference_layers else found - {"path"}

    def require(self, thing, needs):
        """Raise `InvalidInput` unless the model offers all that `thing` needs."""
        missing = [WANTED[need] for need in needs if need not in self.offers]
        if missing:
            raise InvalidInput(f"{thing} needs {' and '.join(missing)}; this {self.registry_name} has none")

    # Arguments and building

    @classmethod
    def argument_defaults(cls):
        """Name -> default of the constructor's arguments, base classes included."""
        defaults = {}
        for base in cls.__mro__[: cls.__mro__.index(LatentVariableModel) + 1]:
            for parameter in inspect.signature(base.__init__).parameters.values():
                if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                    defaults.setdefault(parameter.name, parameter.default)
        return {name: default for name, default in defaults.items() if name != "self"}

    @classmethod
    def argument_names(cls):
        """The constructor's argument names, base classes included."""
        return list(cls.argument_defaults())

    def get_config(self):
        return {name: plain(value) for name, value in self._arguments.items()}

    @classmethod
    def from_config(cls, config):
        config = {"seed": 0, **config}  # as it was when a config held no seed
        model = cls(**{name: value for name, value in config.items() if name not in cls.retired})
        model.build()
        return model

    def build(self, input_shape=None):
        """Create every weight, from `data_spec` alone."""
        if self.built:
            return
        self.require(self.bound.func.__name__, self.bound.func.needs)
        for penalty in self.penalties:
            self.require(f"penalty {penalty.name!r}", penalty.needs)
        self.built = True
        self.tally.build(len(self.batch_spec))
        p = self.call(self.fake_batch(2), 1, seed=0, needs=())  # as a plain function, whose errors Keras does not wrap
        for penalty in self.penalties:
            penalty(p, self)
        for name, metric in self.unit_metrics.items():
            if name in p.trace.kl_per_unit:
                metric.build(p.trace.kl_per_unit[name].shape[-1])

    def fake_batch(self, batch_size):
        """A batch that fits `data_spec`, sequences of two steps: lowest values (0 where unbounded; the first class)."""
        shapes = {name: [batch_size, *(size or 2 for size in spec.shape)] for name, spec in self.data_spec.items()}
        specs = self.data_spec.items()
        return {name: tf.fill(shapes[name], tf.cast(max(spec.minimum or 0, 0), spec.dtype)) for name, spec in specs}

    def __call__(self, inputs, *args, **kwargs):
        """As `call`, of eager inputs that were checked: here, for Keras would wrap the error."""
        inputs = dict(self.named(inputs))
        if not tf.executing_eagerly() or kwargs.get("needs") is not None:
            return super().__call__(self.observed(inputs), *args, **kwargs)
        inputs = self.inputs(**inputs)
        check_draws(self, inputs, kwargs.get("num_samples") or self.num_samples)
        return super().__call__(inputs, *args, **{**kwargs, "seed": as_seed(kwargs.get("seed"))})

    def call(self, inputs, num_samples=None, training=None, seed=None, needs=None):
        """The `Trace` of a batch, a dict of fields or the first alone; the `Pass` for a step, which has `needs`."""
        p = self.run(inputs, num_samples or self.num_samples, training, as_seed(seed), needs or ())
        return p.trace if needs is None else p

    # Files

    save_weights, load_weights, save = weights.save_weights, weights.load_weights, saving.save

    @classmethod
    def from_preset(cls, preset, load_weights=True, **config):
        """A pretrained model of this class, as KerasHub's models have it; `zoo.load` takes those of any class.

        Args:
            preset: what `zoo.load` takes: a pretrained name, a folder, "hf://user/name".
            load_weights: False gives the same model untrained.
            **config: over the arguments of the card.

        Raises:
            InvalidInput: as `zoo.load`; the model is none of this class.
        """
        return deferred(PRESETS, "from_preset")(cls, preset, load_weights, **config)

    def save_to_preset(self, preset_dir):
        """Write a folder that `from_preset` and `zoo.load` read, in place of the model that is in it."""
        deferred(PRESETS, "save_to_preset")(self, preset_dir)

    def summary(self, *args, expand_nested=True, **kwargs):
        """Keras' summary with the layers of the networks, and without the numbers of the optimiser."""
        compiled, self.compiled = self.compiled, False
        try:
            super().summary(*args, expand_nested=expand_nested, **kwargs)
        finally:
            self.compiled = compiled

    def export(self, filepath=None, format="tf_saved_model", **kwargs):
        """Keras' export asks for one input and one output; the zoo's has every endpoint of a model."""
        raise InvalidInput(f"this model is exported by {saving.EXPORTS}, not by model.export(format={format!r})")

    def quantize(self, *args, **kwargs):
        """Keras' quantised models cannot be saved."""
        raise InvalidInput(
            "a quantised model cannot be saved: zoo.export_tflite(..., dtype='float16') makes small files"
        )


def plain(value):
    """An argument as JSON can hold it: layers serialised, or as they were asked for; in lists too."""
    if isinstance(value, keras.layers.Layer):
        return getattr(value, "made_of", None) or keras.saving.serialize_keras_object(value)
    if isinstance(value, list) and any(isinstance(entry, keras.layers.Layer) for entry in value):
        return [plain(entry) for entry in value]
    return value
