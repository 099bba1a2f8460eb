"""Pipelines of Apache Beam: every row written once under its key, alike in any run, and bad rows told apart."""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image
from support import small

import zoo as package
from zoo.beam.batches import Batch, arrays_of, seed_of
from zoo.data import FieldSpec, write_shards
from zoo.errors import InvalidInput, OutputExists

HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
COUNT = 600
PIXELS = FieldSpec((2, 2, 1), "float32", 0.0, 1.0)


def beam(test):
    """A test of a pipeline, which takes seconds and Beam."""
    return pytest.mark.slow(pytest.mark.skipif(not HAS_BEAM, reason="apache-beam is not installed")(test))


@pytest.fixture(scope="module")
def model():
    return small("vae", data_shape=(4, 4, 1), latent_dim=2, binarize="dynamic")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 1), "uint8")


@pytest.fixture(scope="module")
def patterns(x, tmp_path_factory):
    """Kind -> (pattern, key -> number of the row) of the same rows in files of that kind."""
    import pyarrow
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("beam")
    write_shards(package.load_dataset(x, batch_size=100, shuffle=False), folder / "rows", 3)
    rows = {f"{file:05}-of-00003.tfrecord:{row // 3}": row for row in range(COUNT) for file in [row % 3]}
    table = pyarrow.table({"x": list(x.reshape(COUNT, -1)), "name": [f"row{row}" for row in range(COUNT)]})
    parquet.write_table(table, folder / "a.parquet", row_group_size=250)
    for row in range(20):
        (folder / "pictures" / str(row % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[row, ..., 0]).save(folder / "pictures" / str(row % 2) / f"{row}.png")
    return {
        "records": (folder / "rows" / "*.tfrecord", rows),
        "parquet": (folder / "*.parquet", {f"row{row}": row for row in range(COUNT)}),
        "pictures": (folder / "pictures" / "*" / "*.png", {f"{row % 2}/{row}.png": row for row in range(20)}),
    }


def run(model, endpoint, output, **settings):
    """({key: {column: value}}, {key: reason}, counts) of a pipeline on this machine."""
    from pyarrow import parquet

    from zoo.beam.pipeline import run

    given = {"runner": "DirectRunner", **settings}
    given |= {"pattern": str(given["pattern"])} if "pattern" in given else {}
    counts = run(model, endpoint, output, **given)
    failed = [json.loads(line) for file in output.glob("failed*.jsonl") for line in file.read_text().splitlines()]
    tables = [parquet.read_table(file).to_pylist() for file in output.glob("*.parquet")]
    rows = [row for table in tables for row in table]
    found = {row.pop("key"): row for row in rows}
    assert len(found) == len(rows) == counts["written"] and len(failed) == counts["failed"]
    assert {path.suffix for path in output.iterdir()} <= {".parquet", ".jsonl"}
    return found, {row["key"]: row["reason"] for row in failed}, counts


# ---------------------------------------------------------------- rows


def test_a_seed_hangs_on_the_key_and_the_seed_of_the_run_alone():
    assert seed_of("a.png", 0) == 9147658280928144584
    assert len({seed_of(key, seed) for key in ("a:1", "a:2", "b:1") for seed in (0, 1)}) == 6
    assert all(0 <= seed_of(str(n), 0) < 2**63 for n in range(1000))


def test_rows_that_a_model_does_not_take_are_named_and_the_others_go_on():
    good = np.full((2, 2, 1), 0.5, "float32")
    rows = [good, good * np.nan, good * 3, good[:1], good]
    specs = {"x": PIXELS, "seed": FieldSpec((), "int64", role="seed")}
    keys, arrays, failed = arrays_of(Batch(list("abcde"), {"x": rows}), specs, seed=1)
    assert keys == ["a", "e"] and arrays["x"].shape == (2, 2, 2, 1)
    assert arrays["seed"].tolist() == [seed_of("a", 1), seed_of("e", 1)]
    assert [key for key, _ in failed] == ["b", "c", "d"]
    for (_, reason), said in zip(failed, ("finite", "0", "shape (1, 2, 1)"), strict=True):
        assert said in reason


def test_pixels_are_divided_and_unknown_labels_are_minus_one():
    levels = np.arange(8, dtype="uint8").reshape(2, 2, 2, 1)
    specs = {"x": PIXELS, "y": FieldSpec((), "int32", -1, 9, "label")}
    _, arrays, failed = arrays_of(Batch(["a", "b"], {"x": levels}), specs, seed=0)
    np.testing.assert_allclose(arrays["x"], levels / 255, rtol=1e-6)
    assert arrays["y"].tolist() == [-1, -1] and not failed
    with pytest.raises(InvalidInput, match="label or y"):
        arrays_of(Batch(["a"], {"x": levels[:1]}), {**specs, "y": FieldSpec((), "int32", 0, 9, "condition")}, seed=0)


# ---------------------------------------------------------------- pipelines


@beam
@pytest.mark.parametrize("kind", ["records", "parquet", "pictures"])
def test_codes_are_those_of_the_model_and_every_row_is_there_once(model, x, patterns, kind, tmp_path):
    pattern, rows = patterns[kind]
    found, failed, _ = run(
        model, "encode", tmp_path / "codes", pattern=pattern, key="name" if kind == "parquet" else None
    )
    assert found.keys() == rows.keys() and not failed
    expected = model.encode(x).numpy()
    for key, row in found.items():
        np.testing.assert_allclose(row["z"], expected[rows[key]], rtol=1e-4, atol=1e-5)


@beam
def test_scores_of_two_processes_are_those_of_one_and_of_the_rerun(model, patterns, tmp_path):
    settings = {"pattern": patterns["records"][0], "num_samples": 10}
    alone, _, _ = run(model, "score", tmp_path / "alone", **settings)
    two = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    shared, _, _ = run(model, "score", tmp_path / "shared", **settings, options=two)
    assert alone.keys() == shared.keys() == patterns["records"][1].keys()
    for key, row in alone.items():
        assert row["elbo"] <= row["log_marginal"]
        np.testing.assert_allclose([*row.values()], [*shared[key].values()], rtol=1e-5)
    other, _, _ = run(model, "score", tmp_path / "other", **settings, seed=1)
    assert all(other[key]["elbo"] != row["elbo"] for key, row in alone.items())


@beam
def test_draws_are_those_of_the_endpoint(model, tmp_path):
    import tensorflow as tf

    found, _, _ = run(model, "sample", tmp_path / "draws", count=300)
    assert found.keys() == set(map(str, range(300)))
    keys = list(found)
    expected = model.serve_sample(tf.constant([seed_of(key, 0) for key in keys]))["x"].numpy()
    np.testing.assert_allclose([found[key]["x"] for key in keys], expected.reshape(300, -1), atol=1e-5)


@beam
def test_bad_rows_and_files_are_lines_with_key_and_reason(model, x, tmp_path):
    import pyarrow
    import tensorflow as tf
    from pyarrow import parquet

    from zoo.data.sources.examples import example_of

    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for record in (
            example_of(x[0]),
            example_of(x[1, :2]),
            b"no example",
            example_of(np.full((4, 4, 1), np.nan, "float32")),
            example_of(x[4]),
        ):
            writer.write(record)
    cells = [(x[5] / 255).ravel().tolist(), None, [1.0, 2.0], [0.5] * 16]
    parquet.write_table(pyarrow.table({"x": cells}), tmp_path / "b.parquet")
    (tmp_path / "c.png").write_bytes(b"no picture")
    Image.fromarray(x[6, ..., 0]).save(tmp_path / "d.png")
    (tmp_path / "e.tfrecord").write_bytes((tmp_path / "a.tfrecord").read_bytes()[:-3])
    found, failed, counts = run(model, "encode", tmp_path / "codes", pattern=tmp_path / "*.*")
    assert {"a.tfrecord:0", "a.tfrecord:4", "b.parquet:0", "b.parquet:3", "d.png", "e.tfrecord:0"} == found.keys()
    for key, said in {
        "a.tfrecord:1": "shape (2, 4, 1)",
        "a.tfrecord:2": "no tf.train.Example",
        "a.tfrecord:3": "finite",
        "b.parquet:1": "holds no numbers",
        "b.parquet:2": "shape",
        "c.png": "no PNG or JPEG",
        "e.tfrecord": "the rest of it",
    }.items():
        assert said in failed[key], failed
    assert counts["failed"] == len(failed)


@beam
def test_what_cannot_run_is_one_line_and_leaves_nothing(model, patterns, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputExists):
        run(model, "encode", tmp_path / "there", pattern=patterns["records"][0])
    for pattern, said in (
        (tmp_path / "*.tfrecord", "no file matches"),
        (patterns["records"][0].parent, "is a folder"),
        (pathlib.Path(__file__), "is no TFRecord"),
    ):
        with pytest.raises(InvalidInput, match=said):
            run(model, "encode", tmp_path / "codes", pattern=pattern)
    with pytest.raises(InvalidInput, match="argument --direct_num_workers: invalid int value"):
        run(model, "sample", tmp_path / "draws", count=3, options=["--direct_num_workers=many"])
    labelled = small("conditional_vae", data_shape=(4, 4, 1), num_classes=3)
    with pytest.raises(InvalidInput, match="the model needs y of every row"):
        run(labelled, "encode", tmp_path / "codes", pattern=patterns["records"][0])
    with pytest.raises(InvalidInput, match="is of sequences"):
        run(small("vrnn"), "encode", tmp_path / "codes", pattern=patterns["records"][0])
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


# ---------------------------------------------------------------- the commands


def refused(zoo, *arguments):
    code, _, lines = zoo(*arguments)
    assert (code, len(lines)) == (2, 1), lines
    return lines[0]


def test_without_beam_the_line_says_what_to_install(zoo, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    said = refused(zoo, "encode", "vae_mnist", "--input", "*.png", "--runner", "DirectRunner")
    assert 'pip install "vae-zoo[beam]"' in said


def test_options_of_pipelines_are_refused_without_one(zoo, run_folder):
    assert "did you mean FlinkRunner" in refused(zoo, "encode", run_folder, "--runner", "FlinkRuner")
    assert "--key goes with --runner" in refused(zoo, "score", run_folder, "--key", "name")
    assert "need --runner" in refused(zoo, "sample", run_folder, "--", "--direct_num_workers=2")
    assert "a pattern goes with --runner" in refused(zoo, "encode", run_folder, "--input", "*.png")


@beam
def test_the_command_says_how_many_rows_there_are(zoo, run_folder, tmp_path):
    output = tmp_path / "draws"
    arguments = ["sample", run_folder, "--count", 70, "--output", output, "--runner", "DirectRunner"]
    code, out, lines = zoo(*arguments, "--", "--direct_num_workers=1")
    assert code == 0 and out.strip() == f"wrote {output}: 70 rows, 0 failed" and not lines
    assert "there already" in refused(zoo, *arguments)
    assert "so many rows as --count says" in refused(zoo, "sample", run_folder, "--runner", "DirectRunner")
    assert "takes rows from --input" in refused(zoo, "encode", run_folder, "--runner", "DirectRunner")


@beam
def test_every_row_of_a_damaged_file_is_written_or_counted(model, x, tmp_path):
    import tensorflow as tf

    from zoo.data.sources.examples import example_of
    from zoo.data.sources.records import record_places

    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(100):
            writer.write(example_of(x[row]))
    content = bytearray(path.read_bytes())
    content[list(record_places(str(path)))[40] + 30] ^= 1
    path.write_bytes(bytes(content))
    found, failed, counts = run(model, "encode", tmp_path / "codes", pattern=path)
    assert counts == {"written": 99, "failed": 1} and "checksum" in failed["a.tfrecord:40"]
    assert "a.tfrecord:99" in found


def test_a_broken_first_record_names_its_file(x, tmp_path):
    write_shards(package.load_dataset(x[:20], batch_size=10, shuffle=False), tmp_path / "s", 1)
    (path,) = (tmp_path / "s").glob("*.tfrecord")
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InvalidInput, match="the first record of .*00000-of-00001.tfrecord"):
        package.load_dataset(tmp_path / "s")
