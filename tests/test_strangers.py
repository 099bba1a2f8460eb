"""A stranger's folder, file or server: each attack is one line, reads nothing else, and makes nothing run."""

import http.server
import json
import os
import pathlib
import re
import socketserver
import struct
import threading
import time
import zipfile

import numpy as np
import pytest
from support import of_today, small, tiered

import zoo as package
from zoo.data.tfds.prepare import check_features
from zoo.errors import InvalidInput
from zoo.pretrained import read_card, trial
from zoo.pretrained.places import Folder, Web, Zip
from zoo.registry import check_classes


@pytest.fixture(scope="module")
def model():
    return small("vae", data_shape=(8, 8, 1), latent_dim=2)


@pytest.fixture
def folder(model, tmp_path):
    """A saved model, and a function that changes its card."""
    home = tmp_path / "theirs"
    package.save(model, home, card={"data": {"name": "digits"}})

    def change(**entries):
        card = json.loads((home / "card.json").read_text())
        card = {key: value for key, value in {**card, **entries}.items() if value != "gone"}
        (home / "card.json").write_text(json.dumps(card))
        return home

    return change


# ---------------------------------------------------------------- cards

WRONG = {
    "a name that leads out": {"name": "x" + "/.." * 14 + "/proc/self/cwd"},
    "a name of dots": {"name": ".."},
    "a name that is none": {"name": 3},
    "data that are a list": {"data": [1]},
    "data without words": {"data": {"name": 7}},
    "columns that are none": {"data": {"name": "digits", "columns": [1, 2]}},
    "metrics that are a list": {"metrics": [1]},
    "a metric without a value": {"metrics": {"nll": {"standard_error": 1.0}}},
    "a metric of text": {"metrics": {"nll": {"value": "low"}}},
    "versions of numbers": {"versions": {"keras": 3}},
    "notes that are none": {"notes": "one"},
    "a reference of text": {"reference": ["nll"]},
    "a recipe of text": {"recipe": "quick"},
    "stages of text": {"stages": ["first"]},
    "no model": {"model": "gone"},
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("command", ["info", "evaluate", "plot", "score", "reconstruct"])
def test_a_card_that_is_none_is_one_line_in_every_command(kind, command, folder, zoo):
    home = folder(**WRONG[kind])
    code, _, lines = zoo(command, home)
    assert (code, len(lines)) == (2, 1), lines


def test_what_a_card_may_leave_out_is_left_out(folder):
    home = folder(versions="gone", data="gone", name="gone", date="gone")
    card = read_card(home)
    assert (card["name"], card["data"], card["versions"]) == ("theirs", {}, {})


def test_a_data_folder_in_a_card_is_not_followed(folder, zoo, tmp_path):
    (tmp_path / "d").mkdir()
    home = folder(data={"name": "digits", "data_dir": str(tmp_path / "d")})
    code, _, err = zoo("evaluate", home, "--num-samples", 2, "--limit", 20)
    assert code == 0, err
    assert not any((tmp_path / "d").iterdir())


@pytest.mark.parametrize(
    "inner",
    [
        {"pythonClassName": "mymodel.evil.X"},
        {"python_class_name": "mymodel.evil.X"},
        {"type": "mymodel.evil.X", "content": {}},
    ],
)
def test_a_prepared_folder_that_names_a_class_of_its_own_is_refused(inner, tmp_path):
    features = {"pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict"}
    (tmp_path / "features.json").write_text(json.dumps(features))
    check_features(tmp_path)
    features["inner"] = [inner]
    (tmp_path / "features.json").write_text(json.dumps(features))
    with pytest.raises(InvalidInput, match=r"mymodel\.evil\.X"):
        check_features(tmp_path)


def test_saving_over_a_folder_removes_only_files_of_its_own_names(model, folder):
    for name in ("card.json", "README.md", ".."):
        home = folder(weights={"file": name, "sha256": "0" * 64, "bytes": 1})
        (home / "README.md").write_text("mine")
        package.save(model, home, overwrite=True)
        assert (home / "README.md").read_text() == "mine" and read_card(home)["weights"]["file"].endswith(".h5")


# ---------------------------------------------------------------- classes

CODE = {
    "a dotted class": {"module": "keras", "class_name": "layers.Lambda", "config": {}},
    "a dotted function": {"module": "keras", "class_name": "config.set_epsilon", "config": {"value": 1}},
    "a function of Keras": {"module": "keras.ops", "class_name": "arange", "config": {}},
    "a function as a class": {"module": "keras.utils", "class_name": "get_file", "config": {}},
    "a Lambda": {"module": "keras.layers", "class_name": "Lambda", "config": {}},
    "a layer that opens files": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}},
    "another module": {"module": "os", "class_name": "system", "config": {}},
    "a private name": {"module": "keras.layers", "class_name": "__loader__", "config": {}},
    "a module that is not imported": {"module": "keras.src.layers.evil", "class_name": "Dense", "config": {}},
    "an activation by a path": {"module": "keras.activations", "class_name": "function", "config": "os.system"},
    "an activation that is none": {"module": "keras.activations", "class_name": "function", "config": "loads"},
}


@pytest.mark.parametrize("kind", CODE)
def test_nothing_is_called_that_is_no_class_of_the_list(kind):
    for config in (CODE[kind], {"class_name": "Dense", "module": "keras.layers", "config": {"inner": [CODE[kind]]}}):
        with pytest.raises(InvalidInput):
            check_classes(config)


def test_layers_of_keras_pass():
    import keras

    inputs = keras.Input((4,))
    functional = keras.Model(inputs, keras.layers.Dense(2, activation="relu")(inputs) * 2.0)
    layers = (keras.Sequential([keras.layers.Dense(3, kernel_initializer="zeros")]), functional, keras.layers.GRU(2))
    for layer in (*layers, keras.layers.Dense(2, activation=keras.activations.gelu, kernel_regularizer="l2")):
        check_classes(keras.saving.serialize_keras_object(layer))


# ---------------------------------------------------------------- files


def test_pipes_devices_and_links_out_of_a_folder_are_not_read(folder, tmp_path, zoo):
    home = folder()
    (tmp_path / "secret.csv").write_text("epoch,loss\n0,1\n")
    (home / "log.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(InvalidInput, match="link out of it"), Folder(home).stream("log.csv"):
        pass
    from zoo.pretrained.remote import logs_of

    assert logs_of(home) == []
    (home / "card.json").unlink()
    os.mkfifo(home / "card.json")
    for command in ("info", "evaluate"):
        code, _, lines = zoo(command, home)
        assert (code, len(lines)) == (2, 1), lines
    with pytest.raises(InvalidInput, match="no plain file"), Folder(home).stream("card.json"):
        pass
    os.mkfifo(tmp_path / "a.zip")
    (tmp_path / "b.zip").symlink_to("/dev/zero")
    for name in ("a.zip", "b.zip"):
        with pytest.raises(InvalidInput, match="no plain file"), Zip(tmp_path / name).stream("card.json"):
            pass


def test_a_zip_of_very_many_members_is_refused_before_they_are_listed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(10_050):
            archive.writestr(f"{number}", b"")
    with pytest.raises(InvalidInput, match="more than 10000 files"), Zip(tmp_path / "a.zip").stream("card.json"):
        pass
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 2**31, 0, 0)  # one member, and a list of 2 GB
    (tmp_path / "b.zip").write_bytes(end)
    with pytest.raises(InvalidInput), Zip(tmp_path / "b.zip").stream("card.json"):
        pass


def test_a_log_without_columns_of_a_training_is_one_line(folder, zoo):
    home = folder()
    (home / "log.csv").write_text("a,b\n1,2\n")
    code, _, lines = zoo("plot", home, "--kind", "training")
    assert (code, len(lines)) == (2, 1) and "none of the columns" in lines[0]


ROWS = {
    "words": "0,z,a\n",
    "short": "0\n1\n",
    "uneven": "0,z,1,2\n1,z,1\n",
    "no text": "\udcff",
    "a heading": "epoch,z0\n",
}


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("picture", ["kl", "training"])
def test_a_log_of_other_things_is_one_line(kind, picture, folder, zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = folder()
    for log in ("log.csv", "kl_per_unit.csv"):
        (home / log).write_text(ROWS[kind], errors="surrogateescape")
    code, _, lines = zoo("plot", home, "--kind", picture)
    assert (code, len(lines)) == (2, 1), lines


def test_a_log_of_infinite_numbers_is_drawn(folder, zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = folder()
    (home / "log.csv").write_text("epoch,elbo\n0,nan\n1,inf\n2,-20\n")
    assert zoo("plot", home, "--kind", "training")[0] == 0


def test_a_log_that_is_a_link_out_of_its_folder_is_not_drawn(folder, zoo, tmp_path):
    home = folder()
    (tmp_path / "other.csv").write_text("epoch,elbo\n0,1\n")
    (home / "log.csv").symlink_to(tmp_path / "other.csv")
    code, _, lines = zoo("plot", home, "--kind", "training")
    assert code == 2 and "link out of its folder" in lines[-1]


# ---------------------------------------------------------------- the web


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers by the path alone; what it does not say it does for as long as somebody listens."""

    def do_GET(self):
        kind = self.path.split("/")[1]
        with_status = {"redirect": 302, "bad_redirect": 302, "loop": 302}
        self.send_response(with_status.get(kind, 200))
        if kind == "redirect":
            self.send_header("Location", "/card/card.json")
        if kind == "bad_redirect":
            self.send_header("Location", "http://[::1/")
        if kind == "loop":
            self.send_header("Location", self.path)
        if kind == "odd_length":
            self.send_header("Content-Length", "\u00b2")
        self.end_headers()
        self.server.sent = 0
        try:
            if kind in ("redirect", "endless"):
                while True:
                    self.wfile.write(b"\0" * 2**16)
                    self.server.sent += 2**16
            if kind == "drip":
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            self.wfile.write(b'{"format": 1}')
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads, sent = True, True, 0

    with Server(("127.0.0.1", 0), Hostile) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def content(place, limit=2**20):
    from zoo.pretrained.transfer import read

    return read(place, "card.json", limit)


def test_the_body_of_a_redirect_is_not_read(server):
    address = f"http://127.0.0.1:{server.server_address[1]}/redirect/"
    assert content(Web(address)) == b'{"format": 1}'
    assert server.sent < 2**26


@pytest.mark.parametrize(
    ("path", "said"), [("bad_redirect", "one line"), ("loop", "for ever"), ("endless", "larger than")]
)
def test_odd_answers_are_one_line(server, path, said):
    with pytest.raises(InvalidInput) as error:
        content(Web(f"http://127.0.0.1:{server.server_address[1]}/{path}/"))
    assert "\n" not in str(error.value) and (said == "one line" or said in str(error.value))


def test_an_answer_with_an_odd_length_is_read_to_its_end(server):
    assert content(Web(f"http://127.0.0.1:{server.server_address[1]}/odd_length/")) == b'{"format": 1}'


def test_an_answer_that_drips_is_given_up(server, monkeypatch):
    from zoo.pretrained import places

    monkeypatch.setattr(places, "PATIENCE", 0.5)
    began = time.monotonic()
    with pytest.raises(InvalidInput, match="KB a second"):
        content(Web(f"http://127.0.0.1:{server.server_address[1]}/drip/"))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://" + "a" * 70_000 + "/",
        "http:///x/",
        "http://user:secret@127.0.0.1/x/",
        "file://%00/x",
    ],
)
def test_odd_addresses_are_one_line_without_their_passwords(address):
    with pytest.raises(InvalidInput) as error:
        package.load(address)
    assert "\n" not in str(error.value) and "secret" not in str(error.value) and len(str(error.value)) < 500


def test_a_local_path_in_a_fetched_card_is_not_read(model, tmp_path, monkeypatch, zoo):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "private.npz", x=np.zeros((40, 8, 8, 1), "float32"))
    package.save(model, tmp_path / "theirs", card={"data": {"name": str(tmp_path / "private.npz")}})
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as archive:
        for path in pathlib.Path(tmp_path / "theirs").iterdir():
            archive.write(path, path.name)
    code, _, lines = zoo("evaluate", tmp_path / "theirs.zip", "--num-samples", 2)
    assert code == 2 and "--dataset" in lines[-1]
    code, _, lines = zoo("evaluate", tmp_path / "theirs.zip", "--num-samples", 2, "--dataset", tmp_path / "private.npz")
    assert code == 0, lines


def test_a_cache_that_is_cleared_under_a_fetch_breaks_none(model, tmp_path, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from zoo.pretrained.remote import clear_cache, fetch_folder

    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    package.save(model, tmp_path / "theirs")
    stop, cleared = threading.Event(), []

    def clear():
        while not stop.is_set():
            clear_cache()
            cleared.append(1)
            time.sleep(0.01)

    clearing = threading.Thread(target=clear)
    clearing.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            homes = list(pool.map(lambda _: fetch_folder(f"file://{tmp_path / 'theirs'}"), range(40)))
    finally:
        stop.set()
        clearing.join()
    assert len(homes) == 40 and len(cleared) > 3


def test_weights_files_of_circles_and_of_very_many_groups_are_refused_at_once(model, tmp_path):
    import h5py

    with h5py.File(tmp_path / "diamond.weights.h5", "w") as file:
        group = file
        for _ in range(60):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
    with h5py.File(tmp_path / "many.weights.h5", "w") as file:
        for number in range(21_000):
            file.create_group(str(number))
    for name, said in (("diamond", "another name too"), ("many", "more than 20000 objects")):
        began = time.monotonic()
        with pytest.raises(InvalidInput, match=said):
            model.load_weights(tmp_path / f"{name}.weights.h5")
        assert time.monotonic() - began < 20


# ---------------------------------------------------------------- sizes


def layer(kind, module="keras.layers", **config):
    """A layer as Keras serialises it."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def network(*layers):
    return layer("Sequential", "keras", name="theirs", layers=list(layers))


def repeated(number, *layers):
    return network(layer("Flatten"), layer("RepeatVector", n=number), *layers)


MEAN, TAKES = layer("GlobalAveragePooling2D"), {"hidden_units": [1]}
LARGE = {  # an encoder, or other arguments, and what is said
    "Resizing": (network(layer("Resizing", height=20_000, width=20_000), MEAN), "gives 800,000,000 numbers"),
    "UpSampling2D": (network(layer("UpSampling2D", size=[2_000, 2_000]), MEAN), "gives 512,000,000 numbers"),
    "ZeroPadding2D": (network(layer("ZeroPadding2D", padding=10_000), MEAN), "gives 800,640,128 numbers"),
    "strides": (
        network(layer("Conv2DTranspose", filters=1, kernel_size=1, strides=5_000), MEAN),
        "gives 3,200,000,000 numbers",
    ),
    "one inside another": (network(network(layer("UpSampling2D", size=[2_000, 2_000])), MEAN), "numbers for two"),
    "a loop unrolled": (repeated(60_000, layer("SimpleRNN", units=1, unroll=True)), "operations"),
    "a loop": (repeated(60_000, layer("SimpleRNN", units=1)), "operations"),
    "a wide layer of steps": (repeated(60_000, layer("Dense", units=4_000)), "gives 480,000,000 numbers"),
    "very many layers": (network(*[layer("Dropout", rate=0.1)] * 900, *[layer("Dense", units=1)] * 900), "operations"),
    "a frame of sound": (
        network(
            layer("Flatten"),
            layer("Reshape", target_shape=[64, 1]),
            layer("STFTSpectrogram", frame_length=65_536, frame_step=1, fft_length=65_536),
        ),
        "numbers",
    ),
    "weights of no file": (network(layer("Flatten"), *[layer("Dense", units=60_000)] * 2), "numbers as weights"),
    "a convolution of the zoo": ({"name": "conv", "filters": [1_000]}, "gives 67,108,864,000 numbers"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_a_card_describes_is_bounded_before_it_is_made(kind, folder, monkeypatch):
    monkeypatch.setattr(trial, "MOST_OPERATIONS", 1_000)  # so that the test is short
    encoder, said = LARGE[kind]
    shape = (1024, 1024, 1) if kind == "a convolution of the zoo" else (8, 8, 1)
    config = {"data_shape": shape, "latent_dim": 2, "encoder": encoder, "decoder": {"name": "mlp", **TAKES}, "seed": 1}
    home = folder(config=config)
    with pytest.raises(InvalidInput, match=f"card.json describes a model of .*{said}"):
        package.load(home)


def test_a_decoder_of_a_card_is_bounded_too(folder):
    large = network(
        layer("Dense", units=64), layer("Reshape", target_shape=[8, 8, 1]), layer("UpSampling2D", size=[1_000, 1_000])
    )
    home = folder(config={"data_shape": (8, 8, 1), "latent_dim": 2, "encoder": "mlp", "decoder": large, "seed": 1})
    with pytest.raises(InvalidInput, match="describes a model of .*numbers"):
        package.load(home)


def test_layers_of_a_card_within_the_bounds_are_loaded(tmp_path):
    encoder = network(layer("Flatten"), layer("Reshape", target_shape=[8, 8]), layer("GRU", units=4))
    model = package.create("vae", data_shape=(8, 8, 1), latent_dim=2, encoder=encoder, decoder={"name": "mlp", **TAKES})
    package.save(model, tmp_path / "theirs")
    for ours, theirs in zip(model.get_weights(), package.load(tmp_path / "theirs").get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_layers_of_a_preset_are_bounded(tmp_path, zoo):
    encoder, _ = LARGE["Resizing"]
    config = {"latent_dim": 2, "encoder": encoder, "decoder": {"name": "mlp", **TAKES}}
    preset = {"model": "vae", "config": {"data_shape": (8, 8, 1), **config}, "data": {"name": "digits"}}
    (tmp_path / "preset.json").write_text(json.dumps(preset))
    code, _, lines = zoo("train", "--preset", tmp_path / "preset.json", "--output", tmp_path / "run")
    assert code == 2 and "the preset describes a model of a layer" in lines[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", tiered(package.list_models(), of_today(package.list_models(), 3).__contains__))
def test_every_model_passes_its_trial(name):
    from zoo.creation import model_class
    from zoo.models.weights import weights_bytes

    for config in model_class(name)[0].examples().values():
        made = package.create(name, **config)
        trial.try_out(name, json.loads(json.dumps(made.get_config())), "the card", weights_bytes(made))


def test_a_preset_that_is_nested_deeply_is_one_line(tmp_path, zoo):
    notes = "[" * 400 + "]" * 400
    (tmp_path / "preset.json").write_text(f'{{"model": "vae", "data": {{"name": "digits"}}, "notes": {notes}}}')
    code, _, lines = zoo("train", "--preset", tmp_path / "preset.json", "--output", tmp_path / "run")
    assert (code, len(lines)) == (2, 1) and "nested deeper" in lines[0]


def test_a_zip_whose_places_lead_nowhere_is_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("card.json", b"{}")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    place = content.rfind(b"PK\5\6")
    content[place + 16 : place + 20] = struct.pack("<I", 2**31)  # where the list of members is said to be
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InvalidInput), Zip(tmp_path / "a.zip").stream("card.json"):
        pass


def test_models_of_the_zoo_are_not_tried_out(monkeypatch):
    monkeypatch.setattr(trial, "try_out", lambda *_: pytest.fail("tried out"))
    assert package.load("vae_mnist_2d").latent_dim == 2


def test_weights_in_a_keras_file_are_bounded_before_they_are_read(model, tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\0" * 2**25)
    with pytest.raises(InvalidInput, match="has 33,554,432 bytes; at most .* are read"):
        model.load_weights(path)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_050):
            archive.writestr(f"{number}", b"")
    with pytest.raises(InvalidInput, match="more than 10000 files"):
        model.load_weights(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InvalidInput, match="no plain file"):
        model.load_weights(path)
    path.unlink()
    model.save(path)
    model.load_weights(path)


def test_every_test_that_is_named_in_the_policy_is_there():
    root = pathlib.Path(__file__).parent
    named = set(re.findall(r"`(test_\w+)`", (root.parent / "SECURITY.md").read_text()))
    there = {name for file in root.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    assert len(named) > 15 and not named - there


def test_the_bounds_that_the_policy_names_are_those_of_a_trial():
    text = (pathlib.Path(__file__).parent.parent / "SECURITY.md").read_text()
    powers = [trial.LARGEST_TENSOR, trial.MOST_NUMBERS, trial.FOR_A_WEIGHT, trial.SPARE]
    assert [2 ** int(power) for power in re.findall(r"2\^(\d+)", text)] == powers
    for number in (trial.MOST_OPERATIONS, trial.PER_STEP, trial.FOR_A_TENSOR):
        assert re.search(rf"\b{number:,}\b", text)
