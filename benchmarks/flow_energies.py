"""What flow layers do to densities of the plane, and how well flows fit four energies. Rezende & Mohamed 2015.

    python benchmarks/flow_energies.py densities     planar and radial layers on a Gaussian and a uniform density
    python benchmarks/flow_energies.py fit           U1-U4 with 2, 8 and 32 planar layers, and spline coupling

`fit` trains one cell after another; each is kept in `--folder` when it is done, so that an interrupted command goes on
where it was. Its pictures and tables (`flow_energies.png`, `.json`, `.md`) are written anew after each cell.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.energies import BASES, ENERGIES, LIMIT, Fit, base, plane, random_layers, true_density
from zoo.files import atomic, read_json, write_json
from zoo.pictures import new_figure, save_figure

RESULTS = pathlib.Path(__file__).parent / "results"
LAYERS = (2, 8, 32)
KINDS = ("planar", "spline")
AIMS = {"U1": 0.02, "U2": 0.1, "U3": 0.05, "U4": 0.1}  # of 32 planar layers, nats
EXTENT = (-LIMIT, LIMIT, -LIMIT, LIMIT)


def densities(options):
    """The figure of the paper: a row a base and kind of layer, a column a number of layers."""
    from zoo.distributions import FlowDistribution

    columns = (0, 1, 2, 10)
    rows = [(name, kind) for kind in ("planar", "radial") for name in BASES]
    figure, axes = new_figure(2.2 * len(columns), 2.3 * len(rows), rows=len(rows), columns=len(columns))
    points = plane(options.points)
    for (name, kind), line in zip(rows, axes, strict=True):
        for count, axis in zip(columns, line, strict=True):
            flow = FlowDistribution(base(name), random_layers(kind, count, options.seed))
            density = np.exp(flow.log_prob(points))
            show(axis, density, f"{count} {kind} layer{'s' * (count > 1)}" if count else name)
    save_figure(figure, options.results / "flow_densities.png")
    print(f"wrote {options.results / 'flow_densities.png'}")


def show(axis, density, title):
    """A density of the plane, dark where it is high."""
    axis.imshow(density, origin="lower", extent=EXTENT, cmap="viridis", vmax=np.quantile(density, 0.999))
    axis.set(title=title, xticks=[], yticks=[])


def cells(options):
    """(energy, kind, layers) in the order in which they are fitted."""
    return [(name, kind, count) for name in options.energies for kind in options.kinds for count in options.layers]


def fit_all(options):
    options.folder.mkdir(parents=True, exist_ok=True)
    settings = {name: getattr(options, name) for name in ("steps", "batch_size", "learning_rate", "seed", "draws")}
    for number, cell in enumerate(cells(options)):
        label, path = "-".join(map(str, cell)), options.folder / ("-".join(map(str, cell)) + ".json")
        if path.exists() and read_json(path)["settings"] == settings:
            print(f"{label}: done before")
            continue
        print(f"{label} ({number + 1} of {len(cells(options))})", flush=True)
        write_json(path, fit_cell(cell, settings, path.with_suffix(".npz")))
        report(options)
    report(options)


def fit_cell(cell, settings, picture):
    """Fit one cell; its density goes to `picture`, its numbers are returned."""
    name, kind, count = cell
    start = time.perf_counter()
    chosen = {key: settings[key] for key in ("steps", "batch_size", "learning_rate", "seed")}
    fit = Fit(name, {"name": kind, "num_layers": count}, **chosen)
    fit.run(progress)
    seconds = time.perf_counter() - start
    value, error = fit.kl(settings["draws"])
    with atomic(picture) as temporary:
        np.savez_compressed(temporary, density=fit.density().astype("float32"))
    print(f"  KL {value:.4f} +- {error:.4f} nats, {seconds:.0f} s", flush=True)
    parts = {"energy": name, "kind": kind, "layers": count, "kl": value, "standard_error": error}
    return {**parts, "seconds": seconds, "settings": settings}


def progress(done, steps, loss):
    if sys.stderr.isatty() or done % 2000 == 0 or done == steps:
        print(f"  {done} of {steps}, free energy {loss:.3f}", end="\r" if sys.stderr.isatty() else "\n", flush=True)


def report(options):
    """Write the table and the picture of all cells that are done."""
    done = {}
    for path in sorted(options.folder.glob("*.json")):
        entry = read_json(path)
        done[entry["energy"], entry["kind"], entry["layers"]] = entry
    if not done:
        return
    write_json(options.results / "flow_energies.json", list(done.values()))
    with atomic(options.results / "flow_energies.md") as temporary:
        temporary.write_text("\n".join(table(done)) + "\n")
    draw(done, options)


def table(done):
    """Markdown lines: KL(q || p) in nats, with the Monte Carlo error of the estimate."""
    columns = sorted({key[1:] for key in done})
    lines = ["| energy | " + " | ".join(f"{kind}, {count}" for kind, count in columns) + " | aim, 32 planar |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for name in sorted({key[0] for key in done}):
        entries = [done.get((name, *column)) for column in columns]
        shown = [f"{e['kl']:.4f} ± {e['standard_error']:.4f}" if e else "" for e in entries]
        final = done.get((name, "planar", 32))
        aim = f"{AIMS[name]}" + (f" ({'met' if final['kl'] <= AIMS[name] else 'missed'})" if final else "")
        lines.append(f"| {name} | " + " | ".join(shown) + f" | {aim} |")
    settings = next(iter(done.values()))["settings"]
    note = "KL(q || p) in nats from {draws} draws of q; {steps} updates of {batch_size} draws, seed {seed}."
    return [*lines, "", note.format(**settings)]


def draw(done, options):
    """A row an energy: the truth, and every fit."""
    columns = sorted({key[1:] for key in done})
    names = sorted({key[0] for key in done})
    width = len(columns) + 1
    figure, axes = new_figure(2.2 * width, 2.4 * len(names), rows=len(names), columns=width)
    for name, line in zip(names, np.reshape(axes, (len(names), width)), strict=True):
        truth = true_density(name)
        show(line[0], truth, f"{name}, truth")
        for (kind, count), axis in zip(columns, line[1:], strict=True):
            picture = options.folder / f"{name}-{kind}-{count}.npz"
            axis.set_axis_off()
            if (name, kind, count) in done and picture.exists():
                axis.set_axis_on()
                show(axis, np.load(picture)["density"], f"{kind}, {count}: {done[name, kind, count]['kl']:.3f}")
    save_figure(figure, options.results / "flow_energies.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=["densities", "fit"])
    parser.add_argument("--energies", nargs="+", default=list(ENERGIES), choices=list(ENERGIES))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), help="kinds of layer")
    parser.add_argument("--layers", nargs="+", type=int, default=list(LAYERS))
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--draws", type=int, default=100_000, help="of q, for its divergence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=300, help="of a side of the densities' grid")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/flow_energies"))
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    {"densities": densities, "fit": fit_all}[options.command](options)


if __name__ == "__main__":
    main()
