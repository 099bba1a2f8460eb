"""People's own files: each comes out right whatever lies beside it, or is refused in one line; nothing is silent."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from zoo.data import load_arrays, load_dataset, open_source, read_midi, read_wav, write_midi, write_wav
from zoo.data.division import parts_of_names, parts_of_rows
from zoo.data.understood import describe_source
from zoo.errors import InvalidInput

SPLITS = ("train", "validation", "test")


def picture(path, value=0, size=(8, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if mode in ("RGB", "CMYK") else size
    image = Image.fromarray(np.full(shape, value, "uint8"))
    (image.convert(mode) if image.mode != mode else image).save(path, **options)


def said(capsys):
    return capsys.readouterr().err


# ---------------------------------------------------------------- classes and splits


def test_a_class_has_one_number_in_every_split(tmp_path):
    for split, classes in (("train", "abc"), ("test", "ac")):
        for name in classes:
            picture(tmp_path / split / name / "1.png")
    assert [load_arrays(tmp_path, s, labels=True)["y"].tolist() for s in ("train", "test")] == [[0, 1, 2], [0, 2]]


def test_hidden_and_system_folders_and_files_are_nothing(tmp_path, capsys):
    for name in ("a", "b", ".ipynb_checkpoints", "__MACOSX", ".git"):
        picture(tmp_path / name / "1.png")
    (tmp_path / "a" / "._1.png").write_bytes(b"a resource fork of macOS")
    picture(tmp_path / "b" / ".hidden.png")
    assert load_arrays(tmp_path, "all", labels=True)["y"].tolist() == [0, 1]
    assert said(capsys) == ""


def test_numbered_classes_stand_in_the_order_of_their_numbers(tmp_path):
    for number, name in enumerate(("2", "10", "1")):
        picture(tmp_path / name / "1.png", number)
    assert open_source(tmp_path).classes == ["1", "2", "10"]
    assert load_arrays(tmp_path, "all", labels=True)["x"][:, 0, 0, 0].tolist() == [2, 0, 1]


def test_class_folders_win_over_a_file_beside_them_which_is_said(tmp_path, capsys):
    for row in range(20):
        picture(tmp_path / "ab"[row % 2] / f"{row}.png", row)
    picture(tmp_path / "preview.png")
    assert len(load_arrays(tmp_path, "all", labels=True)["x"]) == 20
    assert "left out 1 .png file (preview.png) beside the classes" in said(capsys)


def test_a_folder_inside_many_pictures_is_no_class_and_both_readings_are_named(tmp_path):
    for row in range(5):
        picture(tmp_path / f"{row}.png", row)
    picture(tmp_path / "thumbs" / "0.png")
    with pytest.raises(InvalidInput, match=r"5 pictures in itself and 1 in sub-folders \(thumbs\)"):
        load_arrays(tmp_path, "all")


def test_what_is_deeper_in_a_class_is_of_that_class(tmp_path):
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "more" / "2.png")
    picture(tmp_path / "b" / "3.png")
    assert load_arrays(tmp_path, "all", labels=True)["y"].tolist() == [0, 1, 1]


def test_a_folder_around_everything_is_no_class(tmp_path):
    for name in "ab":
        picture(tmp_path / "dataset" / name / "1.png")
    (tmp_path / "README.txt").write_text("of a zip")
    assert open_source(tmp_path).classes == ["a", "b"]
    for name in "ab":
        picture(tmp_path / "more" / "photos" / "train" / name / "1.png")
    assert len(load_arrays(tmp_path / "more", "train", labels=True)["y"]) == 2


def test_the_validation_folder_has_several_names_and_all_are_all(tmp_path, capsys):
    for split, count in (("train", 3), ("val", 2), ("test", 1), ("extra", 1)):
        for row in range(count):
            picture(tmp_path / split / "a" / f"{row}.png")
    assert [len(load_arrays(tmp_path, s)["x"]) for s in (*SPLITS, "all")] == [3, 2, 1, 6]
    assert "1 .png file (extra/a/0.png) in no split" in said(capsys)


def test_an_npz_file_may_call_its_validation_set_x_valid(tmp_path):
    x = np.zeros((30, 4, 4, 1), "uint8")
    for name in ("valid", "val", "validation", "dev"):
        np.savez(tmp_path / "a.npz", **{"x_train": x, f"x_{name}": x[:7], "x_test": x[:5]})
        assert [len(load_arrays(tmp_path / "a.npz", split)["x"]) for split in SPLITS] == [30, 7, 5]


def test_files_keep_their_part_when_others_are_added(tmp_path):
    for row in range(100):
        picture(tmp_path / f"{row}.png", row)
    before = {split: set(open_source(tmp_path).split(split).names) for split in SPLITS}
    for row in range(100, 150):
        picture(tmp_path / f"0{row}.png", row)
    after = {split: set(open_source(tmp_path).split(split).names) for split in SPLITS}
    assert all(before[split] <= after[split] for split in SPLITS)
    sizes = np.bincount(parts_of_names([f"a/{number:05}.jpg" for number in range(20_000)])) / 20_000
    np.testing.assert_allclose(sizes, [0.8, 0.1, 0.1], atol=0.01)


def test_rows_keep_their_part_when_others_are_added():
    few, many = parts_of_rows([103]), parts_of_rows([250])
    np.testing.assert_array_equal(few, many[:103])
    assert np.bincount(many).tolist() == [200, 25, 25]
    alone, beside = parts_of_rows([40], ["a.csv"]), parts_of_rows([40, 70], ["a.csv", "b.csv"])
    np.testing.assert_array_equal(alone, beside[:40])


# ---------------------------------------------------------------- kinds


def test_the_kind_that_most_files_are_is_taken_and_the_rest_is_counted(tmp_path, capsys):
    for row in range(12):
        write_wav(tmp_path / f"{row}.wav", np.zeros(400), 8000)
    picture(tmp_path / "cover.png")
    (tmp_path / "notes.txt").write_text("of the sounds")
    assert len(load_arrays(tmp_path, "all")["x"]) == 12
    assert "1 .png file and 1 .txt file (cover.png, notes.txt)" in said(capsys)


def test_a_folder_of_a_kind_that_is_not_taken_names_those_that_are(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"ID3")
    with pytest.raises(InvalidInput, match=r"no PNG, .*WAV, MIDI, CSV.* but 1 .mp3 file \(a.mp3\)"):
        load_arrays(tmp_path)
    with pytest.raises(InvalidInput, match="none of .npy, .npz, PNG"):
        load_arrays(tmp_path / "a.mp3")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "tiff", "bmp", "JPG"])
def test_trusted_formats_of_pictures_are_read(tmp_path, ending):
    picture(tmp_path / "a" / f"1.{ending}", 100)
    x = load_arrays(tmp_path, "all", labels=True)["x"]
    assert abs(int(x[0, 0, 0, 0]) - 100) < 4


@pytest.mark.parametrize("door", ["folder", "pattern", "parquet", "tfrecord"])
def test_every_door_reads_pictures_alike(tmp_path, door):
    from zoo.data.sources.examples import example_of

    pictures = {
        "cmyk.jpg": (np.array([[[255, 255, 255, 0]] * 6] * 4, "uint8"), "CMYK", (255, 255, 255)),
        "palette.png": (np.full((4, 6), 1, "uint8"), "P", (9, 200, 30)),
        "opaque.png": (np.full((4, 6, 4), 255, "uint8"), "RGBA", (255, 255, 255)),
        "sixteen.png": (np.full((4, 6), 200 * 257, "uint16"), None, (200, 200, 200)),
        "turned.jpg": (np.full((6, 4, 3), 100, "uint8"), "RGB", (100, 100, 100)),
    }
    folder = tmp_path / "a"
    folder.mkdir()
    for name, (array, mode, _) in pictures.items():
        image, options = Image.fromarray(array, mode) if mode != "P" else Image.fromarray(array), {}
        if mode == "P":
            image = image.convert("P")
            image.putpalette([0, 0, 0, 9, 200, 30])
        if mode == "CMYK":
            image = Image.fromarray(np.zeros((4, 6, 4), "uint8"), "CMYK")
        if name == "turned.jpg":
            exif = Image.Exif()
            exif[0x0112] = 6
            options = {"exif": exif}
        image.save(folder / name, **options)
    files = sorted(folder.iterdir())
    if door == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table({"image": [file.read_bytes() for file in files]}), tmp_path / "a.parquet")
    if door == "tfrecord":
        import tensorflow as tf

        with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
            for file in files:
                feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.read_bytes()]))
                writer.write(
                    tf.train.Example(features=tf.train.Features(feature={"image": feature})).SerializeToString()
                )
        assert example_of(np.zeros(2, "float32"))
    doors = {"folder": folder, "pattern": f"{folder}/*"}
    x = load_arrays(doors.get(door, tmp_path / f"a.{door}"), "all", size=(4, 6), color="rgb")["x"]
    for row, file in zip(x, files, strict=True):
        assert row.shape == (4, 6, 3)
        np.testing.assert_allclose(row, np.broadcast_to(pictures[file.name][2], (4, 6, 3)), atol=3)


def test_levels_of_twelve_bits_in_sixteen_are_said(tmp_path, capsys):
    Image.fromarray(np.full((4, 4), 4000, "uint16")).save(tmp_path / "a.png")
    load_arrays(tmp_path, "all")
    assert "uses no more than 12 of them" in said(capsys)


def test_files_that_cannot_be_read_are_left_out_where_that_is_asked_for(tmp_path, capsys):
    for row in range(10):
        picture(tmp_path / "a" / f"{row}.png", row)
    (tmp_path / "a" / "5.png").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match="5.png"):
        load_arrays(tmp_path, "all")
    x = load_arrays(tmp_path, "all", skip_bad=True)["x"]
    assert x[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert "1 of 10 that cannot be read" in said(capsys)
    for source in ("digits", x, tmp_path / "a" / "1.png"):
        with pytest.raises(InvalidInput, match="skip_bad leaves out files of a folder"):
            load_arrays(source, "all", skip_bad=True)


# ---------------------------------------------------------------- tables


@pytest.fixture
def frame():
    pandas = pytest.importorskip("pandas")
    random = np.random.RandomState(0)
    return pandas.DataFrame({name: random.randn(30).round(3) for name in "abc"})


def test_columns_are_matched_by_name(frame, tmp_path):
    frame.to_parquet(tmp_path / "a.parquet")
    frame[["c", "b", "a"]].assign(d=1).to_csv(tmp_path / "b.csv", index=False)
    like = open_source(tmp_path / "a.parquet").about()
    assert like["columns"] == ["a", "b", "c"]
    for source in (tmp_path / "b.csv", frame[["b", "c", "a"]]):
        x = open_source(source, like=like).split("all").arrays()["x"]
        np.testing.assert_allclose(x, frame.to_numpy(), rtol=1e-6)
    with pytest.raises(InvalidInput, match="no column 'b', which the model needs"):
        open_source(frame[["a", "c"]], like=like)


def test_the_index_of_pandas_is_no_feature(frame, tmp_path, capsys):
    frame[frame.a > 0].to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv")
    for path in (tmp_path / "a.parquet", tmp_path / "a.csv"):
        assert open_source(path).columns == ["a", "b", "c"]
    assert said(capsys).count("left out the index") == 2


def test_a_table_is_a_table_and_labels_are_asked_for(capsys):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": [0, 1], "z": [5.0, 6.0]})
    np.testing.assert_array_equal(load_arrays(frame)["x"], [[1, 0, 5], [2, 1, 6]])
    found = load_arrays(frame, labels=True)
    np.testing.assert_array_equal(found["x"], [[1, 5], [2, 6]])
    assert found["y"].tolist() == [0, 1]
    text = pandas.DataFrame({"a": [1.0, 2, 3], "label": ["dog", "cat", "dog"], "name": ["k", "l", "m"]})
    np.testing.assert_array_equal(load_arrays(text)["x"], [[1], [2], [3]])
    assert "column 'name' of no numbers" in said(capsys)
    assert load_arrays(text, labels=True)["y"].tolist() == [1, 0, 1]
    assert load_arrays(text, labels="name")["y"].tolist() == [0, 1, 2]
    with pytest.raises(InvalidInput, match="did you mean name"):
        load_arrays(text, labels="nam")


CSV = {
    "commas": "a,b\n1,2.5\n3,4\n",
    "semicolons and decimal commas": "a;b\n1;2,5\n3;4\n",
    "tabs": "a\tb\n1\t2.5\n3\t4\n",
    "bars": "a|b\n1|2.5\n3|4\n",
    "a byte order mark": "\ufeffa,b\n1,2.5\n3,4\n",
    "quotes": '"a","b"\n"1","2.5"\n"3","4"\n',
    "carriage returns": "a,b\r\n1,2.5\r\n3,4\r\n",
    "blanks": "a, b\n1, 2.5\n3, 4\n\n",
    "a column of quoted lines": 'a,text,b\n1,"one\ntwo, three",2.5\n3,four,4\n',
}


@pytest.mark.parametrize("pandas", ["pandas", "none"])
@pytest.mark.parametrize("kind", CSV)
def test_csv_files_of_every_kind_hold_the_same_numbers(tmp_path, kind, pandas, monkeypatch):
    if pandas == "none":
        monkeypatch.setitem(sys.modules, "pandas", None)
    for encoding in ("utf-8", "utf-16"):
        if encoding == "utf-16" and kind == "a byte order mark":
            continue
        (tmp_path / "a.csv").write_bytes(CSV[kind].encode(encoding))
        source = open_source(tmp_path / "a.csv")
        assert source.columns == ["a", "b"]
        np.testing.assert_array_equal(source.split("all").arrays()["x"], [[1, 2.5], [3, 4]])


def test_csv_files_without_a_head_or_with_holes_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,\n5,NA\n")
    source = open_source(tmp_path / "a.csv")
    assert source.columns == ["0", "1"]
    np.testing.assert_array_equal(source.split("all").arrays()["x"], [[1, 2], [3, np.nan], [5, np.nan]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has a head and no rows"),
        (b"a,b\n1,2\n1,2,3\n", "cells|several lengths"),
        (b"a,a\n1,2\n", "two columns 'a'"),
        (b"\0\1\2\3", "no text"),
        (b"a,b\nx,y\nz,w\n", "no column of numbers, but columns 'a', 'b'"),
    ],
)
def test_csv_files_that_are_no_table_are_one_line(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as error:
        load_arrays(tmp_path / "a.csv")
    assert "\n" not in str(error.value) and "a.csv" in str(error.value)


def test_folders_and_patterns_of_tables_are_one_table(frame, tmp_path):
    for number in range(3):
        part = frame[10 * number : 10 * number + 10]
        part[list(frame.columns)[:: 1 if number else -1]].to_parquet(tmp_path / f"{number}.parquet", index=False)
    for source in (tmp_path, f"{tmp_path}/*.parquet"):
        np.testing.assert_allclose(load_arrays(source, "all")["x"], frame[["c", "b", "a"]].to_numpy(), rtol=1e-6)
    frame[["a"]].to_parquet(tmp_path / "3.parquet")
    with pytest.raises(InvalidInput, match="'3.parquet' has no 'b'"):
        load_arrays(tmp_path)
    for name, rows in (("train", 20), ("test", 10)):
        (tmp_path / "csv").mkdir(exist_ok=True)
        frame[:rows].to_csv(tmp_path / "csv" / f"{name}.csv", index=False)
    assert [len(load_arrays(tmp_path / "csv", split)["x"]) for split in ("train", "test")] == [20, 10]


def test_a_masked_array_is_refused_with_what_to_pass():
    x = np.ma.masked_less(np.random.RandomState(0).rand(10, 4, 4, 1), 0.5)
    with pytest.raises(InvalidInput, match="masked array.*masked=True"):
        load_arrays(x)
    whole = np.ma.array(np.ones((10, 4, 4, 1)))
    np.testing.assert_array_equal(load_arrays(whole)["x"], 1)


# ---------------------------------------------------------------- sound and music


def wav(samples, fmt=1, width=16, size=None, behind=b"", before=b""):
    """The bytes of a WAV file, with a size of its data that may be another one."""
    data = samples.tobytes()
    head = struct.pack("<HHIIHH", fmt, 1, 8000, 8000 * width // 8, width // 8, width)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + before + b"data"
    body += struct.pack("<I", len(data) if size is None else size) + data + behind
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def test_wav_files_that_players_read_are_read(tmp_path):
    samples = np.arange(-500, 500, dtype="int16")
    odd = {
        "a size of 0": wav(samples, size=0),
        "a pipe": wav(samples, size=2**32 - 1),
        "padding": wav(samples, behind=b"\0\0\0"),
        "a list behind": wav(samples, behind=b"LIST\4\0\0\0INFO"),
        "a chunk before": wav(samples, before=b"junk\4\0\0\0abcd"),
    }
    for name, content in odd.items():
        (tmp_path / "a.wav").write_bytes(content)
        np.testing.assert_array_equal(read_wav(tmp_path / "a.wav")[0], samples / np.float32(32768)), name
    (tmp_path / "a.wav").write_bytes(wav(samples)[:-100])
    with pytest.raises(InvalidInput, match="no whole WAV"):
        read_wav(tmp_path / "a.wav")


def test_floats_at_the_scale_of_sixteen_bits_are_refused(tmp_path, capsys):
    samples = np.linspace(-20_000, 20_000, 1000, dtype="float32")
    (tmp_path / "a.wav").write_bytes(wav(samples, 3, 32))
    for source in (tmp_path / "a.wav", [samples, samples[:900]]):
        with pytest.raises(InvalidInput, match="up to 20000.*divide those of 16 bits by 32768"):
            load_arrays(source, "all")
    (tmp_path / "a.wav").write_bytes(wav(samples / 18_000, 3, 32))
    load_arrays(tmp_path / "a.wav", "all")
    assert "louder than 1" in said(capsys)


def chunk(name, content):
    return name + struct.pack(">I", len(content)) + content


def midi(events, form=0, extra=b"", ticks=96):
    return chunk(b"MThd", struct.pack(">HHH", form, 1, ticks)) + extra + chunk(b"MTrk", events + b"\0\xff\x2f\0")


NOTE = b"\0\x90\x3c\x40\x60\x80\x3c\0"  # C4, for a quarter note
ODD_MIDI = {
    "an unknown key signature": midi(b"\0\xff\x59\2\x63\7" + NOTE),
    "a data byte above 127": midi(b"\0\x90\xc8\x40\0\x3c\x40\x60\x80\x3c\0"),
    "an unknown chunk": midi(NOTE, extra=chunk(b"XFIH", b"abc")),
    "a running status": midi(b"\0\x90\x3c\x40\x60\x3c\0"),
    "a system message": midi(b"\0\xf0\3\1\2\xf7" + NOTE),
}


@pytest.mark.parametrize("kind", ODD_MIDI)
def test_midi_files_that_players_read_are_read(tmp_path, kind):
    (tmp_path / "a.mid").write_bytes(ODD_MIDI[kind])
    roll = read_midi(tmp_path / "a.mid")
    assert np.argwhere(roll).tolist() == [[0, 60 - 21]]


def test_separate_patterns_are_refused_and_a_folder_goes_on_without_them(tmp_path, capsys):
    roll = np.eye(88, dtype="uint8")[:4]
    for name in "abc":
        write_midi(tmp_path / f"{name}.mid", roll)
    (tmp_path / "d.mid").write_bytes(midi(NOTE, form=2))
    with pytest.raises(InvalidInput, match="type 2"):
        load_arrays(tmp_path, "all")
    assert load_arrays(tmp_path, "all", skip_bad=True)["x"].shape == (3, 4, 88)
    assert "1 of 4 that cannot be read" in said(capsys)


# ---------------------------------------------------------------- what it was understood as


def test_a_check_says_what_a_source_is(tmp_path, zoo):
    for row in range(20):
        picture(tmp_path / "ab"[row % 4 // 3] / f"{row}.png", 10 * row)
    (tmp_path / "list.txt").write_text("of the pictures")
    found = describe_source(tmp_path)
    assert (found["kind"], found["rows"], found["classes"]) == ("pictures", 20, {"a": 15, "b": 5})
    assert found["fields"]["x"] == "uint8 [None, 8, 8, 1]" and found["range"] == [0, 190]
    assert sum(found["splits"].values()) == 20 and found["left_out"] == ["1 .txt file (list.txt)"]
    code, out, _ = zoo("datasets", "--check", tmp_path)
    assert code == 0 and "a (15), b (5)" in out and "left out" in out
    code, out, _ = zoo("datasets", "--check", "digits")
    assert code == 0 and "1397" in out
    code, _, err = zoo("datasets", "--check", tmp_path / "nothing")
    assert (code, len(err)) == (2, 1)


def test_a_folder_that_loops_is_looked_through_once(tmp_path):
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "1.png")
    (tmp_path / "a" / "self").symlink_to(tmp_path)
    assert len(load_arrays(tmp_path, "all", labels=True)["y"]) == 2


def test_batches_of_a_csv_file_are_made_without_pandas(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["a;b", *(f"{n};{n},5" for n in range(40))]))
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        f"from zoo.data import load_dataset; print(len(list(load_dataset({str(tmp_path / 'a.csv')!r}, batch_size=8))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["4"]
    assert len(list(load_dataset(tmp_path / "a.csv", batch_size=8))) == 4


@pytest.mark.slow
def test_a_run_keeps_its_names_and_parts_and_says_that_its_data_changed(tmp_path, zoo, frame):
    import json

    frame.to_csv(tmp_path / "a.csv", index=False)
    settings = ["--set", "latent_dim=1", "--set", "encoder.hidden_units=[8]", "--recipe", "batch_size=8"]
    run = tmp_path / "run"
    code, _, err = zoo("train", "vae", "--dataset", tmp_path / "a.csv", "--epochs", 1, "--output", run, *settings)
    assert code == 0, err
    card = json.loads((run / "card.json").read_text())
    assert card["data"]["columns"] == ["a", "b", "c"] and card["data"]["division"] == "name"
    scores = []
    for columns in ("abc", "cab"):
        frame[list(columns)].to_parquet(tmp_path / "b.parquet")
        code, out, err = zoo("score", run, "--input", tmp_path / "b.parquet", "--json")
        assert code == 0, err
        scores.append(json.loads(out))
    assert scores[0] == scores[1]
    frame[["a", "b"]].to_parquet(tmp_path / "b.parquet")
    code, _, err = zoo("score", run, "--input", tmp_path / "b.parquet")
    assert (code, len(err)) == (2, 1) and "no column 'c'" in err[0]
    with (tmp_path / "a.csv").open("a") as file:
        file.write("1,2,3\n" * 10)
    code, _, err = zoo("evaluate", run, "--num-samples", 2)
    assert code == 0 and "30 rows when the model was trained, 40 now" in " ".join(err)
    code, _, err = zoo("export", run, "--format", "saved_model", "--output", tmp_path / "served")
    assert code == 0, err
    names = json.loads(next((tmp_path / "served").rglob("names.json")).read_text())
    assert names == {"columns": ["a", "b", "c"]}


@pytest.mark.slow
def test_classes_keep_their_numbers_in_a_run_and_in_what_it_is_given_later(tmp_path, zoo):
    import json

    for row in range(60):
        picture(tmp_path / "data" / ["cat", "dog", "owl"][row % 3] / f"{row}.png", 4 * row)
    run = tmp_path / "run"
    command = ["train", "conditional_vae", "--dataset", tmp_path / "data", "--epochs", 1, "--output", run]
    small = ["--set", "latent_dim=2", "--set", "encoder.hidden_units=[8]", "--recipe", "batch_size=8"]
    code, _, err = zoo(*command, *small)
    assert code == 0, err
    assert json.loads((run / "card.json").read_text())["data"]["classes"] == ["cat", "dog", "owl"]
    picture(tmp_path / "more" / "owl" / "1.png", 8)
    code, _, err = zoo("reconstruct", run, "--input", tmp_path / "more", "--output", tmp_path / "a.npz")
    assert code == 0, err
    from zoo.data import open_source as opened

    like = json.loads((run / "card.json").read_text())["data"]
    assert opened(tmp_path / "more", labels=True, like=like).split("all").in_memory().arrays()["y"].tolist() == [2]
    picture(tmp_path / "more" / "cow" / "1.png", 8)
    code, _, err = zoo("reconstruct", run, "--input", tmp_path / "more", "--output", tmp_path / "a.npz")
    assert (code, len(err)) == (2, 1) and "class 'cow'" in err[0]


# ---------------------------------------------------------------- siblings


@pytest.mark.parametrize(
    ("text", "x"),
    [
        (",0,1\n0,5.5,6\n1,7,8\n", [[5.5, 6], [7, 8]]),
        ("0,1\n5.5,6\n7,8\n", [[5.5, 6], [7, 8]]),
        ("5.5,6,red\n7,8,blue\n", [[5.5, 6], [7, 8]]),
        ("a\tb\n1,234.50\t2\n3\t4\n", [[1234.5, 2], [3, 4]]),
        ("a;b\n1.234,5;2\n3;4\n", [[1234.5, 2], [3, 4]]),
        ("a,b,\n1,2,\n3,4,\n,,\n", [[1, 2], [3, 4]]),
        ("a,b\rTrue,2\rFalse,4\r", [[1, 2], [0, 4]]),
    ],
)
def test_csv_files_as_programs_write_them_hold_their_numbers(tmp_path, text, x):
    (tmp_path / "a.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.csv", "all")["x"], x)


def test_decimal_points_among_decimal_commas_are_no_numbers(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("a;b\n1.5;1\n2,5;2\n")
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.csv", "all")["x"], [[1], [2]])
    assert "column 'a' of no numbers" in said(capsys)


def test_rows_keep_their_part_when_a_second_table_comes_into_the_folder(tmp_path):
    before = set()
    for name, start in (("a", 0), ("b", 1000)):
        rows = "\n".join(["n", *map(str, range(start, start + 100))])
        (tmp_path / f"{name}.csv").write_text(rows)
        test = set(load_arrays(tmp_path, "test")["x"][:, 0].tolist())
        assert before <= test
        before = test


def test_a_folder_beside_the_one_around_everything_moves_no_file_of_it(tmp_path):
    for row in range(60):
        picture(tmp_path / "w" / "first" / "x" / f"{row}.png", row)
    before = set(load_arrays(tmp_path / "w", "test")["x"][:, 0, 0, 0].tolist())
    for row in range(60, 70):
        picture(tmp_path / "w" / "second" / "x" / f"{row}.png", row)
    assert before <= set(load_arrays(tmp_path / "w", "test")["x"][:, 0, 0, 0].tolist())


def test_parts_of_keras_without_labels_are_read(tmp_path):
    x = np.zeros((20, 4, 4), "uint8")
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(20) % 2, x_test=x[:5])
    assert load_arrays(tmp_path / "a.npz", "test", labels=True)["y"].tolist() == [-1] * 5
    np.savez(tmp_path / "a.npz", x_train=x, x_test=np.zeros((5, 3, 3), "uint8"))
    with pytest.raises(InvalidInput, match="several shapes"):
        load_arrays(tmp_path / "a.npz")


def test_frames_as_fields_are_no_splits(frame):
    pandas = pytest.importorskip("pandas")
    found = load_arrays({"x": frame, "y": pandas.Series([0, 1, 2] * 10)}, labels=True)
    assert found["x"].shape == (30, 3) and found["y"].tolist() == [0, 1, 2] * 10
    with pytest.raises(InvalidInput, match="two columns 'a'"):
        load_arrays(pandas.concat([frame, frame[["a"]]], axis=1))


def test_a_photograph_with_another_behind_it_is_its_first(tmp_path):
    image = Image.fromarray(np.full((8, 8, 3), 90, "uint8"))
    image.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[image])
    assert load_arrays(tmp_path, "all")["x"].shape == (1, 8, 8, 3)


def test_a_text_within_a_running_status_changes_no_note(tmp_path):
    (tmp_path / "a.mid").write_bytes(midi(b"\0\x90\x3c\x40\0\xff\1\1A\x60\x3c\0" + b"\x83\x60\xf8"))
    assert np.argwhere(read_midi(tmp_path / "a.mid")).tolist() == [[0, 39]]
    (tmp_path / "b.mid").write_bytes(midi(b"\x81" * 300_000))
    with pytest.raises(InvalidInput, match="too many bytes"):
        read_midi(tmp_path / "b.mid")


def test_unknown_labels_stay_unknown():
    from zoo.data.sources.tables import labels_of

    assert labels_of("label", np.array([0, -1, 1]), ["a", "b"], ["a", "b"])[0].tolist() == [0, -1, 1]
    assert labels_of("label", np.array([0, np.nan, 1]), None, None)[0].tolist() == [0, -1, 1]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2, 3], "label": pandas.Series(["x", None, "y"], dtype="string")})
    assert load_arrays(frame, labels=True)["y"].tolist() == [0, -1, 1]


def test_patterns_meet_no_hidden_folder_and_links_lead_nowhere_up(tmp_path):
    for name in ("cat", "dog", ".ipynb_checkpoints", "__MACOSX"):
        picture(tmp_path / "d" / name / "1.png")
    assert open_source(f"{tmp_path}/d/*/*.png").classes == ["cat", "dog"]
    picture(tmp_path / "outside.png")
    (tmp_path / "d" / "cat" / "up").symlink_to(tmp_path)
    assert len(load_arrays(tmp_path / "d", "all")["x"]) == 2


def test_splits_are_known_in_any_case_and_without_a_train_part(tmp_path):
    for name in ("Train/a", "Train/b"):
        picture(tmp_path / "one" / name / "1.png")
    assert load_arrays(tmp_path / "one", "train", labels=True)["y"].tolist() == [0, 1]
    for name in ("test/a", "test/b"):
        picture(tmp_path / "two" / name / "1.png")
    assert open_source(tmp_path / "two").classes == ["a", "b"]
    with pytest.raises(InvalidInput, match="no train"):
        load_arrays(tmp_path / "two", "train")


def test_waves_of_odd_scales_and_sizes(tmp_path):
    with pytest.raises(InvalidInput, match="pass int16"):
        load_arrays([np.arange(400, dtype="int32"), np.arange(300, dtype="int32")])
    samples = np.arange(-500, 500, dtype="int16")
    for size in (0x7FFFF000, 0x80000000, 0xFFFFFFDB):
        (tmp_path / "a.wav").write_bytes(wav(samples, size=size))
        assert len(read_wav(tmp_path / "a.wav")[0]) == 1000
    (tmp_path / "a.wav").write_bytes(
        wav(samples[:0], size=0, behind=b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf58.29.100\0")
    )
    with pytest.raises(InvalidInput):
        read_wav(tmp_path / "a.wav")


def test_a_folder_that_is_called_as_a_data_set_is_one_where_it_is_a_path(tmp_path, monkeypatch):
    import pathlib

    picture(tmp_path / "digits" / "a" / "1.png", 7)
    monkeypatch.chdir(tmp_path)
    for source in (pathlib.Path("digits"), "digits/", "./digits"):
        assert load_arrays(source, "all")["x"].max() == 7
    assert len(load_arrays("digits", "test")["x"]) == 200
