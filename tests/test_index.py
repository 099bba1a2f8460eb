"""The index: what index.json says is what the classes say."""

import pytest

from tools.index import index_bytes
from zoo import creation, index, registry
from zoo.models.vae import VAE


class Wide(VAE):
    """A VAE.

    More of it.

    Args:
        width, height: of the prior, which is
            wide.
    """

    def __init__(self, width=(2, 3), height=None, **kwargs): ...


def part(loc, scale=1.0):
    """Of a scale.

    Args:
        scale: it.
    """


def test_the_index_is_fresh():
    assert index.FILE.read_bytes() == index_bytes(), "python -m tools.refresh writes it"


def test_arguments_are_those_of_all_base_classes_with_the_name_s_own_defaults():
    entry = index.described("models", "wide", Wide, "wide", "Nobody 2026", {"beta": 4.0}, index)
    assert (entry.name, entry.about, entry.paper, entry.defaults) == ("wide", "wide", "Nobody 2026", {"beta": 4.0})
    assert entry.text == f"{index.__doc__.strip()}\n\nA VAE.\n\nMore of it."
    assert list(entry.arguments)[:2] == ["width", "height"] and "name" not in entry.arguments
    assert entry.arguments["width"] == ((2, 3), "of the prior, which is wide.")
    assert entry.arguments["beta"] == (4.0, index.described("models", "vae", VAE, module=index).arguments["beta"][1])
    assert entry.arguments["latent_dim"][0] == 32 and entry.arguments["latent_dim"][1]
    assert index.read(index.plain(entry)) == entry


def test_a_part_is_described_by_the_first_line_of_its_docstring():
    entry = index.described("bounds", "part", part)
    assert (entry.about, entry.text, entry.arguments) == ("Of a scale.", "Of a scale.", {"scale": (1.0, "it.")})


def test_the_index_has_every_model_with_the_defaults_of_its_class():
    entries = {entry.name: entry for entry in index.entries("models")}
    assert sorted(entries) == creation.list_models()
    for name, entry in entries.items():
        cls, defaults = creation.model_class(name)
        of_class = {**cls.argument_defaults(), **defaults}
        of_class.pop("name")
        assert {argument: default for argument, (default, _) in entry.arguments.items()} == of_class, name
        assert entry.about and not [argument for argument, (_, text) in entry.arguments.items() if not text], name


@pytest.mark.parametrize("kind", [kind for kind in index.PARTS if kind != "schedules"])
def test_the_index_has_every_part(kind):
    import zoo.models  # noqa: F401  (registers them)

    names = {entry.name for entry in index.entries(kind)}
    assert names == set(getattr(registry, kind.upper())) - {"kept_normal"}, "kept_normal is a model's own"


def test_every_argument_is_explained():
    for kind in (*index.PARTS, "models", "pictures", "recipes"):
        for entry in index.entries(kind):
            short = [name for name, (_, text) in entry.arguments.items() if len(text.split()) < 3]
            assert not short, (kind, entry.name)
