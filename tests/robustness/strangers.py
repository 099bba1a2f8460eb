"""Strangers' folders, zips and servers: a saved model of which something is another, and who reads it how.

A case is a dict: file -> bytes, or `[sort, target]` for what is no plain file, and for servers what each answer is.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import warnings
import zipfile

from robustness import mutate

WEIGHTS, FILES = "model.weights.h5", ("card.json", "model.weights.h5", "log.csv", "kl_per_unit.csv")
COMMANDS = [
    "info theirs",
    "info theirs --json",
    "fetch theirs",
    "evaluate theirs --num-samples 2 --limit 5",
    "evaluate theirs --num-samples 2 --limit 5 --update-card",
    "evaluate vae_mnist_2d --dataset digits --num-samples 2 --limit 5 --versus theirs",
    "plot theirs --kind training",
    "plot theirs --kind kl",
    "plot theirs --kind latents",
    "reconstruct theirs",
    "score theirs --num-samples 2 --count 2",
    "encode theirs --count 2",
    "sample theirs --format npz --count 2",
    "train --from theirs --dataset digits --epochs 1 --limit 20 --output run",
    "train --preset theirs --epochs 1 --limit 20 --output run",
    "train --preset theirs/card.json --epochs 1 --limit 20 --output run",
    "push theirs hf://me/theirs",
]
ODD = [
    ["pipe", ""],
    ["link", "../outside/secret.csv"],
    ["link", "/dev/zero"],
    ["link", "/proc/self/mem"],
    ["folder", ""],
]
ODD += [["link", "card.json"], ["link", "../outside/model.weights.h5"], ["link", "../outside/log.csv"]]
LOGS = [
    b"",
    b"epoch\n",
    b"epoch,loss\n0,1\n" * 3,
    b"epoch,elbo\n" + b"9" * 10**6,
    b"\0" * 1000,
    b'epoch,elbo\n"',
    b"\xff",
]
LOGS += [b"epoch,elbo\n0,nan\n1,inf\n", b"epoch,elbo\n0,1e400\n-1,x\n", b"," * 10**5, b"epoch,elbo\n0,\n1\n2,3,4\n"]
DATA = ["../outside/private.npz", "/etc/passwd", "mnist/../../x", "gs://bucket/x", "digits" * 999, "x" + "/.." * 14, ""]


def layer(kind, module="keras.layers", **config):
    """A layer as Keras serialises it."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def large(dice):
    """A network of Keras' layers, some of a size that no model has."""
    size = dice.choice([1, 3, 50, 1_000, 20_000, 60_000])
    flat, steps = layer("Flatten"), layer("RepeatVector", n=size)
    layers = dice.choice(
        [
            [layer("Resizing", height=size, width=size), layer("GlobalAveragePooling2D")],
            [layer("UpSampling2D", size=[size, 2]), layer("UpSampling2D", size=[2, size]), flat],
            [layer("ZeroPadding2D", padding=size), layer("GlobalMaxPooling2D")],
            [layer("Conv2DTranspose", filters=1, kernel_size=1, strides=size), layer("GlobalMaxPooling2D")],
            [layer("Conv2D", filters=2, kernel_size=3, dilation_rate=size, padding="same"), flat],
            [flat, steps, layer(dice.choice(["SimpleRNN", "GRU", "LSTM"]), units=2, unroll=dice.random() < 0.5)],
            [flat, steps, layer("Dense", units=size), layer("GlobalAveragePooling1D")],
            [flat, layer("SpectralNormalization", layer=layer("Dense", units=2), power_iterations=size)],
            [flat, *[layer("Dropout", rate=0.1)] * min(size, 400)],
            [flat, layer("CategoryEncoding", num_tokens=size, output_mode="one_hot"), flat],
            [flat, layer("Embedding", input_dim=2, output_dim=size), flat],
            [flat, layer("TimeDistributed", layer=layer("Dense", units=size))],
            [flat, layer("Reshape", target_shape=[16, 1]), layer("Attention")],
        ]
    )
    for _ in range(dice.choice([0, 0, 1, 30])):
        layers = [layer("Sequential", "keras", name="inner", layers=layers)]
    return layer("Sequential", "keras", name="theirs", layers=layers)


def original():
    """File -> bytes of a whole folder."""
    from robustness.files import SMALL, saved

    card, weights = saved("vae", {**SMALL, "data_shape": [8, 8, 1]})
    logs = {
        "log.csv": b"epoch,elbo,val_elbo\n0,-30,-31\n1,-20,-21\n",
        "kl_per_unit.csv": b"0,z,1,2\n1,z,1,2\n",
    }
    card["recipe"], card["name"] = {"epochs": 1, "batch_size": 20}, "theirs"
    card |= {"versions": {"keras": "3"}, "date": "2026-01-01", "notes": ["one"]}
    card["metrics"] = {"nll": {"value": 20.5, "standard_error": 0.5, "num_examples": 9}}
    return {"card.json": json.dumps(card).encode(), WEIGHTS: weights, **logs}


def with_card(files, change):
    """The files with a card that `change` has changed."""
    card = json.loads(files["card.json"])
    change(card)
    return {**files, "card.json": json.dumps(card).encode()}


def with_weights(files, content):
    """The files with other weights, which the card names."""
    entry = {"file": WEIGHTS, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return with_card({**files, WEIGHTS: content}, lambda card: card.update(weights=entry))


def changed(files, dice):
    """The files of a folder of which one is another."""
    kind = dice.choice(
        ["card"] * 4 + ["entry"] * 4 + ["large"] * 3 + ["weights"] * 2 + ["log"] * 2 + ["odd", "data", "lost"]
    )
    if kind == "card":
        return {**files, "card.json": mutate.card(json.loads(files["card.json"]), dice)}
    if kind == "weights":
        return with_weights(files, mutate.weights(files[WEIGHTS], dice))
    if kind == "log":
        name = dice.choice(FILES[2:])
        return {**files, name: dice.choice([*LOGS, mutate.bytes_of(files[name], dice)])}
    name = dice.choice(FILES)
    if kind in ("odd", "lost"):
        return {k: v for k, v in {**files, name: dice.choice(ODD) if kind == "odd" else None}.items() if v is not None}

    def change(card):
        if kind == "large":
            card["config"][dice.choice(["encoder", "encoder", "encoder", "decoder"])] = large(dice)
            card["config"].setdefault("decoder", {"name": "mlp", "hidden_units": [2]})
        elif kind == "data":
            card["data"] = {
                "name": dice.choice(DATA),
                **dice.choice([{}, {"data_dir": "../outside"}, {"split": "../x"}]),
            }
        else:
            values = [None, True, 3, "x", [], {}, [[]], -1.5, {"value": "x"}, [{"metric": 1}], "../../x", "x" * 10**5]
            card[dice.choice([*card, "target", "evaluation", "probe", "stages", "from", "timing"])] = dice.choice(
                values
            )

    return with_card(files, change)


def folder(files, dice):
    """A changed folder, and the command that reads it."""
    for _ in range(dice.choice([0, 1, 1, 1, 1, 2])):
        with_more = {name: value for name, value in files.items() if isinstance(value, bytes)}
        if len(with_more) < len(FILES) or not whole(files["card.json"]):
            break
        files = changed(files, dice)
    return {**files, "command": dice.choice(COMMANDS).split()}


def whole(content):
    """Whether a card is one that can be changed once more."""
    try:
        return isinstance(json.loads(content)["config"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def archive(files, dice):
    """The bytes of a zip of a folder of which something is another."""
    kind = dice.choice(
        ["bytes"] * 5 + ["files"] * 4 + ["names", "twice", "bomb", "many", "method", "end", "inside", "empty"]
    )
    files = changed(files, dice) if kind == "files" else files
    files = {name: value for name, value in files.items() if isinstance(value, bytes)}
    if kind == "bomb":
        files[dice.choice(FILES)] = bytes(3 * 10**8)
    if kind == "empty":
        files = {}
    packed = dice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    if kind == "method":
        packed = dice.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    prefix = dice.choice(["", "", "m/", "a/b/", "\\", "/", "../"])
    more = {
        "names": ["../x", "/etc/x", "C:x", "a/../../x", "x\0y", "\u202e", "x" * 60_000],
        "many": map(str, range(10_050)),
    }
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", packed) as made:
        for name, content in files.items():
            made.writestr(f"{prefix if kind == 'inside' else ''}{name}", content)
        for name in more.get(kind, ["card.json"] if kind == "twice" else []):
            made.writestr(name, b"{}")
    content = buffer.getvalue()
    if kind == "end":
        place = content.rfind(b"PK\5\6")
        content = content[: place + 8] + dice.randbytes(12) + content[place + 20 :]
    return mutate.bytes_of(content, dice) if kind == "bytes" else content


def served(files, dice):
    """File -> what a server answers where one of its answers is odd: {"head", "body", "again", "pause"}."""
    files = changed(files, dice) if dice.random() < 0.2 else files
    answers = {name: answer(value) for name, value in files.items() if isinstance(value, bytes)}
    name = dice.choice(["card.json", "card.json", WEIGHTS, WEIGHTS, "log.csv"])
    if name in answers and dice.random() < 0.9:
        answers[name] = odd_answer(files[name], dice)
    return answers


def answer(body, status="200 OK", again=0, pause=0.0, **headers):
    """An answer: its head, its body, how often more the body is sent, and the pause after each byte in seconds."""
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    body = base64.b64encode(body).decode()
    return {"head": f"HTTP/1.1 {status}\r\n{head}\r\n", "body": body, "again": again, "pause": pause}


def odd_answer(body, dice):
    """An answer that no good server gives."""
    to = [
        "/theirs/card.json",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "file:///etc/passwd",
        "http://127.0.0.1:9/x",
        "//",
    ]
    to += [
        "",
        "\u00b2",
        "http://" + "a" * 70_000,
        "gopher://x",
        "http://user:pw@127.0.0.1/",
        "http://localhost/x",
        "/theirs/x",
    ]
    lengths = ["\u00b2", "-1", "0", "1", str(2**70), "1e3", "", "5, 6", str(len(body) + 1), str(len(body) - 1)]
    statuses = [
        "204 No",
        "206 Part",
        "304 Not",
        "401 No",
        "404 No",
        "416 No",
        "500 x",
        "999 x",
        "0 x",
        "abc",
        "100 Go",
        "200",
    ]
    packed = dice.choice([gzip.compress(body), gzip.compress(bytes(10**8)), b"\x1f\x8bno gzip", body])
    chunks = dice.choice(
        [b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\n", b"FFFFFFFFFF\r\nab", b"-5\r\nabcde", b"1;" + b"x" * 10**5]
    )
    redirect = dice.choice(["301 x", "302 x", "307 x", "308 x", "303 x"])
    raw = dice.choice([b"", b"\0" * 500, b"HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"HTTP/9.9 200\r\n\r\n{}", b"a" * 10**5])
    return dice.choice(
        [
            answer(body, redirect, Location=dice.choice(to)),
            answer(bytes(2**16), redirect, again=10**6, Location=dice.choice(to)),
            answer(body, dice.choice(statuses)),
            answer(body, Content_Length=dice.choice(lengths)),
            answer(packed, Content_Encoding=dice.choice(["gzip", "deflate", "br", "gzip, gzip", "x"])),
            answer(chunks, Transfer_Encoding="chunked"),
            answer(body, Content_Type=dice.choice(["text/html", "text/html; charset=x", "\u00ff", ""])),
            answer(body, "206 x", Content_Range=dice.choice(["bytes 0-1/2", "bytes x", "", f"bytes 5-{2**70}/*"])),
            answer(bytes(2**16), again=10**6),
            answer(b" ", again=10**6, pause=0.02),
            answer(body, **{f"X-{number}": "y" * dice.choice([1, 70_000]) for number in range(dice.choice([1, 300]))}),
            {**answer(raw), "head": ""},
            {
                **answer(b""),
                "head": "HTTP/1.1 200 OK\r\nX: ",
                "body": base64.b64encode(b"y").decode(),
                "again": 10**6,
                "pause": 0.02,
            },
            answer(mutate.bytes_of(body, dice)),
            answer(body[: dice.randrange(len(body))], Content_Length=str(len(body))),
        ]
    )


def lay_out(case, home):
    """Write a folder `theirs` inside `home`, what lies outside of it, and the command; returns `home`."""
    for name in ("theirs", "outside", "work"):
        (home / name).mkdir(parents=True)
    (home / "outside" / "secret.csv").write_text("epoch,elbo\n0,4711\n")
    (home / "outside" / "log.csv").write_text("epoch,elbo\n0,4711\n")
    (home / "command").write_text(json.dumps(case["command"]))
    for name, value in case.items():
        path = home / "theirs" / name
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif name == "command":
            continue
        elif value[0] == "pipe":
            os.mkfifo(path)
        elif value[0] == "folder":
            path.mkdir()
        else:
            path.symlink_to(value[1])
    return home
