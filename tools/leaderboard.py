"""The leaderboard of the site: our pretrained models beside published ones, protocol by protocol."""

from typing import NamedTuple

from tools.tables import estimate, linked, markdown
from zoo import pretrained


class Protocol(NamedTuple):
    """A data set and a way to measure on it: numbers of two protocols do not compare.

    `published` has a line for each: the number, what it is of, and behind a semicolon what it took, where that is said.
    """

    title: str
    about: str
    published: str
    data: str
    binarize: str | None = None
    metric: str = "nll"


ABOUT = (
    "Models with a factorised decoder. Ours are in bold, with the standard error over the test images; how many of "
    "these and how many draws were used stands on each model's page, beside the command that measured it."
)
PROTOCOLS = (
    Protocol(
        "Static MNIST",
        "Negative log-likelihood in nats of Larochelle's binary images.",
        """
        78.59 BIVA, Maaløe et al. 2019
        79.84 residual VAE with a RealNVP prior, arXiv:1905.13452
        80.09 convolutional VAE with a RealNVP prior, arXiv:1905.13452
        80.22 Sylvester flows, van den Berg et al. 2018
        80.79 IAF, in van den Berg et al. 2018
        81.09 ConvHVAE with a VampPrior, Tomczak & Welling 2018
        81.91 planar flows, in van den Berg et al. 2018
        81.94 HVI, convolutional, 16 steps, Salimans et al. 2015
        82.14 gated convolutional VAE, van den Berg et al. 2018
        85.51 HVI, fully connected, 8 steps, Salimans et al. 2015
        86.60 DLGM, Rezende et al. 2014
        89.90 VAE, Rezende & Mohamed 2015; 500,000 updates
        """,
        "binarized_mnist",
    ),
    Protocol(
        "Dynamic MNIST",
        "Negative log-likelihood in nats; pixels are drawn afresh in training, once for the test images.",
        """
        78.41 BIVA, Maaløe et al. 2019
        78.49 residual VAE with a RealNVP prior, arXiv:1905.13452
        79.10 IAF, Kingma et al. 2016, 128 samples
        79.58 ConvHVAE, Exemplar VAE, Norouzi et al. 2020
        81.24 HVAE with a VampPrior, Tomczak & Welling 2018
        81.74 LVAE, Sønderby et al. 2016; 2,000 epochs
        82.38 VAE with a VampPrior, Tomczak & Welling 2018
        82.90 IWAE, two layers, 50 draws, Burda et al. 2016; 3,280 epochs
        84.78 IWAE, 50 draws, Burda et al. 2016; 3,280 epochs
        86.76 VAE, Burda et al. 2016; 3,280 epochs
        """,
        "mnist",
        "dynamic",
    ),
    Protocol(
        "OMNIGLOT, Burda's file",
        "Negative log-likelihood in nats; pixels are drawn afresh. No model of ours is trained on this file.",
        """
        93.77 Sylvester flows, van den Berg et al. 2018
        96.38 ConvHVAE, Exemplar VAE, Norouzi et al. 2020
        97.25 gated convolutional VAE, van den Berg et al. 2018
        102.11 LVAE, Sønderby et al. 2016
        103.38 IWAE, two layers, 50 draws, Burda et al. 2016
        """,
        "omniglot_burda",
        "dynamic",
    ),
    Protocol(
        "OMNIGLOT, by area averaging",
        "Negative log-likelihood in nats; the same drawings, reduced by area averaging and divided otherwise, so that "
        "numbers on Burda's file do not compare.",
        "",
        "omniglot_28x28",
        "dynamic",
    ),
    Protocol(
        "Caltech 101 silhouettes",
        "Negative log-likelihood in nats of the 28 x 28 silhouettes.",
        """
        93.82 Sylvester flows, van den Berg et al. 2018
        98.53 planar flows, in van den Berg et al. 2018
        99.62 gated convolutional VAE, van den Berg et al. 2018
        """,
        "caltech_silhouettes_28x28",
    ),
    Protocol(
        "Fashion-MNIST, binarised",
        "Negative log-likelihood in nats; pixels are drawn as those of dynamic MNIST.",
        """
        224.63 ConvHVAE, Exemplar VAE, Norouzi et al. 2020
        224.67 ConvHVAE with a VampPrior, Tomczak & Welling 2018
        226.72 HVAE with a VampPrior, Tomczak & Welling 2018
        228.70 VAE, Tomczak & Welling 2018
        """,
        "fashion_mnist",
        "dynamic",
    ),
    Protocol(
        "Frey faces",
        "Bits per dimension of pixels of 256 levels, mean of three divisions of the images.",
        """
        4.31 planar flows, in van den Berg et al. 2018
        4.38 IAF, in van den Berg et al. 2018
        4.40 gated convolutional VAE, van den Berg et al. 2018
        """,
        "frey_faces",
        metric="bits_per_dim_3_runs",
    ),
)


def leaderboard(where="{}"):
    """The page: all protocols, a heading and a table each; `where` is the address of a pretrained model's page."""
    lines = ["# Leaderboard", "", ABOUT, ""]
    for protocol in PROTOCOLS:
        rows = sorted([*published(protocol), *ours(protocol, where)])
        lines += [f"## {protocol.title}", "", protocol.about, ""]
        lines += [*markdown(["number", "model", "what it took"], [row[1:] for row in rows]), ""]
    return "\n".join(lines)


def published(protocol):
    """(number, number as it is shown, what, compute) of what others report."""
    for line in protocol.published.strip().splitlines():
        number, _, said = line.strip().partition(" ")
        what, _, compute = said.partition("; ")
        yield float(number), number, what, compute


def ours(protocol, where):
    """The same of the pretrained models that are measured by a protocol, with the errors of their numbers."""
    for name in pretrained.list_pretrained():
        card = pretrained.read_card(name)
        found = card.get("metrics", {}).get(protocol.metric)
        same = card["data"]["name"] == protocol.data and card["config"].get("binarize") == protocol.binarize
        if found and same and "given" not in found:
            yield found["value"], f"**{estimate(found)}**", f"**{linked(name, where)}**", compute_of(card)


def compute_of(card):
    """What a training took, as its card says, together with that of the pretrained model it began from."""
    said, took = f"{card['epochs_trained']} epochs", card.get("timing")
    if not took:
        return said
    origin, seconds, cores = card.get("from"), took["seconds"], took["machine"]["cores"]
    before = pretrained.read_card(origin).get("timing") if origin in pretrained.list_pretrained() else None
    seconds += before["seconds"] if before else 0
    about = "about " if "epochs_timed" in took else ""
    beside = f" with {origin}" if before else ""
    lasted = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
    return f"{said}, {about}{lasted} on {cores} core{'s' if cores > 1 else ''}{beside}"
