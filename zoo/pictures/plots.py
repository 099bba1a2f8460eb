"""Pictures of a model or a run, from the public verbs of a model alone."""

import csv
import math
import pathlib

import numpy as np

from zoo import pretrained
from zoo.data import load_arrays
from zoo.errors import InvalidInput, check_positive, choose
from zoo.files import atomic
from zoo.models.hierarchical_vae import HierarchicalVAE

GAP = 2


def draw(name, kind, path, **settings):
    """Draw a picture of the pretrained model or run `name` into a PNG at `path`.

    Args:
        kind: one of `KINDS`.
        **settings: of that kind, such as count, steps, seed.

    Raises:
        InvalidInput: unknown kind or model, or one the model has not.
    """
    function = choose("kind of picture", kind, KINDS)
    if pathlib.Path(path).suffix != ".png":
        raise InvalidInput(f"pictures are PNG files: name one that ends in .png, got {str(path)!r}")
    home = pretrained.locate(name)
    if function in (training, kl):
        save_figure(function(home), path)
        return
    subject = Subject(home)
    picture = function(subject, **settings)
    if isinstance(picture, np.ndarray):
        save_image(picture, path)
    else:
        save_figure(picture, path)


class Subject:
    """A pretrained model with its held-out data."""

    def __init__(self, home):
        self.card, self.model = pretrained.read_card(home), pretrained.load(home)
        self.labelled = "y" in self.model.data_spec

    def test(self, count, labels=False):
        """The first `count` held-out examples, as the model's inputs."""
        data = self.card["data"]
        arrays = load_arrays(
            data["name"], "test", labels=labels or self.labelled, limit=count, data_dir=data.get("data_dir")
        )
        inputs = {name: np.asarray(value) for name, value in self.model.fields(arrays).items()}
        return (inputs, arrays["y"]) if labels else inputs

    def unlabelled(self, count):
        """As `test`, without the labels of a model that can do without."""
        inputs = self.test(count)
        if self.labelled and self.model.data_spec["y"].minimum < 0:
            del inputs["y"]
        return inputs

    def classes(self, endpoint):
        """The number of labels that steer an endpoint; 0 where none does."""
        _, inputs = self.model.endpoints.get(endpoint, (None, []))
        return self.model.data_spec["y"].maximum + 1 if "y" in inputs else 0


def samples(subject, count=64, seed=0, mean=True):
    """A square of draws from p(x); with labels a column a class."""
    check_positive(count=count)
    classes = subject.classes("sample")
    condition = {"y": np.arange(count) % classes} if classes else {}
    return grid(subject.model.sample(count, seed=seed, mean=mean, **condition), columns=classes or None)


def reconstructions(subject, count=10):
    """Test images in the upper row, their reconstructions below."""
    check_positive(count=count)
    inputs = subject.unlabelled(count)
    return grid(np.concatenate([inputs["x"], subject.model.reconstruct(**inputs)]), columns=count)


def interpolations(subject, count=6, steps=10):
    """A row a pair of test images: the ends are their reconstructions."""
    check_positive(count=count, steps=steps)
    inputs = subject.unlabelled(2 * count)
    first, last = ({k: v[i::2] for k, v in inputs.items()} for i in (0, 1))
    x0, x1 = first.pop("x"), last.pop("x")
    frames = np.asarray(subject.model.interpolate(x0, x1, steps=steps, **first))
    return grid(frames.swapaxes(0, 1).reshape(-1, *frames.shape[2:]), columns=steps)


def manifold(subject, count=20):
    """Decoded points of a two-dimensional latent plane: a grid in probability, through the inverse Gaussian CDF."""
    if subject.classes("decode"):
        raise InvalidInput("the plane of a model with labels differs between them: take styles")
    return grid(subject.model.decode(plane(subject, count)), columns=count, gap=0)


def plane(subject, count):
    """[count^2, 2]: a grid over a two-dimensional latent, evenly spaced in probability, row by row."""
    from scipy.stats import norm

    check_positive(count=count)
    if subject.model.latent_spec.get("z", ((0,),))[0] != (2,):
        raise InvalidInput("a plane needs a model with two latent units, such as vae_mnist_2d")
    places = norm.ppf((np.arange(count) + 0.5) / count).astype("float32")
    across, down = np.meshgrid(places, places[::-1])
    return np.stack([across.ravel(), down.ravel()], 1)


def styles(subject, count=10):
    """A panel a class: decoded points of a two-dimensional latent plane, the same in each panel."""
    classes = classes_of_decoder(subject)
    z = plane(subject, count)
    panels = [grid(subject.model.decode(z, y=np.full(len(z), y)), columns=count, gap=0) for y in range(classes)]
    return grid(np.stack(panels) / 255, columns=math.ceil(classes / 2), gap=2 * GAP)


def analogies(subject, count=10):
    """A row a test image, in the first column; then what its latent code gives with each label."""
    check_positive(count=count)
    classes = classes_of_decoder(subject)
    inputs = subject.unlabelled(count)
    cells = analogy_cells(subject.model, inputs, classes)
    return grid(np.concatenate([inputs["x"][:, None], cells], 1).reshape(-1, *cells.shape[2:]), columns=classes + 1)


def analogy_cells(model, inputs, classes):
    """[B, classes, *data_shape]: the code of each of B images, decoded with every label."""
    z = np.asarray(model.encode(**inputs))
    labels = np.tile(np.arange(classes), len(z))
    cells = np.asarray(model.decode(np.repeat(z, classes, 0), y=labels))
    return cells.reshape(len(z), classes, *cells.shape[1:])


def classes_of_decoder(subject):
    """The number of labels that the decoder knows, or one line that there are none."""
    classes = subject.classes("decode")
    if not classes:
        raise InvalidInput("this needs a model whose decoder takes labels, such as m2")
    return classes


def traversals(subject, count=10, steps=11, width=3.0):
    """A row a latent unit, moved from -3 to 3 while the others stay at one test image's code.

    The rows are the units whose location varies most over the test images, most first.
    """
    check_positive(count=count, steps=steps)
    if len(subject.model.latent_names) > 1:
        raise InvalidInput("traversals need a model with one latent: zoo plot NAME --kind levels shows a hierarchy")
    inputs = subject.test(500)
    z = np.asarray(subject.model.encode(**inputs))
    units = np.argsort(-z.var(0))[:count]
    codes = np.repeat(z[:1], len(units) * steps, 0)
    places = np.tile(np.linspace(-width, width, steps), len(units))
    codes[np.arange(len(codes)), np.repeat(units, steps)] = places
    condition = {k: np.repeat(v[:1], len(codes), 0) for k, v in inputs.items() if k != "x"}
    return grid(subject.model.decode(codes, **condition), columns=steps)


def latents(subject, count=2000):
    """Where test images lie in the latent space, by label; more than two units by their principal components.

    A hierarchy has a panel a level.
    """
    try:
        inputs, labels = subject.test(count, labels=True)
    except InvalidInput:
        inputs, labels = subject.test(count), None
    codes = subject.model.encode(**inputs)
    codes = codes if isinstance(codes, dict) else {"z": codes}
    figure, axes = new_figure(6 * len(codes), 5, columns=len(codes))
    for axis, (name, z) in zip(np.atleast_1d(axes), codes.items(), strict=True):
        points = scatter(axis, name, np.asarray(z), labels)
    figure.suptitle(f"{subject.card['name']}: {len(inputs['x'])} test images")
    if labels is not None:
        figure.colorbar(points, label="label", ticks=range(int(labels.max()) + 1))
    return figure


def scatter(axis, name, z, labels):
    """The points of one latent [N, D]; returns what a colour bar needs."""
    from sklearn.decomposition import PCA

    names = (f"{name}, unit 1", f"{name}, unit 2")
    if z.shape[1] > 2:
        z, names = PCA(2).fit_transform(z), (f"{name}, first principal component", "second principal component")
    if z.shape[1] == 1:
        z, names = np.pad(z, ((0, 0), (0, 1))), (f"{name}, its one unit", "")
    points = axis.scatter(z[:, 0], z[:, 1], c=labels, s=5, cmap="tab10" if labels is not None else None)
    axis.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    return points


def levels(subject, count=12, seed=0):
    """What each level of a hierarchy holds: test images, then rows that keep all levels, one fewer, ..., none.

    The levels that are kept, from the top, stand at the posterior's location; the rest are drawn from the prior.
    """
    check_positive(count=count)
    model = subject.model
    if not isinstance(model, HierarchicalVAE):
        raise InvalidInput("only a hierarchy has levels, such as lvae_mnist")
    x = subject.test(count)["x"]
    rows = [model.reconstruct(x, levels=kept, seed=seed) for kept in reversed(range(len(model.latent_names) + 1))]
    return grid(np.concatenate([x, *rows]), columns=count)


def training(home):
    """Loss, ELBO parts and active units against the epoch, from the run's log."""
    with open(log_file(home, "log.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [c for c in ("elbo", "reconstruction", "kl", "active_units") if c in rows[0]]
    epochs = [int(row["epoch"]) + 1 for row in rows]
    figure, axes = new_figure(3.2 * len(columns), 3, columns=len(columns))
    for axis, column in zip(np.atleast_1d(axes), columns, strict=True):
        for name, label in ((column, "training"), (f"val_{column}", "validation")):
            if rows[0].get(name, "NA") != "NA":  # what Keras writes for a run without validation
                axis.plot(epochs, [float(row[name]) for row in rows], label=label)
        axis.set(xlabel="epoch", title=column if column == "active_units" else f"{column} (nats)")
        axis.legend()
        settled = sorted(float(row[column]) for row in rows[len(rows) // 20 :])
        if column != "active_units":  # the first epochs would flatten all that follows
            margin = 0.1 * (settled[-1] - settled[0]) + 1e-3
            axis.set_ylim(settled[0] - margin, settled[-1] + margin)
    return figure


def kl(home):
    """KL of every latent unit against the epoch, units sorted by their last value."""
    with open(log_file(home, "kl_per_unit.csv"), newline="") as file:
        rows = list(csv.reader(file))
    if not rows:
        raise InvalidInput(f"{home.name} has no KL per unit: its posterior does not factorise over units")
    names = list(dict.fromkeys(row[1] for row in rows))
    figure, axes = new_figure(7, 3.2 * len(names), rows=len(names))
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        values = np.array([[float(v) for v in row[2:]] for row in rows if row[1] == name])
        values = values[:, np.argsort(-values[-1])]
        last = int(rows[-1][0]) + 1
        image = axis.imshow(values.T, aspect="auto", cmap="magma", extent=(0.5, last + 0.5, values.shape[1], 0))
        figure.colorbar(image, ax=axis, label="KL (nats)")
        active = int((values[-1] > 0.01).sum())
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.set(
            xlabel="epoch", ylabel="unit, sorted", title=f"{name}: {active} of {values.shape[1]} units above 0.01 nats"
        )
    return figure


KINDS = {
    "samples": samples,
    "reconstructions": reconstructions,
    "interpolations": interpolations,
    "manifold": manifold,
    "styles": styles,
    "analogies": analogies,
    "traversals": traversals,
    "latents": latents,
    "levels": levels,
    "training": training,
    "kl": kl,
}


def log_file(home, name):
    """A log of the run, or one line that there is none."""
    if not (home / name).is_file():
        raise InvalidInput(f"{home.name} has no {name}: it was not written by `zoo train`")
    return home / name


def grid(images, columns=None, gap=GAP):
    """[N, H, W, C] in [0, 1] -> one uint8 image [H', W', 3], row by row with a grey gap."""
    images = np.clip(np.asarray(images), 0, 1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise InvalidInput(f"only images of 1 or 3 channels can be shown, got shape {images.shape[1:]}")
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 0.5)
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return np.round(canvas * 255).astype("uint8")


def save_image(pixels, path, target=800):
    """Write a uint8 image as PNG, magnified by a whole number to about `target` pixels."""
    from PIL import Image

    factor = max(1, target // max(pixels.shape[:2]))
    with atomic(path) as temporary:
        Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(temporary)


def new_figure(width, height, rows=1, columns=1):
    """(figure, axes) without a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def save_figure(figure, path):
    """Write a matplotlib figure as PNG."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)
