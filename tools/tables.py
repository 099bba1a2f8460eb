"""The tables of README and of the site: of cards, of what is registered, and of the benchmarks' results."""

import pathlib
import textwrap

from zoo import index, pretrained
from zoo.cli.words import digits
from zoo.data import describe_dataset, list_datasets
from zoo.data.tfds.catalogue import DATASETS
from zoo.errors import choose
from zoo.files import read_json
from zoo.pretrained.headline import data_of, headline

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("encoders", "decoders", "posteriors", "priors", "likelihoods")


def pretrained_table(where="{}", model=None):
    """The pretrained models, or those of one kind, in a table for each kind of number; `where` is of a name's page."""
    tables = {}
    for name in listed():
        card = pretrained.read_card(name)
        if model not in (None, card["model"]):
            continue
        found = headline(card)
        draws = [f"S={found.entry['num_samples']}"] if "num_samples" in found.entry else []
        shown = f"{estimate(found.entry)} ({', '.join([*draws, str(found.entry['num_examples'])])})"
        active = [entry for key, entry in card["metrics"].items() if key.startswith("active_units")]
        units = " of ".join("+".join(str(level[key]) for level in active) for key in ("value", "of")) if active else ""
        row = [linked(name, where), card["model"], data_of(card), shown, units, size(card)]
        tables.setdefault(found.kind, []).append(row)
    header = ("name", "model", "data")
    made = [markdown([*header, kind, "active units", "weights"], rows) for kind, rows in sorted(tables.items())]
    return sum(([*lines, ""] for lines in made), [])[:-1]


def compact_table(where="{}"):
    """The best pretrained model of each data set and kind of number, and how many more there are."""
    rows = {}
    for name in listed():
        card = pretrained.read_card(name)
        found = headline(card)
        rows.setdefault((data_of(card), found.kind), []).append((found.rank, name, estimate(found.entry)))
    best = [(*key, *sorted(found)[0][1:], len(found) - 1) for key, found in sorted(rows.items())]
    lines = [[data, linked(name, where), number, kind, more or ""] for data, kind, name, number, more in best]
    return markdown(["data", "best of the pretrained models", "number", "which is", "more"], lines)


def listed():
    """The pretrained models whose data anybody can have."""
    names = pretrained.list_pretrained()
    data = {name: DATASETS.get(pretrained.read_card(name)["data"]["name"]) for name in names}
    return [name for name in names if not (data[name] and data[name].only_prepared)]


def gain_table():
    """The paired differences between pretrained models."""
    rows = []
    for name in pretrained.list_pretrained():
        for metric in pretrained.read_card(name).get("metrics", {}).values():
            if "versus" in metric:
                rows.append([name, metric["versus"], estimate(metric), metric["num_examples"], metric["num_samples"]])
    return markdown(["model", "beside", "difference in NLL (nats)", "images", "samples"], rows)


def sequence_table():
    """What benchmarks/sequences.py measured: a row a data set, a column a model."""
    cells = read_json(RESULTS / "sequences.json")
    data, models = (list(dict.fromkeys(name.split("/")[part] for name in cells)) for part in (0, 1))
    rows = [[each, *(bounds_of(cells.get(f"{each}/{model}")) for model in models)] for each in data]
    return markdown(["nats a step", *models], rows)


def bounds_of(row):
    """The ELBO of a row, minus infinity where draws overflow, and the bound of the particle filter where it has one."""
    if row is None:
        return ""
    names, minus = ("elbo_per_step", "fivo_per_step"), ["-∞"] * ("overflow_percent" in row["metrics"])
    return " / ".join([*minus, *(f"{row['metrics'][n]['value']:.2f}" for n in names if n in row["metrics"])])


def model_table(where="{}"):
    """The kinds of models."""
    rows = [
        [linked(f"`{entry.name}`", where, entry.name), entry.about, entry.paper] for entry in index.entries("models")
    ]
    return markdown(["name", "what", "paper"], rows)


def model_list():
    """The kinds of models in one paragraph."""
    return textwrap.wrap(", ".join(f"`{entry.name}`" for entry in index.entries("models")) + ".", 120)


def entry_table(*kinds):
    """What is registered of these kinds."""
    several = len(kinds) > 1
    rows = [[f"`{e.name}`", *([kind] if several else []), e.about] for kind in kinds for e in index.entries(kind)]
    return markdown(["name", *(["part"] if several else []), "what"], rows)


def dataset_table():
    """The data sets known by name."""
    rows = []
    for name in list_datasets():
        info = describe_dataset(name)
        shape = " x ".join(str(length or "T") for length in info["shape"])
        rows.append([f"`{name}`", info["title"], shape, info["splits"].get("train", ""), info["licence"]])
    return markdown(["name", "what", "shape", "training examples", "licence"], rows)


TABLES = {
    "pretrained": pretrained_table,
    "compact": compact_table,
    "gains": gain_table,
    "sequence_bounds": sequence_table,
    "models": model_table,
    "model_list": model_list,
    "parts": lambda: entry_table(*PARTS),
    "datasets": dataset_table,
    **{kind: lambda kind=kind: entry_table(kind) for kind in ("bounds", "penalties", "schedules", "pictures")},
}
OF_PAGES = ("pretrained", "compact", "models")  # their names link to pages


def table(name, where=None):
    """A table by name as Markdown lines; what a benchmark wrote has the name of its file in benchmarks/results/."""
    known = {**TABLES, **dict.fromkeys(path.stem for path in RESULTS.glob("*.md"))}
    make = choose("table", name, known)
    if make is None:
        return (RESULTS / f"{name}.md").read_text().splitlines()
    return make(where) if where and name in OF_PAGES else make()


def markdown(header, rows):
    """A table as Markdown lines."""
    cells = [[str(cell).replace("|", "&#124;") for cell in row] for row in rows]
    return (
        [f"| {' | '.join(row)} |" for row in [header]]
        + ["|" + "---|" * len(header)]
        + [f"| {' | '.join(row)} |" for row in cells]
    )


def linked(text, where, name=None):
    return f"[{text}]({where.format(name or text)})"


def estimate(metric):
    """A number of a card with its standard error, in the digits that this allows."""
    return digits(metric["value"], metric["standard_error"])


def size(card):
    return f"{card['weights']['bytes'] / 1e6:.1f} MB"
