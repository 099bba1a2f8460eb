"""`zoo new`: a model of one's own, to start from."""

import importlib.util
import inspect
import keyword
import pathlib
import re
from typing import Annotated

import typer

from zoo.cli.app import app, import_tensorflow
from zoo.cli.checks import check_model
from zoo.errors import InvalidInput, OutputExists
from zoo.files import write_bytes
from zoo.pretrained import list_recipes

SENTENCES = ("prior", "posterior", "likelihood")  # of a model, each written as a method
MODEL = '''"""The {name}: say here in one line what it is.

{maths}

Say where it differs from its paper. Author & Author 2026, arXiv:0000.00000.
"""

import keras
from {module} import {base}
from zoo.registry import register


@register("{name}", "a variant of {start}", ""{defaults})
@keras.saving.register_keras_serializable("{package}")
class {cls}({base}):
    """A variant of `{start}`.

    Args:
        **kwargs: as `{base}`.
    """

    @classmethod
    def examples(cls):
        """Name -> arguments of a small model, for tests."""
        return super().examples()
{sentences}'''
SENTENCE = '''
    def {method}{signature}:
        """{about}"""
        return super().{method}({arguments})
'''
TEST = '''"""The {name}: what holds of every model, and what holds of this one."""

{keras}import numpy as np
import pytest
import zoo

from {path} import {cls}


@pytest.fixture(params={cls}.examples())
def model(request):
    return zoo.create("{name}", **{cls}.examples()[request.param])


def test_it_trains(model):
    model.compile("adam")
    losses = model.fit(model.fake_batch(8), epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_a_saved_model_is_the_same_model(model, tmp_path):
    zoo.save(model, tmp_path / "saved")
    again = zoo.load(tmp_path / "saved")
    assert type(again) is {cls}
    for expected, actual in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, actual)
'''
TRUTH = """

def test_the_probabilities_of_all_images_sum_to_one():
    example = next(iter({cls}.examples().values()))
    model = zoo.create("{name}", **{{**example, "data_shape": (2, 2, 1)}})
    images = np.array([[number >> bit & 1 for bit in range(4)] for number in range(16)], "float32")
    images = images.reshape(16, 2, 2, 1)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(np.repeat(images, range(1, 17), axis=0), epochs=30, batch_size=34, verbose=0)
    assert np.exp(model.log_prob(images, num_samples=5000)).sum() == pytest.approx(1, abs=0.02)
"""
PROJECT = """[project]
name = "{name}"
version = "0.1.0"
dependencies = ["vae-zoo"]

[project.entry-points."zoo.models"]
{name} = "{path}"

[tool.setuptools]
py-modules = ["{name}"]
"""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What the model is called: lower-case letters, digits and _.")],
    start: Annotated[str, typer.Option("--from", help="The model kind that it is a variant of.")] = "vae",
):
    """Write a model of your own and its test, to start from. Example: zoo new my_vae --from vae

    They come into this folder. Where it belongs to a package the model becomes a module of it.
    """
    path = module_path(name)
    check_name(name, path)
    check_model(start)
    import_tensorflow()
    from zoo.creation import model_class

    cls, defaults = model_class(start)
    words = {"name": name, "start": start, "path": path, "cls": class_name(name, cls.__name__)}
    files = {f"{name}.py": model_text(cls, defaults, words), f"test_{name}.py": test_of(cls, words)}
    if "." not in path and not any(pathlib.Path(file).exists() for file in ("pyproject.toml", "setup.py", "setup.cfg")):
        files["pyproject.toml"] = PROJECT.format(**words)
    for file in files:
        if pathlib.Path(file).exists():
            raise OutputExists(f"{file} is there already: choose another name, or move it away")
    for file, text in files.items():
        write_bytes(pathlib.Path(file), text.encode())
    typer.echo(f"wrote {', '.join(files)}; `pytest test_{name}.py` tests it")
    if "pyproject.toml" not in files:
        typer.echo(f'to your package add the entry point {name} = "{path}" of the group zoo.models; in pyproject.toml:')
        typer.echo(f'\n[project.entry-points."zoo.models"]\n{name} = "{path}"\n')
    typer.echo(f"after `pip install -e .` every command takes it: zoo train {name}, zoo.create({name!r})")


def check_name(name, path):
    """Raise `InvalidInput` unless a model and its module can be called so."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        near = re.sub(r"\W+|^(?=\d)", "_", name.lower()).strip("_")
        hint = f"; did you mean {near}?" if re.fullmatch(r"[a-z][a-z0-9_]*", near) and near != name else ""
        raise InvalidInput(f"a model's name is lower-case letters, digits and _, and no word of Python: {name!r}{hint}")
    from zoo import index, plugins

    taken = {entry.name for entry in (*index.entries("models"), *plugins.entries())}
    if name in taken or name in list_recipes():
        raise InvalidInput(f"there is a model {name!r} already: choose another name")
    if path == name and not pathlib.Path(f"{name}.py").exists() and importlib.util.find_spec(name):
        raise InvalidInput(f"there is a Python module {name!r} already, which yours would hide: choose another name")


def module_path(name):
    """The dotted name of a module of this folder: within a package, where the folder is one."""
    folder, parts = pathlib.Path.cwd(), [name]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return ".".join(parts)


def class_name(name, base):
    """The class of a model: my_vae -> MyVAE."""
    parts = [part.upper() if part.endswith("vae") else part.capitalize() for part in name.split("_")]
    return "".join(parts) if "".join(parts) != base else f"{base}Variant"


def model_text(cls, defaults, words):
    """The module of a model: its base's mathematics, and its sentences to be changed."""
    above = inspect.getdoc(inspect.getmodule(cls)) or ""
    maths = re.search(r"^ {4}\S.*(?:\n(?: {4}.*|(?=\n)))*", above, re.MULTILINE)
    return MODEL.format(
        **words,
        maths=maths[0].rstrip() if maths else "    p(x, z) = ...",
        module=cls.__module__,
        base=cls.__name__,
        defaults="".join(f", {key}={value!r}" for key, value in defaults.items()),
        package=words["path"].partition(".")[0],
        sentences="".join(sentence(cls, method) for method in SENTENCES if hasattr(cls, method)),
    )


def sentence(cls, method):
    """A method that says what its base says."""
    function = getattr(cls, method)
    signature = inspect.signature(function)
    about = (inspect.getdoc(function) or method).partition("\n")[0]
    _, *arguments = signature.parameters
    return SENTENCE.format(method=method, signature=signature, about=about, arguments=", ".join(arguments))


def test_of(cls, words):
    """The test of a model; of images of 0 and 1 also that their probabilities sum to one."""
    from zoo.creation import create

    model = create(words["start"], **next(iter(cls.examples().values())))
    specs = list(model.data_spec.values())
    binary = len(specs) == 1 and len(specs[0].shape) == 3 and {"bound", "discrete", "prior"} <= model.offers
    text = TEST.format(**words, keras="import keras\n" if binary else "")
    return text + TRUTH.format(**words) if binary else text
