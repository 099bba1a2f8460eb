"""python -m tools.refresh README.md: write every model's page, and README's lists between their markers, anew.

The lists are of the pretrained models and of the models, parts, bounds, penalties, schedules and pictures of the
source; the benchmarks' tables are those of benchmarks/results/*.md.
"""

import pathlib
import re
import sys

from zoo import index, pretrained
from zoo.files import atomic
from zoo.pretrained import cards

SECTION = r"(?P<start><!-- (?P<name>\w+): written by python -m tools.refresh -->).*?(?P<end><!-- end of (?P=name) -->)"
PARTS = ("encoders", "decoders", "posteriors", "priors", "likelihoods")


def pretrained_table():
    """The table of all pretrained models, as Markdown lines."""
    lines = ["| name | model | data | NLL (nats) | ELBO | active units | weights |", "|---|---|---|---|---|---|---|"]
    for name in pretrained.list_pretrained():
        card = pretrained.read_card(name)
        metrics = card.get("metrics", {})
        nll, elbo = metrics.get("nll"), metrics.get("elbo")
        active = [entry for key, entry in metrics.items() if key.startswith("active_units")]
        shown = (
            f"{nll['value']:.2f} ± {nll['standard_error']:.2f} (S={nll['num_samples']}, {nll['num_examples']})"
            if nll
            else ""
        )
        bound = f"{elbo['value']:.2f}" if elbo else ""
        units = " of ".join("+".join(str(level[key]) for level in active) for key in ("value", "of")) if active else ""
        size = f"{card['weights']['bytes'] / 1e6:.1f} MB"
        link = f"[{name}](saved_models/{name}/README.md)"
        lines.append(f"| {link} | {card['model']} | {card['data']['name']} | {shown} | {bound} | {units} | {size} |")
    return lines


def gain_table():
    """The paired differences between pretrained models, as Markdown lines."""
    lines = ["| model | beside | difference in NLL (nats) | images | samples |", "|---|---|---|---|---|"]
    for name in pretrained.list_pretrained():
        for metric in pretrained.read_card(name).get("metrics", {}).values():
            if "versus" in metric:
                shown = f"{metric['value']:.2f} ± {metric['standard_error']:.2f}"
                lines.append(
                    f"| {name} | {metric['versus']} | {shown} | {metric['num_examples']} | {metric['num_samples']} |"
                )
    return lines


def model_table():
    """The table of the kinds of models, as Markdown lines."""
    rows = [f"| `{entry.name}` | {entry.about} | {entry.paper} |" for entry in index.entries("models")]
    return ["| name | what | paper |", "|---|---|---|", *rows]


def table(*kinds):
    """What of these kinds there is, as Markdown lines."""

    def lines():
        columns = ["| name | part | what |", "|---|---|---|"] if len(kinds) > 1 else ["| name | what |", "|---|---|"]
        for kind in kinds:
            of = f" {kind} |" if len(kinds) > 1 else ""
            columns += [
                f"| `{entry.name}` |{of} {entry.about.replace('|', '&#124;')} |" for entry in index.entries(kind)
            ]
        return columns

    return lines


SECTIONS = {
    "pretrained": pretrained_table,
    "gains": gain_table,
    "models": model_table,
    "parts": table(*PARTS),
    **{kind: table(kind) for kind in ("bounds", "penalties", "schedules", "pictures")},
}


def refresh(path):
    """Write every model's page, and the lists between the markers of the README at `path`."""
    for name in pretrained.list_pretrained():
        cards.write(pretrained.locate(name), pretrained.read_card(name))
    path = pathlib.Path(path)
    with atomic(path) as temporary:
        temporary.write_text(with_lists(path))


def with_lists(path):
    """The text of the README at `path`, the lists and the benchmarks' results between their markers."""

    def section(match):
        name = match["name"]
        results = path.parent / "benchmarks" / "results" / f"{name}.md"
        lines = SECTIONS[name]() if name in SECTIONS else results.read_text().splitlines()
        return "\n".join([match["start"], "", *lines, "", match["end"]])

    return re.sub(SECTION, section, path.read_text(), flags=re.DOTALL)


if __name__ == "__main__":
    refresh(*sys.argv[1:])
