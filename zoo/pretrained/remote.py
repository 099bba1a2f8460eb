"""Models from elsewhere: weights of the zoo's own from a mirror, and folders of others, both kept in a cache.

The cache is the folder ZOO_CACHE, else the platform's. In it a model has the folder <key>/<name>: the key of the zoo's
own is that of the weights which the installed card names, the key of others that of their address and card, so that
nothing in there ever changes. The mirror is ZOO_MIRROR, an address or a folder of folders, else the project's.
"""

import contextlib
import os
import pathlib
import re
import shutil
import sys
import time
import urllib.request

from filelock import FileLock, Timeout

from zoo import address
from zoo.errors import CannotWrite, InvalidInput, choose
from zoo.files import LARGEST_JSON, locked, parse_json, sha256, write_bytes, writing
from zoo.pretrained.limits import CARD, checked_card
from zoo.pretrained.places import Folder, Missing, Unreachable, Web, Zip, hub_name
from zoo.pretrained.transfer import arrived, read, receive

ATTEMPTS = 10
KEY = 12  # hexadecimal digits of a SHA-256
ADDRESS = "address"  # the file beside a model from elsewhere that says where it came from
LOGS = ("log.csv", "kl_per_unit.csv")  # of a run, for pictures of it
SCHEMES = dict.fromkeys(("hf", "https", "http", "file"))
HUB = "https://huggingface.co"


def cache_folder():
    """Where fetched models are kept."""
    import platformdirs

    return pathlib.Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_dir("vae-zoo", False)).expanduser()


def mirror():
    """The address or folder that weights are fetched from."""
    from zoo import __version__

    return os.environ.get("ZOO_MIRROR") or address.mirror(__version__)


def logs_of(home):
    """The logs that a folder has."""
    logs = [home / log for log in LOGS if (home / log).is_file()]
    return [log for log in logs if log.resolve().parent == home.resolve()]  # no links to what lies elsewhere


def is_elsewhere(name):
    """Whether a name is an address, or a path to a zip."""
    return "://" in str(name) or (pathlib.PurePath(name).suffix == ".zip" and not os.path.isdir(name))


def place_of(name):
    """Where the files of a model are that an address, a folder or a zip holds.

    Raises:
        InvalidInput: an unknown scheme, or an address that cannot be one.
    """
    scheme, _, rest = str(name).rpartition("://")
    if scheme:
        choose("scheme", scheme, SCHEMES)
    if scheme == "hf":
        return Web(f"{os.environ.get('HF_ENDPOINT') or HUB}/{hub_name(name)}/resolve/main/", hub=True)
    if scheme in ("http", "https"):
        if rest.endswith(".zip"):
            raise InvalidInput(f"{name} is a zip: fetch it, and name the file")
        return Web(name)
    path = urllib.request.url2pathname(rest) if scheme else str(name)
    if "\0" in path:
        raise InvalidInput(f"this is no path: {str(name)!r}")
    return Zip(path) if pathlib.PurePath(path).suffix == ".zip" else Folder(path)


def fetch_weights(home, entry):
    """The file of the weights that the installed card of a model of the zoo names: in the cache, else fetched to it.

    Args:
        home: the folder of the card, which has no weights.
        entry: {"file", "sha256", "bytes"}.

    Raises:
        InvalidInput: they are nowhere, are not those of the card, or the cache cannot be written.
    """
    path = cache_folder() / entry["sha256"][:KEY] / home.name / entry["file"]
    if arrived(path, entry):
        return path
    place = place_of(f"{mirror().rstrip('/')}/{home.name}")
    try:
        into_cache(lambda: receive(place, entry, path))
    except Missing as error:
        raise InvalidInput(f"{home} has no weights, nor the cache {cache_folder()}, and {error}") from error
    return path


def fetch_folder(name):
    """The folder, in the cache, of a model of somebody else: its card, weights and logs, and nothing more, are fetched.

    The checksum in the card is shown: it tells that the weights are the card's, and not who wrote either. Where the
    address cannot be reached, what came from it last is taken from the cache, and that is said.

    Args:
        name: an address (`hf://user/name`, `https://host/path/`, `file:///path`) or a zip.

    Raises:
        InvalidInput: nothing is there, or what is there is no saved model, too large, or not what its card says.
    """
    place = place_of(name)
    try:
        content = read(place, CARD, LARGEST_JSON)
    except Unreachable as error:
        home = last_from(place)
        if home is None:
            raise
        print(f"{error}: what came from there last is used, {home}", file=sys.stderr)
        return home
    home = cache_folder() / sha256(f"{place}\n".encode() + content)[:KEY] / name_in(str(name))
    if (home / CARD).is_file() and any(home.glob("*.h5")):
        return home
    card = checked_card(parse_json(content, f"{CARD} of {name}"), f"{CARD} of {name}", home.name)
    if "weights" not in card:
        raise InvalidInput(f"{name} is a card without weights")

    def fill():
        with writing(home):
            home.mkdir(parents=True, exist_ok=True)
        with locked(home / "fetching.lock"):  # while it is held nobody clears the folder
            receive(place, card["weights"], home / card["weights"]["file"])
            for log in LOGS:
                with contextlib.suppress(Missing):
                    write_bytes(home / log, read(place, log, LARGEST_JSON))
            write_bytes(home.parent / ADDRESS, str(place).encode())
            write_bytes(home / CARD, content)

    into_cache(fill)
    print(f"{name}: the weights have the SHA-256 of its own card, {card['weights']['sha256']}", file=sys.stderr)
    return home


def is_fetched(home):
    """Whether a folder is one of the cache: what is in it came from elsewhere."""
    return cache_folder().resolve() in home.resolve().parents


def last_from(place):
    """The newest folder in the cache of a model from a place; None where there is none."""
    cards = cache_folder().glob(f"*/*/{CARD}")
    homes = [card.parent for card in sorted(cards, key=os.path.getmtime) if came_from(card.parent.parent) == str(place)]
    return homes[-1] if homes else None


def came_from(folder):
    """The address in a folder of the cache."""
    path = folder / ADDRESS
    return path.read_text() if path.is_file() else None


def name_in(name):
    """What a model from elsewhere is called: the last part of its address."""
    last = name.partition("?")[0].rstrip("/").rsplit("/", 1)[-1].removesuffix(".zip")
    return re.sub(r"[^\w.-]", "_", last).lstrip(".")[:100] or "model"


def into_cache(fill):
    """Call `fill`, and again where the cache was cleared under it; a cache that cannot be written is said to be one."""
    for attempt in range(ATTEMPTS):
        try:
            return fill()
        except CannotWrite as error:
            if attempt + 1 == ATTEMPTS or not isinstance(error.__cause__, FileNotFoundError):
                raise CannotWrite(f"{error}; the variable ZOO_CACHE names another cache") from error
            time.sleep(0.02 * attempt)
    return None


def kept_folder(card):
    """Where the numbers of an evaluation that is not done are: in the cache, listed and cleared as a model is.

    The folder is that of the weights, and a file in it is found by its content alone: model, weights, data and draws.
    """
    return cache_folder() / sha256(f"evaluation {card['weights']['sha256']}".encode())[:KEY] / "evaluation"


def list_cache():
    """What the cache holds: [{"name", "bytes", "folder"}]."""
    homes = sorted(cache_folder().glob(f"{'[0-9a-f]' * KEY}/*/"), key=lambda home: (home.name, home))
    return [{"name": home.name, "bytes": size_of(home), "folder": str(home)} for home in homes if size_of(home)]


def size_of(folder):
    """Bytes of the files in a folder."""
    size = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):  # cleared meanwhile
                size += os.path.getsize(os.path.join(root, name))
    return size


def clear_cache(names=()):
    """Remove models from the cache, all of them where no name is given; gives what was there as `list_cache` does.

    Raises:
        InvalidInput: the cache has no model of a name.
    """
    found = list_cache()
    for name in names:
        choose("model in the cache", name, {entry["name"]: entry for entry in found})
    gone = [entry for entry in found if not names or entry["name"] in names]
    return [entry for entry in gone if removed(pathlib.Path(entry["folder"]))]


def removed(home):
    """Remove a folder of the cache, whole; False where somebody fetches into it just now."""
    locks = [FileLock(path, timeout=0) for path in home.glob("*.lock")]
    away = home.parent.with_name(f".cleared-{home.parent.name}-{os.getpid()}")
    with writing(home), contextlib.suppress(Timeout, FileNotFoundError), contextlib.ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        os.rename(home.parent, away)  # at once, so that nobody meets half of it
        shutil.rmtree(away, ignore_errors=True)
        return True
    return False
