"""Pages of the site that are made of the source, the cards and the benchmarks: {path in the site: Markdown}."""

import ast
import importlib
import re

import typer
from typer.cli import get_docs_for_click

import zoo
from tools.gallery import model_gallery, picture_of
from tools.leaderboard import leaderboard
from tools.tables import RESULTS, ROOT, markdown, pretrained_table
from tools.tutorials import tutorials
from zoo import index, pretrained
from zoo.address import HOME
from zoo.cli import app
from zoo.pretrained.page import CAPTIONS, page

ARGUMENTS = {  # of `zoo.create` and of recipes -> what takes the things of a kind
    "encoders": 'zoo.create("vae", encoder={})',
    "decoders": 'zoo.create("vae", decoder={})',
    "posteriors": 'zoo.create("vae", posterior={})',
    "priors": 'zoo.create("vae", prior={})',
    "likelihoods": 'zoo.create("vae", likelihood={})',
    "bounds": 'zoo.create("vae", bound={}, num_samples=5)',
    "penalties": 'zoo.create("vae", penalties=[{}])',
    "schedules": "zoo.training.Recipe(kl={})",
    "pictures": "zoo plot NAME --kind {}",
}
BASES = (  # what variants and parts of one's own inherit from
    "zoo.models.base.LatentVariableModel",
    "zoo.models.verbs.Verbs",
    "zoo.objectives.trace.Trace",
    "zoo.objectives.trace.Pass",
    "zoo.objectives.penalties.Penalty",
    "zoo.posteriors.base.PosteriorHead",
    "zoo.priors.Prior",
    "zoo.bijectors.Flow",
)
ROOMS = ("data", "training", "evaluation", "export", "pictures", "distributions", "bijectors")


def generated():
    """All pages that nobody writes by hand."""
    pages = {"models/index.md": f"# Models\n\n{model_gallery()}\n", **tutorials()[0]}
    pages |= {f"models/{entry.name}.md": model_page(entry) for entry in index.entries("models")}
    pages |= {f"pretrained/{name}.md": card_page(name) for name in pretrained.list_pretrained()}
    pages |= {"leaderboard.md": leaderboard("pretrained/{}.md")}
    pages |= {f"parts/{kind}.md": kind_page(kind) for kind in ARGUMENTS}
    pages |= {"api/index.md": api_page("zoo", zoo.__doc__, public("zoo"))}
    pages |= {"api/bases.md": api_page("Base classes", "What models and parts of your own inherit from.", named(BASES))}
    for room in ROOMS:
        pages[f"api/{room}.md"] = api_page(
            f"zoo.{room}", docstring_of(f"zoo/{room}/__init__.py"), public(f"zoo.{room}")
        )
    pages["commands.md"] = command_page(typer.main.get_command(app))
    return pages


def command_page(command):
    """All commands with their options; in the list of them each with its whole first sentence."""
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="zoo", title="Commands")
    for name, one in command.commands.items():
        sentence = " ".join(one.help.partition("Example:")[0].partition("\n\n")[0].split())
        text = re.sub(rf"^\* `{name}`: .*$", lambda _, s=sentence, n=name: f"* `{n}`: {s}", text, flags=re.MULTILINE)
    return text


def pictures():
    """{path in the site: file} of what the pages show."""
    homes = {f"saved_models/{name}": pretrained.locate(name) for name in pretrained.list_pretrained()}
    played = {f"{to}/{file.name}": file for to, home in homes.items() for file in home.iterdir() if playable(file)}
    return {**played, **{f"benchmarks/results/{file.name}": file for file in RESULTS.glob("*.png")}}


def playable(file):
    return file.suffix in (".png", ".mid", ".wav")


def model_page(entry):
    """One kind of model: its mathematics, arguments, pretrained models and a picture of each."""
    lines = [f"# {entry.name}", "", f"*{entry.about}*" + (f" · {entry.paper}" if entry.paper else ""), ""]
    lines += [prose(entry.text), "", "## Train, use, export", "", "```python", *example(entry), "```", ""]
    parts = {f"{argument}s": name for argument, name in entry.defaults.items() if f"{argument}s" in ARGUMENTS}
    for kind, name in parts.items():
        name = name["name"] if isinstance(name, dict) else name
        lines += [f"Its part among the {kind}: [{name}](../parts/{kind}.md#{name}).", ""]
    lines += ["## Arguments", "", *argument_table(entry), ""]
    rows = pretrained_table("../pretrained/{}.md", entry.name)
    names = [name for name in pretrained.list_pretrained() if pretrained.read_card(name)["model"] == entry.name]
    if names:
        lines += ["## Pretrained", "", *rows, ""]
    for name in names:
        if shown := picture_of(name):
            kind = shown.removesuffix(".png")
            lines += [f"![{kind} of {name}](../saved_models/{name}/{shown})", "", f"*{name}. {CAPTIONS[kind]}*", ""]
    path = f"{entry.module.replace('.', '/')}.py"
    return "\n".join([*lines, f"Source: [{path}]({HOME}/blob/main/{path})", ""])


def example(entry):
    """The lines of a program that trains a model of a kind on small data, uses and exports it."""
    arguments, name = entry.arguments, f"my_{entry.name}"
    steps, labelled = arguments["data_shape"][0][0] is None, "num_classes" in arguments
    data, size = ("jsb_chorales", 8) if steps else ("digits", 100)
    shape = "" if steps else ", data_shape=(8, 8, 1)"
    steered = ", y=y" if entry.name == "conditional_vae" else ""
    fields = 'x, y = arrays["x"], arrays["y"]' if steered else 'x = arrays["x"]'
    lines = [
        "import zoo",
        "from zoo.data import load_arrays",
        "",
        f'train = zoo.load_dataset("{data}", batch_size={size}{", labels=True" if labelled else ""})',
        f'model = zoo.create("{entry.name}"{shape})',
        'model.compile("adam")',
        "model.fit(train, epochs=5)",
        "",
        f'arrays = load_arrays("{data}", "test", limit=16{", labels=True" if steered else ""})',
        fields,
    ]
    without_latents = entry.name == "rnn_baseline"
    lines += (
        [] if without_latents else [f"model.encode(x{steered})  # where {'they' if steps else 'x'} lie in the latent"]
    )
    lines += [f"model.reconstruct(x{steered})"]
    lines += (
        [] if entry.name == "autoencoder" else [f"model.sample(16, seed=0{steered}{', length=30' if steps else ''})"]
    )
    lines += [] if entry.name == "autoencoder" else [f"model.log_prob(x, num_samples=50{steered})  # nats"]
    return [
        *lines,
        "",
        f'zoo.save(model, "{name}")  # zoo.load("{name}") gives it back',
        f'zoo.export_saved_model(model, "serving/{name}")  # for TF Serving',
        f'zoo.export_tflite(model, "{name}.tflite")  # for phones',
    ]


def card_page(name):
    """A pretrained model's page, with its pictures and sounds where the site has them."""
    home = pretrained.locate(name)
    text = page(home, pretrained.read_card(name))
    return re.sub(r"\]\(([\w.-]+)\)", rf"](../saved_models/{name}/\1)", text)


def kind_page(kind):
    """All that is registered of a kind, with arguments."""
    lines = [f"# {kind.capitalize()}", ""]
    for entry in index.entries(kind):
        example = ARGUMENTS[kind].format(entry.name if kind == "pictures" else f'"{entry.name}"')
        lines += [f"## {entry.name}", "", prose(entry.text), "", f"`{example}`", "", *argument_table(entry), ""]
    return "\n".join(lines)


def argument_table(entry):
    """The arguments of an entry with their defaults."""
    rows = [[f"`{k}`", f"`{default!r}`", escaped(text)] for k, (default, text) in entry.arguments.items()]
    return markdown(["argument", "default", "what"], rows) if rows else []


def api_page(title, about, members):
    """Names -> where they are defined, as mkdocstrings reads them."""
    lines = [f"# {title}", "", about, ""]
    for name, path in members.items():
        lines += [f"::: {path}", "    options:", f"      heading: {name}", "      heading_level: 2", ""]
    return "\n".join(lines)


def public(package):
    """{name: dotted path} of the functions and classes that a package offers."""
    offered = {name: getattr(importlib.import_module(package), name) for name in homes(package)}
    own = [name for name, thing in offered.items() if getattr(thing, "__name__", None) == name]
    return {f"{package}.{name}": homes(package)[name] for name in own}


def homes(package):
    """Name -> dotted path of what a package offers, through the packages that offer it in turn."""
    init = ROOT / package.replace(".", "/") / "__init__.py"
    said = [node for node in ast.parse(init.read_text()).body if isinstance(node, ast.Assign)] if init.exists() else []
    for node in said:
        if ast.unparse(node.targets[0]) == "_HOME":
            pairs = ast.literal_eval(node.value).items()
            return {name: homes(home).get(name, f"{home}.{name}") for name, home in pairs}
    offered = [node.value for node in said if ast.unparse(node.targets[0]) == "__all__"]
    return {name: f"{package}.{name}" for value in offered for name in ast.literal_eval(value)}


def named(paths):
    return {path: path for path in paths}


def docstring_of(path):
    """What a module says of itself, as Markdown."""
    return prose(ast.get_docstring(ast.parse((ROOT / path).read_text())))


def source(path, name, start=""):
    """A function or class of the source as code, without its docstring; or the statement in it that begins so."""
    node = found(path, name)
    lines = (ROOT / path).read_text().splitlines()
    if start:
        inside = (child for child in ast.walk(node) if isinstance(child, ast.stmt))
        node = next(child for child in inside if lines[child.lineno - 1].strip().startswith(start))
    said = node.body[0] if not start and ast.get_docstring(node) else None
    hidden = range(said.lineno, said.end_lineno + 1) if said else ()
    shown = [lines[number - 1] for number in range(node.lineno, node.end_lineno + 1) if number not in hidden]
    indent = len(shown[0]) - len(shown[0].lstrip())
    return "\n".join([f'```python title="{path}, {name}"', *(line[indent:] for line in shown), "```"])


def found(path, name):
    """The syntax tree of a function or class of a file, by its dotted name."""
    node = ast.parse((ROOT / path).read_text())
    for part in name.split("."):
        node = next(child for child in node.body if getattr(child, "name", None) == part)
    return node


def prose(docstring):
    """A docstring as Markdown, with links to papers."""
    text = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", docstring)
    return re.sub(r"doi:(10\.\S+?)(?=\.?(?:\s|$))", r"[doi:\1](https://doi.org/\1)", text)


def escaped(text):
    """A sentence in which nothing but code in backticks is Markdown."""
    return re.sub(r"(?<!`)([*_<\[\]])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", text)
