"""What can be refused before TensorFlow is imported: unknown names, settings and sources, pictures a model lacks."""

import numbers

from zoo import index, plugins
from zoo.data.sources.open import check_taken
from zoo.errors import InvalidInput, choose
from zoo.pretrained import locate, read_card
from zoo.registry import WANTED, check_arguments

OF_CLASSES = ("levels", "steps", "prior")  # what all models of a class offer, or none


def check_model(name):
    """The `index.Entry` of a model kind; None of one of another package.

    Raises:
        InvalidInput: there is none of that name.
    """
    known = {entry.name: entry for entry in index.entries("models")}
    return choose("model", name, {**dict.fromkeys(plugins.known()), **known})


def check_config(name, config):
    """Raise `InvalidInput` for arguments that a model kind does not take, and for parts that do not exist."""
    entry = check_model(name)
    if entry is None:
        return
    check_arguments(f"model {name!r}", config, entry.arguments)
    for key, value in config.items():
        if f"{key}s" in index.PARTS:
            spec = {"name": value} if isinstance(value, str) else value
            if isinstance(spec, dict) and "name" in spec:
                check_part(key, dict(spec))


def check_part(kind, spec):
    """Raise `InvalidInput` unless a part of a model is one of its kind, with arguments that it takes."""
    name = spec.pop("name")
    part = choose(kind, name, {entry.name: entry for entry in index.entries(f"{kind}s")})
    check_arguments(f"{kind} {name!r}", spec, part.arguments)


def check_recipe(recipe):
    """Raise `InvalidInput` for settings that a recipe does not have, and for words in place of numbers."""
    known = index.entries("recipes")[0].arguments
    check_arguments("a recipe", recipe, known)
    for key, value in recipe.items():
        default = known[key][0]
        if isinstance(default, numbers.Number) and not isinstance(value, (numbers.Number, type(default))):
            raise InvalidInput(f"{key} of a recipe is {type(default).__name__}, got {value!r}")


def check_source(source):
    """Raise `InvalidInput` for a data set that is unknown, a path where nothing is, and a file that is no data."""
    if source is not None:
        check_taken(str(source))


def check_picture(name, kind):
    """Raise `InvalidInput` for a kind of picture that there is not, or that needs what a model is known to lack."""
    known = index.content()
    picture = choose("kind of picture", kind, known["needs"])
    card = read_card(locate(name))
    if card["model"] not in known["offers"]:  # of another package
        return
    default, _ = check_model(card["model"]).arguments.get("latent_dim", (None, ""))
    lacking = {*OF_CLASSES}.difference(known["offers"][card["model"]])
    lacking |= {"one_latent"} if "levels" not in lacking else set()
    lacking |= {"plane"} if card["config"].get("latent_dim", default) not in (2, None) else set()
    missing = [WANTED[need] for need in picture["needs"] if need in lacking]
    if missing:
        said = f"a picture of kind {kind} needs {' and '.join(missing)}; this {card['model']} has none"
        raise InvalidInput(": ".join(filter(None, [said, picture["instead"]])))
