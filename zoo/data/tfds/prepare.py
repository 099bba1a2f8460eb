"""TFDS behind one door: download, prepare and read the named data sets, without its chatter."""

import contextlib
import importlib
import io
import sys
import urllib.error
import urllib.request

import numpy as np

from zoo.data.tfds.catalogue import DATASETS, is_available, list_datasets, prepared_folder, resolve_data_dir
from zoo.errors import InvalidInput, choose, reason
from zoo.files import read_json
from zoo.quiet import quiet_stderr, waiting


def _way_out(name, data_dir):
    """What there is without a network: data sets of the same shape, and the user's own."""
    shape = DATASETS[name].shape
    here = [repr(n) for n in list_datasets(data_dir) if DATASETS[n].shape == shape and is_available(n, data_dir)]
    named = f"{' or '.join(here)}, which is there, or " if here else ""
    own = "sequences" if shape[0] is None else "images"
    return (
        f"without a network use {named}{own} of your own (a folder, an .npy or .npz file), "
        "or set TFDS_DATA_DIR to a folder of prepared data sets"
    )


def prepare_dataset(name, data_dir=None):
    """Download and prepare a named data set unless it is there; returns its folder.

    The stand-in for the `tfds build` command, which needs apache_beam.

    Raises:
        InvalidInput: unknown name, or the download failed.
    """
    info = choose("data set", name, DATASETS)
    if info.version is None:
        return None
    folder = prepared_folder(name, data_dir)
    if is_available(name, data_dir):
        return folder
    if info.only_prepared:
        raise InvalidInput(f"{name} cannot be downloaded, and there is no {str(folder)!r}: set TFDS_DATA_DIR")
    print(f"downloading {name} to {folder}", file=sys.stderr)
    try:
        builder = _builder(name, data_dir)
        _check_network(builder)
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except InvalidInput:
        raise
    except Exception as error:  # TFDS, requests and the file system each raise their own
        raise InvalidInput(f"could not download {name} ({reason(error)}); {_way_out(name, data_dir)}") from error
    return folder


def _check_network(builder):
    """Raise at once where the site cannot be reached: TFDS itself tries for minutes."""
    addresses = [*getattr(builder, "ADDRESSES", ()), *(builder.url_infos or ())]
    if addresses:
        # An HTTP error is an answer too: whether they have the file is for TFDS to find out.
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(addresses[0], method="HEAD"), timeout=20).close()


def read_split(name, expression, data_dir=None):
    """Arrays of a TFDS split expression, in stored order: x uint8 [N, H, W, C], y int32 [N] where there are labels."""
    dataset, labels = _examples(name, expression, data_dir)
    with waiting(f"reading {name}"):
        batches = list(dataset.batch(1000).as_numpy_iterator())
    arrays = {k: np.concatenate([b[k] for b in batches]) for k in ("x", *labels)}
    arrays["x"] *= np.uint8(DATASETS[name].scale)
    return arrays | {k: arrays[k].astype("int32") for k in labels}


def read_sequences(name, expression, data_dir=None):
    """As `read_split`, of sequences: x is a list of arrays [T, ...] as they are stored."""
    dataset, labels = _examples(name, expression, data_dir)
    with waiting(f"reading {name}"):
        examples = list(dataset.as_numpy_iterator())
    return {"x": [e["x"] for e in examples]} | {k: np.array([e[k] for e in examples], "int32") for k in labels}


def _examples(name, expression, data_dir):
    """(dataset of dicts with x and, where there are labels, y; the names of the latter)."""
    prepare_dataset(name, data_dir)
    info = DATASETS[name]
    builder = _builder(name, data_dir)
    import tensorflow_datasets as tfds

    with quiet_stderr():  # TFDS warns of its own code
        dataset = builder.as_dataset(split=expression, read_config=tfds.ReadConfig(try_autocache=False))
    labels = {"y": info.label} if info.num_classes else {}
    fields = {"x": info.field, **labels}
    return dataset.map(lambda example: {k: example[v] for k, v in fields.items()}), tuple(labels)


def _builder(name, data_dir=None):
    """The TFDS builder of a named data set: ours, the stock one, or whatever wrote the prepared folder."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InvalidInput(f"{name} needs tensorflow-datasets ({error}): pip install tensorflow-datasets") from None
    tfds.disable_progress_bar()
    if is_available(name, data_dir):
        check_features(prepared_folder(name, data_dir))
        return tfds.builder_from_directory(prepared_folder(name, data_dir))
    folder = resolve_data_dir(data_dir)
    version = DATASETS[name].version
    own = {**_builders("builders"), **_builders("sequence_builders")}
    if name in own:
        return own[name](data_dir=folder, version=version)
    return tfds.builder(f"{name}:{version}", data_dir=folder)


def check_features(folder):
    """Raise `InvalidInput` where a prepared folder names classes that are not TFDS' own: it would import them."""
    ahead = [read_json(folder / "features.json")]
    while ahead:
        content = ahead.pop()
        ahead += content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
        found = content if isinstance(content, dict) else {}
        keys = ("pythonClassName", "python_class_name", *(("type", "proto_cls") if "content" in found else ()))
        for name in (found[key] for key in keys if key in found):
            if not str(name).startswith("tensorflow_datasets."):
                raise InvalidInput(f"{folder} names the class {name!r}, which is not one of TensorFlow Datasets")


def _builders(module):
    """Name -> builder of a module of ours, whose import needs TFDS."""
    return importlib.import_module(f"zoo.data.tfds.{module}").BUILDERS
