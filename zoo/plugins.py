"""Models of other packages, by entry points of the group `zoo.models`: looked up by name, imported when asked for.

[project.entry-points."zoo.models"]
my_vae = "my_package.my_vae"            the model's name = the module whose import registers it
"""

import ast
import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import pathlib

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
    """The models of other packages as `index.entries` has those of the zoo, from their source, without an import."""
    return [described(name, points[0]) for name, points in sorted(entry_points().items())]


def described(name, point):
    """The `Entry` of an entry point; without words where its source cannot be read."""
    path = source(point.module)
    module = index.parsed(path) if path else ast.Module([], [])
    found = [entry for node in module.body for entry in index.registered(node, module) if entry.name == name]
    return next(iter(found), index.Entry("models", name, f"a model of {owner(point)}", "", {}, "", module))


def source(module):
    """The file of a module, found without importing it or its package; None where it has none that can be read."""
    first, *rest = module.split(".")
    spec = importlib.util.find_spec(first)
    for name in rest:
        spec = spec and importlib.machinery.PathFinder.find_spec(name, spec.submodule_search_locations or [])
    path = pathlib.Path(spec.origin) if spec and spec.origin else None
    try:
        return path if path and ast.parse(path.read_text()) else None
    except (OSError, ValueError, SyntaxError):
        return None
