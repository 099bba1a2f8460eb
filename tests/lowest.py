"""A training, and the pretrained models, under the lowest versions that setup.py declares.

python tests/lowest.py pins > pins.txt    # where the zoo is installed: its lower bounds, as pip takes them
pip install -r pins.txt; pip install --no-deps -e .    # in another environment
python tests/lowest.py                    # there: 10 draws on 100 images, or 2 on all sequences, and probes
"""

import importlib.metadata
import math
import sys

NAME, IMAGES, ERRORS = "vae-zoo", 100, 5
PROBED = ("vae_mnist_2d", "m2_mnist_2d", "planar_vae_frey_faces")


def lower_bounds():
    """{package: lowest version} of what the installed zoo requires."""
    from packaging.requirements import Requirement

    found = {}
    for requirement in map(Requirement, importlib.metadata.requires(NAME)):
        if requirement.marker is None:  # not of an extra
            lowest = [s.version.removesuffix(".*") for s in requirement.specifier if s.operator in (">=", "==")]
            if len(lowest) != 1:
                raise SystemExit(f"setup.py declares no lower bound of {requirement.name}")
            found[requirement.name] = lowest[0]
    return found


def installed():
    """Raise unless what is installed is what the bounds say."""
    from packaging.version import Version

    for package, lowest in lower_bounds().items():
        if Version(importlib.metadata.version(package)) != Version(lowest):
            raise SystemExit(f"{package} is {importlib.metadata.version(package)}, not {lowest}")


def within(metric, card):
    """Whether the NLL of a few draws lies between the card's, of many, and minus its ELBO, to 5 standard errors."""
    room = ERRORS * math.hypot(metric["standard_error"], card["nll"]["standard_error"])
    return card["nll"]["value"] - room <= metric["value"] <= -card["elbo"]["value"] + room


def learns():
    """Raise unless a model that moves by its optimiser's own kernel learns."""
    import zoo

    model = zoo.create("vae", data_shape=(8, 8, 1), latent_dim=2, encoder={"name": "mlp", "hidden_units": [32]})
    model.compile("adamw")
    loss = model.fit(zoo.load_dataset("digits", "train", batch_size=32), epochs=2, verbose=0).history["loss"]
    if not loss[1] < loss[0]:
        raise SystemExit(f"a training went from {loss[0]:.2f} nats to {loss[1]:.2f}")


def check():
    """Evaluate every pretrained model whose data are here; raise for one whose numbers are not its card's."""
    import zoo
    from zoo import evaluation, pretrained
    from zoo.errors import InvalidInput

    passed, failed, skipped = 0, [], []
    for name in zoo.list_pretrained():
        model, card = zoo.load(name), pretrained.read_card(name)
        sequences = card["config"]["data_shape"][0] is None  # the first of a test set are its longest, or of one voice
        try:
            data = evaluation.test_data(model, card["data"], batch_size=20 if sequences else IMAGES)
        except InvalidInput:
            skipped.append(name)
            continue
        how = {"num_samples": 2} if sequences else {"num_samples": 10, "limit": IMAGES}
        metric = zoo.evaluate(model, data, **how)["nll"]
        good = within(metric, card["metrics"])
        said = f"{metric['value']:.2f} ± {metric['standard_error']:.2f}, card {card['metrics']['nll']['value']:.2f}"
        if name in PROBED:
            value = evaluation.probe(model, data, card["probe"])["value"]
            good &= abs(value - card["probe"]["value"]) < 1e-2
            said += f"; probe {value:.4f}, card {card['probe']['value']:.4f}"
        print(f"{name:30} {'ok  ' if good else 'FAIL'} {said}", flush=True)
        passed, failed = passed + good, failed + [name] * (not good)
    print(f"lowest versions: {passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    if failed or not passed:
        raise SystemExit(f"not the card's numbers: {', '.join(failed) or 'no data are prepared here'}")


if __name__ == "__main__":
    if sys.argv[1:] == ["pins"]:
        print("\n".join(f"{package}=={version}" for package, version in lower_bounds().items()))
    else:
        installed()
        learns()
        check()
