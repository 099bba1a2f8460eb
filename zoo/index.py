"""What the zoo has, read from its source: names, descriptions, papers, arguments. TensorFlow is not imported for that.

Whatever is registered with a literal name is found: `@register("vae", "about", "paper")`, `register(...)(VAE)`, and
`@POSTERIORS.register("diagonal")`, which is described by the first line of its docstring.
"""

import ast
import functools
import pathlib
import re
from typing import NamedTuple

PACKAGE = pathlib.Path(__file__).parent
ROOMS = {
    "models": "models",
    "encoders": "networks",
    "decoders": "networks",
    "posteriors": "posteriors",
    "priors": "priors",
    "likelihoods": "likelihoods",
    "bounds": "objectives",
    "penalties": "objectives",
    "schedules": "training",
    "pictures": "pictures",
}
DEFINITIONS = (ast.ClassDef, ast.FunctionDef)
PARTS = tuple(kind for kind in ROOMS if kind not in ("models", "pictures"))


class Entry(NamedTuple):
    """One registered thing.

    `target` is the class or function that it names, `defaults` what sets the name apart from others of the target.
    """

    kind: str
    name: str
    about: str
    paper: str
    defaults: dict
    target: str
    module: ast.Module


def entries(kind, package=PACKAGE):
    """What is registered in the room of a kind, by name: [Entry]."""
    modules = [parsed(path) for path, source in sources(package / ROOMS[kind]).items() if "register(" in source]
    found = [entry for module in modules for node in module.body for entry in registered(node, module)]
    return sorted((entry for entry in found if entry.kind == kind), key=lambda entry: entry.name)


@functools.cache
def sources(folder):
    """Path -> text of every module in a folder."""
    return {path: path.read_text() for path in sorted(folder.rglob("*.py"))}


@functools.cache
def parsed(path):
    """The syntax tree of a module."""
    return ast.parse(path.read_text())


def registered(node, module):
    """The entries that a statement makes: a decorated class or function, or `register(...)(target)`."""
    if isinstance(node, DEFINITIONS):
        text = ast.get_docstring(node) or ""
        calls, target = node.decorator_list, node.name
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Call):
        text = ast.get_docstring(module) or ""
        calls, target = [node.value.func], ast.unparse(node.value.args[0])
    else:
        return
    for call in calls:
        if kind := registry_of(call):
            name, about, paper = [*(value(argument, module) for argument in call.args), "", ""][:3]
            own = call.keywords if kind == "models" else []  # those of other registries say what a part needs
            defaults = {keyword.arg: value(keyword.value, module) for keyword in own}
            yield Entry(kind, name, about or text.partition("\n")[0], paper, defaults, target, module)


def registry_of(call):
    """The kind of thing that a call registers under a literal name, or None."""
    if not (isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)):
        return None
    function = call.func
    if isinstance(function, ast.Name) and function.id == "register":
        return "models"
    if isinstance(function, ast.Attribute) and function.attr == "register" and isinstance(function.value, ast.Name):
        return function.value.id.lower()
    return None


def value(node, module):
    """What an expression stands for where it is plain, through a constant of its module; else its text."""
    if isinstance(node, ast.Name):
        name = node.id
        for statement in module.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
                node = statement.value
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def definition(name, package=PACKAGE, module=None):
    """(a class or function of the module or else of the package, its module), or None."""
    for node in module.body if module else []:
        if isinstance(node, DEFINITIONS) and node.name == name:
            return node, module
    for path, source in sources(package).items():
        if name and f" {name}" in source and re.search(rf"^(?:class|def) {name}\b", source, re.MULTILINE):
            return next((n, parsed(path)) for n in parsed(path).body if isinstance(n, DEFINITIONS) and n.name == name)
    return None


def family(name, package=PACKAGE, module=None):
    """A class or function and the classes it inherits from, nearest first: [(node, module)]."""
    found = definition(name, package, module)
    if not found:
        return []
    names = [ast.unparse(base).rpartition(".")[2] for base in getattr(found[0], "bases", [])]
    bases = [part for base in names for part in family(base, package, module if base != name else None)]
    return [found, *(part for i, part in enumerate(bases) if part not in bases[i + 1 :])]


def arguments(entry, package=PACKAGE):
    """Name -> (default, what it is) of what an entry takes; defaults are its own, descriptions also of base classes."""
    defaults, texts = {}, {}
    for node, module in family(entry.target, package, entry.module):
        texts = {**described(ast.get_docstring(node) or ""), **texts}
        defaults |= {name: value for name, value in own_arguments(node, module).items() if name not in defaults}
    defaults.pop("name", None)  # Keras' own
    return {name: (default, texts.get(name, "")) for name, default in {**defaults, **entry.defaults}.items()}


def own_arguments(node, module):
    """Name -> default of the arguments that have one, of a function, a class's constructor or a dataclass."""
    functions = [node] if isinstance(node, ast.FunctionDef) else node.body
    for function in functions:
        if function is node or getattr(function, "name", None) == "__init__":
            names = [argument.arg for argument in function.args.args]
            given = function.args.defaults
            return {n: value(d, module) for n, d in zip(names[len(names) - len(given) :], given, strict=True)}
    fields = [statement for statement in functions if isinstance(statement, ast.AnnAssign) and statement.value]
    return {field.target.id: value(field.value, module) for field in fields}


def described(docstring):
    """Name -> text of the entries under "Args:" or "Attributes:" of a docstring."""
    section = re.search(r"^(?:Args|Attributes):\n((?:(?: .*)?\n?)*)", docstring, re.MULTILINE)
    found = {}
    for item in re.split(r"\n(?=    \S)", section[1].rstrip()) if section else []:
        names, _, text = item.strip().partition(": ")
        found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def recipe():
    """The keys of a recipe as an entry, whose `arguments` they are."""
    node, module = definition("Recipe")
    return Entry("recipes", "recipe", ast.get_docstring(node).partition("\n")[0], "", {}, node.name, module)


def text(entry, package=PACKAGE):
    """What the docstring of an entry says, without the arguments; of a model its module's before it."""
    found = definition(entry.target, package, entry.module)
    said = re.split(r"\n\n(?:Args|Attributes|Raises):\n", found and ast.get_docstring(found[0]) or "")[0]
    above = [ast.get_docstring(entry.module) or ""] if entry.kind == "models" else []
    return "\n\n".join([*above, said])
