"""The index: what is read from the source is what the classes say."""

import pytest

from zoo import creation, index, registry

SOURCE = {
    "models/vae.py": '''
"""The VAE.

    p(z) = N(0, I)

Kingma & Welling 2014.
"""
DIRECT = {"name": "mlp", "hidden_units": []}

class Base:
    """What models share.

    Args:
        beta: weight of the KL, which is
            moved.
        seed: of the draws.
    """
    def __init__(self, beta=1.0, seed=0, name=None): ...

@register(
    "vae", "the variational autoencoder", "Kingma & Welling 2014"
)
@other
class VAE(Base):
    """A VAE.

    Args:
        latent_dim, encoder: of the code.
    """
    def __init__(self, latent_dim=2, encoder=DIRECT, **kwargs): ...
''',
    "models/beta_vae.py": '''
"""The beta-VAE."""
register("beta_vae", "its KL weighted by beta", "Higgins et al. 2017", beta=4.0)(VAE)
register("vq", "codes", posterior={"name": "codes"})(VAE)
for name in "ab":
    register(name, "not literal")(VAE)
''',
    "posteriors/parts.py": '''
@POSTERIORS.register("diagonal")
class Diagonal:
    """q(z | x) = N.

    More.
    """
    def __init__(self, latent_dim, scale=1.0): ...
''',
    "objectives/bounds.py": '''
@BOUNDS.register("iwae", needs=("draws",))
def iwae(trace, groups=1):
    """Of several draws."""
''',
}


@pytest.fixture
def package(tmp_path):
    for name, text in SOURCE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_is_registered_is_found_with_its_words(package):
    found = {entry.name: (entry.about, entry.paper, entry.defaults) for entry in index.entries("models", package)}
    assert found == {
        "beta_vae": ("its KL weighted by beta", "Higgins et al. 2017", {"beta": 4.0}),
        "vae": ("the variational autoencoder", "Kingma & Welling 2014", {}),
        "vq": ("codes", "", {"posterior": {"name": "codes"}}),
    }
    (part,), (bound,) = index.entries("posteriors", package), index.entries("bounds", package)
    assert (part.name, part.about) == ("diagonal", "q(z | x) = N.")
    assert (bound.name, bound.about) == ("iwae", "Of several draws.")


def test_arguments_are_those_of_all_base_classes_with_the_name_s_own_defaults(package):
    entries = {entry.name: entry for entry in index.entries("models", package)}
    assert index.arguments(entries["beta_vae"], package) == {
        "latent_dim": (2, "of the code."),
        "encoder": ({"name": "mlp", "hidden_units": []}, "of the code."),
        "beta": (4.0, "weight of the KL, which is moved."),
        "seed": (0, "of the draws."),
    }
    assert index.arguments(entries["vae"], package)["beta"][0] == 1.0
    assert index.text(entries["vae"], package) == "The VAE.\n\n    p(z) = N(0, I)\n\nKingma & Welling 2014.\n\nA VAE."
    assert index.arguments(index.entries("posteriors", package)[0], package) == {"scale": (1.0, "")}


def test_the_index_has_every_model_with_the_defaults_of_its_class():
    entries = {entry.name: entry for entry in index.entries("models")}
    assert sorted(entries) == creation.list_models()
    for name, entry in entries.items():
        cls, defaults = creation.model_class(name)
        of_class = {**cls.argument_defaults(), **defaults}
        of_class.pop("name")
        found = index.arguments(entry)
        assert {argument: default for argument, (default, _) in found.items()} == of_class, name
        assert entry.about and not [argument for argument, (_, text) in found.items() if not text], name


@pytest.mark.parametrize("kind", [kind for kind in index.PARTS if kind != "schedules"])
def test_the_index_has_every_part(kind):
    import zoo.models  # noqa: F401  (registers them)

    names = {entry.name for entry in index.entries(kind)}
    assert names == set(getattr(registry, kind.upper())) - {"kept_normal"}, "kept_normal is a model's own"
