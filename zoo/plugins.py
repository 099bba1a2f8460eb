"""Models of other packages, by entry points of the group `zoo.models`: looked up by name, imported when asked for.

[project.entry-points."zoo.models"]
my_vae = "my_package.my_vae"            the model's name = the module whose import registers it
"""

import functools
import importlib.metadata
import sys

from zoo import index
from zoo.errors import InvalidInput, reason

GROUP = "zoo.models"


def entry_points():
    """Model name -> the entry points of that name; one, unless packages disagree."""
    found = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


known = functools.cache(entry_points)  # for names that the registry has: it is asked for often


def register(name, models):
    """Import what registers the model `name`, where the registry `models` lacks it and a package has it.

    Raises:
        InvalidInput: two packages have it, or a package and the zoo; its import fails, or registers no such model.
    """
    points = (known() if name in models else entry_points()).get(name, [])
    if not points:
        return
    owners = [*(["zoo"] * any(entry.name == name for entry in index.entries("models"))), *map(owner, points)]
    if len(owners) > 1:
        raise InvalidInput(f"model {name!r} is in {' and in '.join(owners)}: uninstall one, or rename its model")
    if name in models:
        return
    try:
        points[0].load()
    except Exception as error:
        said = f"{type(error).__name__}: {reason(error)}"
        raise InvalidInput(
            f"model {name!r} of {owners[0]} cannot be imported from {points[0].value}: {said}"
        ) from error
    if name not in models:
        raise InvalidInput(f"{points[0].value} of {owners[0]} registers no model {name!r}: call its entry point as it")


def owner(point):
    """The name of the package that an entry point is of."""
    return point.dist.name if point.dist else point.value


def entries():
    """The models of other packages as `index.entries` has those of the zoo; their own words need an import."""
    points = {name: found[0] for name, found in sorted(entry_points().items())}
    return [index.Entry("models", name, f"a model of {owner(point)}") for name, point in points.items()]


def described(name, models, words):
    """The entry of a model of another package, which is imported into the registry `models` for that."""
    register(name, models)
    cls, defaults = models[name]
    module = sys.modules[entry_points()[name][0].module]
    return index.described("models", name, cls, *words[name], defaults, module)
