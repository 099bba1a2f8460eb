"""Model cards: measured numbers go into `card.json`, and the model's page is written from it."""

from zoo.files import atomic, write_json
from zoo.pretrained.page import page
from zoo.pretrained.store import locate, read_card, versions


def record(name, metrics, probe, command, split):
    """Write measured metrics and a probe into a model's card, and its README anew.

    The parts of an evaluation, of annealed chains, of comparisons and of means over several runs stand beside each
    other; each replaces its own earlier numbers. A `probe` that is None leaves the card's.
    """
    home, card = locate(name), read_card(name)
    kinds = {kind_of(entry) for entry in metrics.values()}
    kept = {key: entry for key, entry in card.get("metrics", {}).items() if kind_of(entry) not in kinds}
    card["metrics"] = dict(sorted({**metrics, **kept}.items(), key=lambda item: kind_of(item[1])))
    card["probe"] = probe or card.get("probe")
    entry = {"command": command, "split": split, "versions": versions()}
    for kind in kinds:
        old = card.get("evaluation", {})
        card["evaluation"] = {**old, kind: entry} if kind else {**entry, **{k: old[k] for k in old if k not in entry}}
    write(home, card)


def kind_of(metric):
    """Which part of an evaluation a metric belongs to: "" for the usual one, "annealed", "runs", or "versus NAME"."""
    if "versus" in metric:
        return f"versus {metric['versus']}"
    return "annealed" if "num_chains" in metric else "runs" if "num_runs" in metric else ""


def write(home, card):
    """Write a card, and its page README.md."""
    write_json(home / "card.json", card)
    with atomic(home / "README.md") as temporary:
        temporary.write_text(page(home, card))
