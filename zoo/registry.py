"""Names for models and for the parts they are made of."""

import inspect
import sys

from zoo.errors import InvalidInput, choose, nearest
from zoo.settings import python


class Registry(dict):
    """Name -> factory of one kind of thing, built from a specification.

    A specification is a name, a dict `{"name": ..., argument: value, ...}`, or a finished object.
    """

    def __init__(self, kind, **marks):
        super().__init__()
        self.kind, self.marks = kind, marks

    def register(self, name, **marks):
        """Decorator that files a class or function under `name`; `marks` become its attributes.

        The mark `needs` lists what a model must offer (`LatentVariableModel.offers`).
        """

        def add(factory):
            if name in self:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            for mark, value in {**self.marks, **marks}.items():
                setattr(factory, mark, value)
            self[name] = factory
            return factory

        return add

    def create(self, spec, **context):
        """Build what `spec` describes; `context` is what the caller knows (shapes), the spec what the user chose."""
        if isinstance(spec, dict) and "class_name" in spec:
            return revive(spec)
        if not isinstance(spec, (str, dict)):
            return own_layer(self, spec)
        factory, arguments, accepted = self.parse(spec, context)
        made = factory(**python({k: v for k, v in context.items() if k in accepted}), **python(arguments))
        if hasattr(made, "get_config"):  # a layer, which another model may be given: Keras would track the dict
            object.__setattr__(made, "made_of", {"name": spec} if isinstance(spec, str) else spec)
        return made

    def parse(self, spec, context=()):
        """(factory, the user's arguments, the names it accepts) of a name or dict, checked."""
        arguments = {"name": spec} if isinstance(spec, str) else dict(spec)
        name = arguments.pop("name", None)
        factory = choose(self.kind, name, self)
        accepted = parameters_of(factory)
        check_arguments(f"{self.kind} {name!r}", arguments, [p for p in accepted if p not in context])
        for parameter in accepted.values():
            if parameter.default is parameter.empty and parameter.name not in (*arguments, *context):
                raise InvalidInput(f"{self.kind} {name!r} needs a value for {parameter.name!r}")
        return factory, arguments, accepted


def parameters_of(factory):
    """Name -> parameter of a function, or of a class's constructor, without those of any number.

    Of a class Python before 3.11.4 takes the signature of an inherited `__new__`, as Keras' layers have it.
    """
    found = inspect.signature(factory.__init__ if inspect.isclass(factory) else factory).parameters
    any_number = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: one for name, one in found.items() if name != "self" and one.kind not in any_number}


def revive(config):
    """A Keras layer from its serialised form.

    Raises:
        InvalidInput: see `check_classes`.
    """
    import keras

    check_classes(config)
    return keras.saving.deserialize_keras_object(config, safe_mode=True)


def own_layer(registry, layer):
    """A caller's finished layer, if it can be made again: of its serialised form, or one of the zoo's by its name."""
    import keras

    if not isinstance(layer, keras.layers.Layer):
        raise InvalidInput(f"a {registry.kind} is a name, a dict with one, or a Keras layer, got {layer!r}")
    if hasattr(layer, "made_of"):
        choose(registry.kind, layer.made_of["name"], registry)
        return layer
    try:
        serialised = keras.saving.serialize_keras_object(layer)
    except NotImplementedError as error:
        raise InvalidInput(f"a {type(layer).__name__} cannot be saved with a model: it needs get_config") from error
    check_classes(serialised)
    return layer


CODE = ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
READERS = ("StringLookup", "IntegerLookup", "TextVectorization")  # open the files that their config names
VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__")
ROOMS = ("layers", "models", "initializers", "regularizers", "constraints", "activations", "ops", "dtype_policies")
ROOMS = (*ROOMS, "quantizers", "optimizers", "losses", "metrics", "random")  # of Keras, whose classes may be named


def check_classes(config):
    """Raise `InvalidInput` unless every class and function in a serialised layer is Keras' own or registered.

    Of Keras' own those are refused that carry code, as a Lambda does, or that open files.
    """
    import keras

    ahead = [config]
    while ahead:
        config = ahead.pop()
        ahead += config if isinstance(config, (list, tuple)) else []
        if not isinstance(config, dict):
            continue
        ahead += config.values()
        name, registered = config.get("class_name"), config.get("registered_name")
        if name is None or (isinstance(name, str) and name in VALUES):
            continue
        if name in CODE:
            raise InvalidInput(f"a {name} layer carries code: write a Layer class of your own instead")
        if name in READERS:
            raise InvalidInput(f"a {name} layer opens files: leave it out of the model, before its encoder")
        if not isinstance(registered, str) or keras.saving.get_registered_object(registered) is None:
            check_own(config)


def check_own(config):
    """Raise `InvalidInput` unless what `config` names is a class of Keras' layers and the like, or an activation.

    It is looked up among the modules that Keras has imported: nothing is imported for it, and nothing is called.
    """
    import keras

    name, module = config["class_name"], str(config.get("module")).removeprefix("None")
    place = module.removeprefix("keras.src.").removeprefix("keras.").partition(".")[0]
    if name == "function":
        found = config.get("config")
        known = place == "activations" and isinstance(found, str) and found.isidentifier()
        known = known and callable(getattr(keras.activations, found, None))
    elif isinstance(name, str) and name.isidentifier() and not name.startswith("_"):
        homes = [sys.modules.get(module)] if module.startswith("keras") else [keras.layers, keras] if not module else []
        allowed = place in ROOMS or module in ("", "keras")
        known = allowed and any(inspect.isclass(getattr(home, name, None)) for home in homes)
    else:
        known = False
    if not known:
        raise InvalidInput(f"{name!r} is not registered: decorate it with keras.saving.register_keras_serializable")


def check_arguments(owner, arguments, accepted):
    """Raise `InvalidInput` for an argument that `owner` does not take."""
    for argument in arguments:
        if argument not in accepted:
            raise InvalidInput(f"{owner} takes no argument {argument!r}; {nearest(argument, accepted)}")


MODELS = Registry("model")
ENCODERS = Registry("encoder")
DECODERS = Registry("decoder")
POSTERIORS = Registry("posterior")
PRIORS = Registry("prior")
LIKELIHOODS = Registry("likelihood")
BOUNDS = Registry("bound", needs=(), for_inference=None)
PENALTIES = Registry("penalty")
METRICS = Registry("metric", needs=(), measure=None, higher_is_better=False)
PICTURES = Registry("kind of picture", needs=(), instead=None)
# What a bound, penalty, metric or picture may need, in words.
WANTED = {
    "bound": "a bound on log p(x)",
    "prior": "a prior to draw from",
    "scale": "a posterior with a scale",
    "classifier": "a classifier q(y | x), as m1, m2 and m1_m2 have it",
    "label_decoder": "a decoder that takes labels, such as m2's",
    "levels": "several stochastic levels, such as lvae's",
    "one_latent": "a model with one latent",
    "plane": "a latent of two units",
    "discrete": "a likelihood that is a probability",
    "path": "one stochastic level whose posterior shares no weights with the generative model",
    "decoder": "a decoder of latents alone",
    "steps": "a model of sequences",
    "resampling": "steps between which latents can be resampled, such as vrnn's",
    "inference": "an inference model that shares no weights with the generative model",
    "trajectories": "a posterior of Hamiltonian trajectories",
}
WORDS = {}  # of a model's name: what it is, and who described it


def register(name, about, paper="", **defaults):
    """Decorator: file a model class under `name`.

    Args:
        about: what it is, in one line.
        paper: who described it.
        **defaults: the arguments that set the name apart from others of the class.
    """

    def add(cls):
        MODELS.register(name)((cls, defaults))
        WORDS[name] = about, paper
        if "registry_name" not in vars(cls):
            cls.registry_name = name
        return cls

    return add
