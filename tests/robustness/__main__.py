"""`python -m tests.robustness`: the whole count, about an hour on two cores."""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from robustness import count  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="write the counts here, beside those of other kinds")
    parser.add_argument("--share", type=float, default=1.0, help="so much of the whole count")
    parser.add_argument("--only", nargs="*", default=list(count.FILES) + ["kills"], help="cards, weights, ...")
    options = parser.parse_args()

    def report(kind, number, of):
        if number % 25 == 0 or number == of:
            print(f"{kind}: {number} of {of}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = count.everything(pathlib.Path(folder), options.share, options.only, report=report)
    from zoo.files import read_json, write_json

    if options.json:
        known = read_json(options.json) if pathlib.Path(options.json).exists() else {}
        counts = {**{kind: entry for kind, entry in known.items() if kind != "summary"}, **counts}
        write_json(options.json, {**counts, "summary": count.summary(counts)})
        pathlib.Path(options.json).with_suffix(".md").write_text(count.table(counts))
    for case in wrong:
        print(case)
    print(*(f"{name}: {value}" for name, value in count.summary(counts).items()), sep="\n")
    sys.exit(bool(wrong))
