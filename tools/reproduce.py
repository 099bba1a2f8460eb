"""python -m tools.reproduce NAME ...: train presets from nothing, and compare with the weights that are published.

Each is trained in a folder of its own under `--folder` (interrupted, it goes on), and scored beside the published
weights on the same test examples, by the same draws. It is reproduced where the paired difference is within two of its
standard errors, which are those of the test examples alone, or within rounding. After each model the results are
written: benchmarks/results/reproduced.json, and .md, the table.
"""

import argparse
import pathlib
import sys

from benchmarks.runs import store, trained
from tools.tables import RESULTS, markdown
from zoo import evaluation, pretrained
from zoo.errors import InvalidInput
from zoo.files import read_json

WITHIN, ROUNDING = 2, 1e-3  # standard errors, and nats of single precision


def reproduced(name, folder, num_samples, limit):
    """What came of training `name` again: a row of the results."""
    published, home = pretrained.load(name), folder / pathlib.Path(name).name
    again = trained(home, pretrained.preset(name), verbose=1)
    data = evaluation.test_data(again, published.card["data"], limit=limit)
    found = evaluation.compare(again, published, data, num_samples)
    card = pretrained.read_card(home)
    return {
        "again": found["nll"],
        "published": found["other_nll"],
        "difference": found["nll_difference"],
        **{key: card.get(key) for key in ("model", "data", "seed", "epochs_trained", "timing", "versions")},
        "published_versions": published.card["versions"],
        "command": f"python -m tools.reproduce {name} --num-samples {num_samples} --limit {limit}",
    }


def is_reproduced(difference):
    """Whether a paired difference is within its errors."""
    return abs(difference["value"]) <= max(WITHIN * difference["standard_error"], ROUNDING)


def table(rows):
    """Markdown lines."""
    lines = []
    for name, row in rows.items():
        again, published, difference = (
            f"{row[key]['value']:.2f} ± {row[key]['standard_error']:.2f}"
            for key in ("again", "published", "difference")
        )
        size = f"{row['difference']['num_examples']:,}, S={row['difference']['num_samples']}"
        minutes = f"{row['timing']['seconds'] / 60:.0f}"
        verdict = "yes" if is_reproduced(row["difference"]) else "no"
        lines.append([name, row["epochs_trained"], minutes, again, published, difference, verdict, size])
    head = ["model", "epochs", "minutes", "NLL of the new run", "of the published one", "difference, paired"]
    return markdown([*head, f"within {WITHIN} standard errors", "test examples"], lines)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/reproduced"))
    parser.add_argument("--num-samples", type=int, default=500)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "reproduced.json")
    options = parser.parse_args(arguments)
    for name in options.names:
        pretrained.fetch(name)  # a name that is not there is found before the first is trained
    for name in options.names:
        row = reproduced(name, options.folder, options.num_samples, options.limit)
        rows = {**(read_json(options.output) if options.output.exists() else {}), name: row}
        store(options.output, rows, {options.output.stem: table(rows)})
        print(
            f"{name}: {row['difference']['value']:+.3f} +- {row['difference']['standard_error']:.3f} nats", flush=True
        )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InvalidInput as error:
        print(f"tools.reproduce: {error}", file=sys.stderr)
        sys.exit(2)
