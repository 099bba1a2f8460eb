"""Weights on demand: from a mirror, and of strangers, over a web server of this machine; every mishap is one line."""

import concurrent.futures
import json
import shutil
import zipfile

import numpy as np
import pytest
from support import small
from web import serving

import zoo
from zoo import pretrained
from zoo.errors import CannotWrite, InvalidInput
from zoo.pretrained import places, store, transfer

NAME, FILE = "vae_tiny", "model.weights.h5"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a small model that is published."""
    folder = tmp_path_factory.mktemp("original") / NAME
    zoo.save(small("vae", data_shape=(8, 8, 1)), folder, card={"data": {"name": "digits", "split": "train"}})
    (folder / "log.csv").write_text("epoch,elbo\n0,-30\n1,-20\n")
    return folder


@pytest.fixture
def web(original, tmp_path):
    """A server of a folder with that model."""
    shutil.copytree(original, tmp_path / "web" / NAME)
    with serving(tmp_path / "web") as server:
        yield server


@pytest.fixture
def installed(original, tmp_path, monkeypatch, web):
    """The zoo as a wheel has it, a card without its weights, an empty cache, and the server as the mirror."""
    (tmp_path / "installed" / NAME).mkdir(parents=True)
    shutil.copy(original / "card.json", tmp_path / "installed" / NAME)
    monkeypatch.setattr(store, "folder", lambda: tmp_path / "installed")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_MIRROR", web.address)
    return tmp_path / "installed"


def refused(message, name=NAME):
    with pytest.raises(InvalidInput, match=message) as caught:
        zoo.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_come_from_the_mirror_once_and_are_the_same(installed, original, web):
    expected = zoo.load(original).get_weights()
    for _ in range(2):
        for ours, theirs in zip(zoo.load(NAME).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert web.asked == [(f"/{NAME}/{FILE}", None)]
    [entry] = pretrained.list_cache()
    assert (entry["name"], entry["bytes"]) == (NAME, (original / FILE).stat().st_size)


@pytest.mark.parametrize("kind", ["folder", "file address"])
def test_a_mirror_may_be_a_folder(kind, installed, original, monkeypatch):
    monkeypatch.setenv("ZOO_MIRROR", original.parent.as_uri() if kind == "file address" else str(original.parent))
    assert zoo.load(NAME).latent_dim == 3
    monkeypatch.setenv("ZOO_MIRROR", str(installed))
    pretrained.clear_cache()
    refused(f"has no weights, nor the cache .*cache, and cannot read {installed}/{NAME}/{FILE}: no such file")


def test_a_download_that_breaks_off_goes_on_from_there(installed, web, monkeypatch):
    monkeypatch.setattr(places, "CHUNK", 1000)
    web.cuts[f"/{NAME}/{FILE}"] = [5000]
    assert zoo.load(NAME).latent_dim == 3
    assert [asked for _, asked in web.asked] == [None, "bytes=5000-"]


def test_a_download_goes_on_in_another_process_and_with_a_server_without_ranges(installed, web, original):
    entry = pretrained.read_card(NAME)["weights"]
    part = pretrained.cache_folder() / entry["sha256"][:12] / NAME / f"{FILE}.part"
    part.parent.mkdir(parents=True)
    content = (original / FILE).read_bytes()
    for web.ranges in (True, False):
        part.write_bytes(content[:3000])
        zoo.load(NAME)
        pretrained.clear_cache()
        part.parent.mkdir(parents=True)
    part.write_bytes(b"another file" * 100)
    web.ranges = True
    zoo.load(NAME)
    assert [asked for _, asked in web.asked] == ["bytes=3000-"] * 2 + ["bytes=1200-", None]


def test_a_download_that_stays_broken_is_one_line_and_keeps_what_came(installed, web, monkeypatch):
    monkeypatch.setattr(places, "CHUNK", 1000)
    web.cuts[f"/{NAME}/{FILE}"] = [1000] * transfer.ATTEMPTS
    refused(f"{web.address}/{NAME}/{FILE} broke off; the next attempt goes on from there")
    [part] = pretrained.cache_folder().rglob(f"{FILE}*")
    assert part.stat().st_size == 1000 * transfer.ATTEMPTS
    zoo.load(NAME)
    assert web.asked[-1] == (f"/{NAME}/{FILE}", "bytes=4000-")


MISHAPS = {
    "404": (lambda web, file: file.unlink(), f"has no weights, nor the cache .*, and .*/{NAME}/{FILE} answers 404"),
    "hash": (lambda web, file: flip(file), f"{FILE} of .* is not the one of its card: its SHA-256 differs"),
    "short": (lambda web, file: file.write_bytes(b"x"), f"{FILE} of .* has 1 bytes, and its card says"),
    "long": (lambda web, file: file.write_bytes(file.read_bytes() * 2), "and its card says"),
    "HTML": (lambda web, file: web.pages.add(f"/{NAME}/{FILE}"), "is a page .text/html. and not the file"),
    "redirect": (
        lambda web, file: web.redirects.update({f"/{NAME}/{FILE}": "http://localhost:9/stolen"}),
        "leads to another host, which is not followed: http://localhost:9/stolen",
    ),
}


def flip(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("kind", MISHAPS)
def test_what_a_mirror_does_wrong_is_one_line_and_leaves_nothing(kind, installed, web):
    change, message = MISHAPS[kind]
    change(web, web.folder / NAME / FILE)
    refused(message)
    assert not list(pretrained.cache_folder().rglob("*.h5*"))


def test_a_redirect_on_the_host_is_followed(installed, web):
    (web.folder / NAME / FILE).rename(web.folder / "moved")
    web.redirects[f"/{NAME}/{FILE}"] = "/moved"
    assert zoo.load(NAME).latent_dim == 3


def test_redirects_keep_to_their_host_and_to_https():
    plain, hub = places.Web("https://a.org/x"), places.Web("https://huggingface.co/u/n", hub=True)
    assert plain.allows("https://a.org/x", "https://a.org/y") and plain.allows("http://a.org/x", "https://a.org/x")
    for after in (
        "http://a.org/y",
        "https://b.org/y",
        "https://a.org:444/y",
        "file:///etc/passwd",
        "https://a.org.b.c",
    ):
        assert not plain.allows("https://a.org/x", after)
    assert hub.allows("https://huggingface.co/u/n", "https://cdn-lfs.hf.co/file")
    for after in ("http://cdn-lfs.hf.co/file", "https://evil-hf.co/file", "https://hf.co.evil.org/file"):
        assert not hub.allows("https://huggingface.co/u/n", after)


def test_a_mirror_that_is_down_is_one_line_that_says_where_it_looked(installed, monkeypatch):
    monkeypatch.setenv("ZOO_MIRROR", "http://127.0.0.1:9/models")
    said = refused("has no weights")
    for place in (installed / NAME, pretrained.cache_folder(), f"http://127.0.0.1:9/models/{NAME}/{FILE}"):
        assert str(place) in said
    assert said.endswith("cannot be reached: connection refused")


def test_a_cache_that_cannot_be_written_is_one_line(installed, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(CannotWrite, match=f"cannot write {tmp_path}/file/.*; the variable ZOO_CACHE names another"):
        zoo.load(NAME)


def test_many_fetch_the_same_weights_at_once_and_one_downloads_them(installed, web):
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        files = set(threads.map(lambda _: pretrained.fetch(NAME), range(8)))
    assert len(files) == len(web.asked) == 1
    assert [path.name for path in files.pop().parent.iterdir()] == [FILE]


def test_a_damaged_file_in_the_cache_is_fetched_anew(installed, web):
    flip(pretrained.fetch(NAME))
    assert zoo.load(NAME).latent_dim == 3
    assert len(web.asked) == 2


def test_a_name_that_a_folder_here_has_too_is_refused(installed, original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(original, tmp_path / NAME)
    refused(f"'{NAME}' is a folder here and a pretrained model: say ./{NAME}")
    assert zoo.load(f"./{NAME}").latent_dim == 3
    monkeypatch.chdir(installed)
    assert zoo.load(NAME).latent_dim == 3


# ---------------------------------------------------------------- folders of strangers


@pytest.fixture
def stranger(installed, web, monkeypatch):
    """A server that has a model as the Hub and as any web page has it: (folder, its addresses)."""
    monkeypatch.setenv("HF_ENDPOINT", web.address)
    home = web.folder / "user" / "theirs" / "resolve" / "main"
    shutil.copytree(web.folder / NAME, home)
    return home, ["hf://user/theirs", f"{web.address}/user/theirs/resolve/main/", home.as_uri()]


def test_a_model_of_a_stranger_is_loaded_and_the_checksum_of_its_card_shown(stranger, web, original, capsys):
    home, addresses = stranger
    card = json.loads((home / "card.json").read_text())
    for address in addresses:
        model = zoo.load(address)
        assert model.card == card
        said = f"{address}: the weights have the SHA-256 of its own card, {card['weights']['sha256']}\n"
        assert capsys.readouterr().err == said
    asked = len(web.asked)
    assert pretrained.locate(addresses[0]).name == "theirs"
    assert web.asked[asked:] == [("/user/theirs/resolve/main/card.json", None)], "what is in the cache is kept"
    assert {path.name for path in pretrained.locate(addresses[0]).iterdir()} == {"card.json", FILE, "log.csv"}
    card["weights"]["sha256"] = "0" * 64
    (home / "card.json").write_text(json.dumps(card))
    refused("SHA-256 differs", addresses[0])


def test_what_came_from_an_address_is_used_when_it_cannot_be_reached(installed, original, tmp_path, capsys):
    shutil.copytree(original, tmp_path / "down" / NAME)
    with serving(tmp_path / "down") as server:
        address = f"{server.address}/{NAME}/"
        expected = zoo.load(address).get_weights()
        (tmp_path / "down" / NAME / "card.json").unlink()
        refused("answers 404", address)
    capsys.readouterr()
    for ours, theirs in zip(zoo.load(address).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{address}card.json cannot be reached") and "what came from there last is used" in said
    pretrained.clear_cache()
    refused("cannot be reached", address)


HOSTILE = {
    "no card": (lambda home: (home / "card.json").unlink(), "answers 404"),
    "no JSON": (lambda home: (home / "card.json").write_text("{"), "card.json of .* is not valid JSON"),
    "large card": (lambda home: (home / "card.json").write_bytes(b" " * (2**24 + 1)), "larger than the 16 MB"),
    "outside": (lambda home: with_weights(home, file="../../x.h5"), "points outside its folder"),
    "claims": (lambda home: with_weights(home, bytes=2**40), "says that its weights have"),
    "no size": (lambda home: with_weights(home, bytes="many"), "weights.bytes is str"),
    "other size": (lambda home: with_weights(home, bytes=17), "and its card says 17"),
    "no weights": (lambda home: (home / FILE).unlink(), f"{FILE} answers 404"),
}


def with_weights(home, **entries):
    card = json.loads((home / "card.json").read_text())
    card["weights"] |= entries
    (home / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_folder_is_one_line_and_nothing_is_kept(kind, stranger):
    home, (address, *_) = stranger
    change, message = HOSTILE[kind]
    change(home)
    refused(message, address)
    assert not list(pretrained.cache_folder().rglob("*.h5*"))


ADDRESSES = {
    "ftp://host/model": "unknown scheme 'ftp'; did you mean http",
    "hf://user": "an address of the Hub is hf://user/name, got 'hf://user'",
    "hf://user/../name": "an address of the Hub is hf://user/name",
    "hf://user/..": "an address of the Hub is hf://user/name",
    "https://host/model.zip": "is a zip: fetch it, and name the file",
    "nowhere.zip": "cannot read nowhere.zip: no such file",
    "file:///no/such/folder": "cannot read /no/such/folder/card.json: no such file",
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_that_is_none_is_one_line(name):
    refused(ADDRESSES[name], name)


def zipped(original, path, prefix="", **more):
    """A zip of the folder `original`, its files under a prefix, and more files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in original.iterdir():
            archive.write(file, f"{prefix}{file.name}")
        for name, content in more.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("prefix", ["", "inside/"])
def test_a_zip_is_loaded_and_only_what_is_read_leaves_it(prefix, installed, original, tmp_path):
    path = zipped(original, tmp_path / "a model.zip", prefix, **{f"{prefix}run.py": "print('hello')"})
    assert zoo.load(path).latent_dim == zoo.load(str(path)).latent_dim == 3
    home = pretrained.locate(path)
    assert home.name == "a_model" and not list(home.glob("*.py"))


BAD_ZIPS = {
    "leaving": ({"../x": ""}, "leads out of it: '../x'"),
    "absolute": ({"/etc/x": ""}, "leads out of it"),
    "two models": ({"other/card.json": "{}"}, "holds 2 card.json"),
    "twice": ({"log.csv": ""}, "two files of the name 'log.csv'"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_is_one_line(kind, installed, original, tmp_path):
    more, message = BAD_ZIPS[kind]
    refused(message, zipped(original, tmp_path / "m.zip", **more))


def test_a_zip_that_is_none_is_damaged_or_grows_is_one_line(installed, original, tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(b"no zip")
    refused("cannot be read as a zip", path)
    content = bytearray(zipped(original, path).read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    refused("cannot be read as a zip|SHA-256 differs", path)
    bomb = tmp_path / "bomb"
    shutil.copytree(original, bomb)
    (bomb / FILE).write_bytes(b"\0" * 10**7)
    refused("has 10,000,000 bytes, and its card says", zipped(bomb, path))
    assert not list(pretrained.cache_folder().rglob("*.h5*"))


# ---------------------------------------------------------------- the command line


def test_fetch_and_cache_on_the_command_line(zoo, installed, stranger):
    code, out, _ = zoo("fetch", NAME, "hf://user/theirs", "--json")
    assert code == 0 and all(file.endswith(FILE) for file in json.loads(out).values())
    code, out, _ = zoo("cache", "list", "--json")
    assert [entry["name"] for entry in json.loads(out)] == ["theirs", NAME]
    code, out, _ = zoo("cache", "clear", "theirs")
    assert out.startswith("removed theirs, 0.0 MB")
    assert zoo("fetch", "--all")[0] == 0
    assert NAME in zoo("cache", "list")[1]
    assert zoo("cache", "clear")[1].startswith(f"removed {NAME}") and zoo("cache", "list")[1].endswith("is empty\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch"], "say what to fetch"),
        (["fetch", NAME, "--all"], "say what to fetch"),
        (["fetch", "vae_tinny"], f"did you mean {NAME}"),
        (["cache", "clear", "vae_tinny"], "unknown model in the cache 'vae_tinny'"),
        (["cache", "lits"], "lits"),
        (["evaluate", "hf://user/theirs", "--update-card"], "--update-card is for a folder of yours"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(zoo, installed, arguments, message):
    code, _, lines = zoo(*arguments)
    assert code == 2 and len(lines) == 1 and message in lines[0]


def test_a_command_fetches_what_it_needs(zoo, installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = zoo("sample", NAME, "--format", "npz", "--count", 3)
    assert code == 0 and "x [3, 8, 8, 1]" in out


@pytest.mark.slow
@pytest.mark.parametrize("where", ["mirror", "address"])
def test_every_command_takes_what_is_fetched(where, zoo, stranger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = NAME if where == "mirror" else "hf://user/theirs"
    preset = {"model": "vae", "from": name, "data": {"name": "digits"}, "recipe": {"epochs": 1}}
    (tmp_path / "preset.json").write_text(json.dumps(preset))
    for command in (
        ["evaluate", name, "--num-samples", 2, "--limit", 3],
        ["reconstruct", name],
        ["score", name, "--num-samples", 2, "--count", 2],
        ["encode", name, "--count", 2],
        ["plot", name, "--kind", "latents"],
        ["export", name],
        ["train", "--from", name, "--epochs", 1, "--output", "tuned"],
        ["train", "--preset", "preset.json", "--output", "begun"],
    ):
        code, _, lines = zoo(*command)
        assert code == 0, (command, lines)
    assert (tmp_path / "exports" / ("theirs" if where == "address" else NAME) / "1" / "saved_model.pb").is_file()


def test_commands_work_with_models_from_elsewhere(zoo, stranger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home, _ = stranger
    (home / "card.json").write_text(
        json.dumps({**json.loads((home / "card.json").read_text()), "notes": ["a\x1b[31m\nb"]})
    )
    assert json.loads(zoo("info", "hf://user/theirs", "--json")[1])["model"] == "vae"
    assert "\x1b" not in zoo("info", "hf://user/theirs")[1]
    assert zoo("plot", "hf://user/theirs", "--kind", "training")[0] == 0
    assert (tmp_path / "theirs_training.png").is_file()


def test_what_publish_builds_is_a_mirror(installed, original, tmp_path, monkeypatch):
    from tools.publish import build_mirror

    with monkeypatch.context() as patch:
        patch.setattr(store, "folder", lambda: original.parent)
        build_mirror(tmp_path / "mirror")
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path / "mirror"))
    assert zoo.load(NAME).latent_dim == 3
    assert zoo.load((tmp_path / "mirror" / NAME).as_uri()).latent_dim == 3
