"""The table of semi-supervised MNIST: test errors of M1, M2 and M1+M2 with few labels, beside the paper's numbers.

    python benchmarks/semi_supervised.py run                      # every row that is missing, one after the other
    python benchmarks/semi_supervised.py run --methods m2 --labels 100 --seeds 0
    python benchmarks/semi_supervised.py table                    # benchmarks/results/semi_supervised.md
    python benchmarks/semi_supervised.py card                     # the errors with 100 labels into the models' cards
    python benchmarks/semi_supervised.py analogies m2_mnist_100   # how many cells another network reads as their digit,
                                                                  # into benchmarks/results/analogies.json

Kingma, Rezende, Mohamed & Welling 2014, arXiv:1406.5298, table 1. Training images are all 60,000; `seed` decides which
labels are shown, and the errors are those of all 10,000 test images. Settings are those of the presets; what was
compared for them was the error on training images with another label subset (seed 7), and what else was seen stands in
their notes; no label but those shown is used for training or stopping. M1 is the pretrained m1_mnist; M1+M2 starts from
vae_mnist, which `m1_m2` trains on together with the rest and `m1_m2_frozen` keeps as it is, as the paper does. Trained
models are runs of `zoo train` in `--folder`: an interrupted one goes on at its last epoch, and a finished one is kept.
Each result is appended to benchmarks/results/semi_supervised.json when it is there.
"""

import argparse
import collections
import datetime
import json
import pathlib
import time

import numpy as np

from zoo import pretrained

RESULTS = pathlib.Path(__file__).parent / "results" / "semi_supervised.json"
ANALOGIES = RESULTS.with_name("analogies.json")
SPLIT, SHAPE, CLASSES = "train+validation", (28, 28, 1), 10
LABELS, SEEDS = (100, 600, 1000, 3000), {100: (0, 1, 2)}
PAPER = {  # % errors, Kingma et al. 2014, table 1: a neural network, M1 with a transductive SVM, M2 and M1+M2
    "supervised": {100: "25.81", 600: "11.44", 1000: "10.7", 3000: "6.04"},
    "m1_self_training": {100: "11.82 ± 0.25", 600: "5.72 ± 0.05", 1000: "4.24 ± 0.07", 3000: "3.49 ± 0.04"},
    "m2": {100: "11.97 ± 1.71", 600: "4.94 ± 0.13", 1000: "3.60 ± 0.56", 3000: "3.92 ± 0.63"},
    "m1_m2_frozen": {100: "3.33 ± 0.14", 600: "2.59 ± 0.05", 1000: "2.40 ± 0.02", 3000: "2.18 ± 0.04"},
}
PAPER["m1_m2"] = PAPER["m1_m2_frozen"]
M1_CLASSIFIERS = ("nearest_neighbour", "rbf_svm", "label_spreading", "self_training")
UPDATES = 3000  # of the supervised networks
# The presets, of which a row has its own number and choice of labels.
DEEP = {"m2": "m2_mnist_100", "m1_m2_frozen": "m1_m2_mnist_100", "m1_m2": "m1_m2_mnist_100"}
METHODS = ("nearest_neighbour", "supervised", "supervised_conv", *(f"m1_{name}" for name in M1_CLASSIFIERS), *DEEP)
# Whose errors with 100 labels stand in which card, under which prefix.
CARDS = {
    "m2": ("m2_mnist_100", ""),
    "m1_m2": ("m1_m2_mnist_100", ""),
    "m1_label_spreading": ("m1_mnist", "label_spreading_"),
}


class Table:
    """The results' file, the data and the runs' folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def rows(self):
        return json.loads(RESULTS.read_text()) if RESULTS.exists() else []

    def append(self, row):
        from zoo.files import write_json

        write_json(RESULTS, [*self.rows(), row])

    # Data

    def batches(self, labels, seed):
        """Every training image once, with the labels that are shown."""
        import zoo

        return zoo.load_semi_supervised(
            "mnist", labels, seed, split=SPLIT, batch_size=200, labelled_per_batch="natural"
        )

    def labelled_images(self, labels, seed):
        """(x [labels, D] in [0, 1], y) of the images whose labels are shown."""
        batches = [(b["x"].numpy(), b["y"].numpy()) for b in self.batches(labels, seed)]
        x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
        return x[y >= 0].reshape(labels, -1) / np.float32(255), y[y >= 0]

    def test(self):
        """Batches of the test images, with labels."""
        import zoo

        return zoo.load_dataset("mnist", "test", batch_size=200, labels=True, shuffle=False)

    def test_images(self):
        """(x [N, D] in [0, 1], y) of the test images."""
        batches = [(b["x"].numpy(), b["y"].numpy()) for b in self.test()]
        x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
        return x.reshape(len(x), -1) / np.float32(255), y

    # Models

    def preset(self, method, labels, seed):
        """What `zoo train` is asked for."""
        preset = pretrained.preset(DEEP[method])
        preset["data"] |= {"num_labels": labels, "labels_seed": seed}
        preset["config"] |= {"joint": False} if method == "m1_m2_frozen" else {}
        return preset

    def trained(self, method, labels, seed):
        """(the model of a run, minutes it took or None): trained, gone on with, or read."""
        import zoo
        from zoo.training import train

        directory = self.folder / f"{method}_{labels}_{seed}"
        if (directory / "card.json").exists():
            return zoo.load(directory), None
        start, resume = time.time(), (directory / "run.json").exists()
        model, _ = train(directory, self.preset(method, labels, seed), resume=resume)
        return model, None if resume else (time.time() - start) / 60


def nearest_neighbour(table, labels, seed):
    from sklearn.neighbors import KNeighborsClassifier

    return scored(KNeighborsClassifier(1), table.labelled_images(labels, seed), table.test_images())


def supervised_by(classifier):
    """A network of the kind of M2's q(y | x), on the labelled images alone."""

    def method(table, labels, seed):
        import keras

        import zoo.networks  # noqa: F401  (registers the encoders)
        from zoo.registry import ENCODERS

        keras.utils.set_random_seed(seed)
        network = ENCODERS.create(classifier, data_shape=SHAPE)
        model = keras.Sequential([keras.layers.Reshape(SHAPE), network, keras.layers.Dense(CLASSES)])
        model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x, y = table.labelled_images(labels, seed)
        model.fit(x, y, batch_size=100, epochs=UPDATES * 100 // labels, verbose=0)
        x, y = table.test_images()
        return model.predict(x, batch_size=1000, verbose=0).argmax(-1) != y, {"classifier": classifier}

    return method


def scored(estimator, train, test):
    """(whether each test example is named wrongly, settings) of a scikit-learn estimator."""
    estimator.fit(*train)
    return estimator.predict(test[0]) != test[1], {"estimator": str(estimator)}


def m1_with(name):
    """M1's features and a scikit-learn classifier of the name."""

    def method(table, labels, seed):
        import zoo

        model = zoo.load("m1_mnist")
        train = zoo.features(model, table.batches(labels, seed))
        test = zoo.features(model, table.test())
        if name in ("nearest_neighbour", "rbf_svm"):
            train = tuple(part[train[1] >= 0] for part in train)
        if name == "self_training":  # an SVM of all 60,000 would take hours: every label, 10,000 images without
            rows = np.r_[np.flatnonzero(train[1] >= 0), np.flatnonzero(train[1] < 0)[:10_000]]
            train = tuple(part[rows] for part in train)
        return scored(estimators()[name], train, test)

    return method


def estimators():
    """The classifiers of M1's features; their settings were not searched."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
    from sklearn.svm import SVC

    return {
        "nearest_neighbour": KNeighborsClassifier(1),
        "rbf_svm": SVC(C=10.0),
        "label_spreading": LabelSpreading(kernel="knn", n_neighbors=10, max_iter=50),
        "self_training": SelfTrainingClassifier(CalibratedClassifierCV(SVC(C=10.0), ensemble=False, cv=3)),
    }


def deep(name):
    """A model of the zoo, trained with these labels."""

    def method(table, labels, seed):
        model, minutes = table.trained(name, labels, seed)
        wrong = [model.classify(b["x"]).numpy().argmax(-1) != b["y"].numpy() for b in table.test()]
        recipe = table.preset(name, labels, seed)
        return np.concatenate(wrong), {"minutes": minutes, **{key: recipe[key] for key in ("config", "recipe", "data")}}

    return method


FUNCTIONS = {
    "nearest_neighbour": nearest_neighbour,
    "supervised": supervised_by({"name": "mlp", "hidden_units": [500], "activation": "softplus"}),
    "supervised_conv": supervised_by(pretrained.preset(DEEP["m2"])["config"]["classifier"]),
    **{f"m1_{name}": m1_with(name) for name in M1_CLASSIFIERS},
    **{name: deep(name) for name in DEEP},
}


def run(options):
    """Every asked-for row that is not there yet."""
    from zoo.pretrained import versions

    table = Table(options.folder)
    for labels in options.labels:
        for seed in options.seeds or SEEDS.get(labels, (0,)):
            for method in options.methods:
                key = {"method": method, "labels": labels, "seed": seed}
                if any(all(row[k] == v for k, v in key.items()) for row in table.rows()):
                    continue
                wrong, details = FUNCTIONS[method](table, labels, seed)
                error = {"error_percent": 100 * float(wrong.mean()), "num_examples": len(wrong)}
                table.append({**key, **error, **details, "date": str(datetime.date.today()), "versions": versions()})
                print(f"{method:22} {labels:5} labels, seed {seed}: {error['error_percent']:.2f} %", flush=True)


def card():
    """Write the errors with 100 labels, of each label subset and their mean, into the pretrained models' cards."""
    from zoo.pretrained.cards import record

    rows = json.loads(RESULTS.read_text())
    for method, (name, prefix) in CARDS.items():
        found = {row["seed"]: row for row in rows if row["method"] == method and row["labels"] == 100}
        metrics = {f"{prefix}error_percent_subset_{seed}": of_runs([row]) for seed, row in sorted(found.items())}
        if len(found) > 1:
            metrics[f"{prefix}error_percent_{len(found)}_runs"] = of_runs(list(found.values()))
        if found:
            record(name, metrics, None, f"python benchmarks/semi_supervised.py run --methods {method}", "test")


def of_runs(rows):
    """The mean error of some rows as a card's metric; the standard error is over the label subsets."""
    from zoo.evaluation import mean_and_error

    found = mean_and_error([row["error_percent"] for row in rows])
    return {**found, "num_examples": rows[0]["num_examples"], "num_runs": len(rows)}


def markdown(rows):
    """The table: a row a method, for each number of labels our mean over the seeds and the paper's number."""
    found = collections.defaultdict(list)
    for row in rows:
        found[row["method"], row["labels"]].append(row["error_percent"])
    columns = " | ".join(f"{labels} | paper" for labels in LABELS)
    lines = [f"| test error % with this many labels | {columns} |", "|---" * (1 + 2 * len(LABELS)) + "|"]
    for method in METHODS:
        if any(found[method, labels] for labels in LABELS):
            cells = [f"{shown(found[method, n])} | {PAPER.get(method, {}).get(n, '')}" for n in LABELS]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    lines += ["", "Means over label subsets ± their standard error, where there are several."]
    return "\n".join([*lines, "In the paper's column: a neural network, M1 with a transductive SVM, M2, M1+M2.", ""])


def shown(errors):
    """The mean of some errors, ± its standard error."""
    if not errors:
        return ""
    from zoo.evaluation import mean_and_error

    mean = mean_and_error(errors)
    spread = f" ± {mean['standard_error']:.2f} ({len(errors)})" if len(errors) > 1 else ""
    return f"{mean['value']:.2f}{spread}"


def read_analogies(name, count=100, limit=None):
    """{"percent", "cells"}: how many cells of the analogies of a model a network trained apart reads as their column.

    Args:
        name: a pretrained name or a folder.
        count: test images.
        limit: only so many training images of the network.
    """
    import keras

    import zoo
    from zoo import pictures, pretrained

    data = pretrained.read_card(name)["data"]["name"]
    train = zoo.data.load_arrays(data, "train", labels=True, limit=limit)
    keras.utils.set_random_seed(0)
    convolutions = [keras.layers.Conv2D(f, 3, strides=2, padding="same", activation="relu") for f in (32, 64)]
    outside = [keras.layers.Flatten(), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(CLASSES)]
    reader = keras.Sequential([keras.layers.Rescaling(1 / 255), *convolutions, *outside])
    reader.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    reader.fit(train["x"], train["y"], batch_size=100, epochs=3, verbose=0)
    x = zoo.data.load_arrays(data, "test", limit=count)["x"]
    cells = pictures.analogy_cells(zoo.load(name), {"x": x}, CLASSES)
    read = reader.predict(255 * cells.reshape(-1, *cells.shape[2:]), verbose=0).argmax(-1)
    right = read == np.tile(np.arange(CLASSES), len(x))
    return {"percent": 100 * float(right.mean()), "cells": right.size}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("run", help="compute the rows that are missing")
    training.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    training.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    training.add_argument("--seeds", type=int, nargs="+", help="0 1 2 for 100 labels and 0 for more, if not said")
    training.add_argument("--folder", default="runs/semi_supervised", help="where the runs are")
    commands.add_parser("table", help="write the table")
    commands.add_parser("card", help="write the errors with 100 labels into the cards")
    reading = commands.add_parser("analogies", help="read a model's analogies by a network trained apart")
    reading.add_argument("name")
    options = parser.parse_args(arguments)
    if options.command == "run":
        run(options)
    elif options.command == "analogies":
        from zoo.files import read_json, write_json
        from zoo.pretrained import versions

        found = {**read_analogies(options.name), "seed": 0, "versions": versions()}
        write_json(ANALOGIES, {**(read_json(ANALOGIES) if ANALOGIES.exists() else {}), options.name: found})
        print(json.dumps(found))
    elif options.command == "card":
        card()
    else:
        RESULTS.with_suffix(".md").write_text(markdown(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
