"""Sequences: which meet in a batch and in which order, where they come from, and what is refused."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from zoo.data import FieldSpec, check_batch, describe_dataset, load_arrays, load_dataset, load_fields, open_source
from zoo.data.batches import bucket_order, bucket_sizes, plan, stored_order
from zoo.data.midi import write_midi
from zoo.data.sound import write_wav
from zoo.errors import InvalidInput

RANDOM = np.random.default_rng(0)
LENGTHS = np.concatenate([RANDOM.integers(1, 40, 90), [200, 300, 301]])
SEQUENCES = [np.full((length, 3), row, "float32") for row, length in enumerate(LENGTHS)]
MUSIC = {
    "jsb_chorales": (229, 76, 77),
    "nottingham": (694, 173, 170),
    "piano_midi": (87, 12, 25),
    "muse_data": (524, 135, 124),
}
SPEC = {
    "x": FieldSpec((None, 3), "float32", 0.0, 1.0),
    "length": FieldSpec((), "int32", role="length"),
}


@pytest.fixture
def prepared():
    """The tests below it need the prepared data sets, and are skipped where they are not."""
    if not Path(os.environ.get("TFDS_DATA_DIR", ""), "jsb_chorales").is_dir():
        pytest.skip("needs prepared data sets: set TFDS_DATA_DIR")


def rows(dataset, batches=None):
    """The rows of `SEQUENCES` that the batches of a data set hold."""
    return [batch["x"][:, 0, 0].numpy().astype(int).tolist() for batch in itertools.islice(dataset, batches)]


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_pass_holds_every_sequence_once_and_zeros_behind_its_end(shuffle):
    seen = []
    for batch in load_dataset(SEQUENCES, batch_size=16, shuffle=shuffle):
        x, length = batch["x"].numpy(), batch["length"].numpy()
        assert x.dtype == np.float32 and length.dtype == np.int32 and len(x) <= 16
        for one, steps in zip(x, length, strict=True):
            row = int(one[0, 0])
            np.testing.assert_array_equal(one[:steps], SEQUENCES[row])
            assert not one[steps:].any()
            seen.append(row)
    assert sorted(seen) == list(range(len(SEQUENCES)))
    assert (seen == bucket_order(LENGTHS).tolist()) != shuffle


def test_a_resumed_run_sees_the_batches_of_an_uninterrupted_one():
    steps = int(load_dataset(SEQUENCES, batch_size=16).cardinality())
    whole = rows(load_dataset(SEQUENCES, batch_size=16, seed=3, first_epoch=0), 3 * steps)
    assert rows(load_dataset(SEQUENCES, batch_size=16, seed=3, first_epoch=2), steps) == whole[2 * steps :]
    assert whole[:steps] != whole[steps : 2 * steps] != whole[2 * steps :]
    assert rows(load_dataset(SEQUENCES, batch_size=16, seed=4, first_epoch=0), steps) != whole[:steps]


def test_other_sequences_meet_and_batches_come_in_another_order_in_each_pass():
    steps = int(load_dataset(SEQUENCES, batch_size=16).cardinality())
    batches = rows(load_dataset(SEQUENCES, batch_size=16, first_epoch=0), 2 * steps)
    first, second = ({frozenset(batch) for batch in part} for part in (batches[:steps], batches[steps:]))
    assert first != second
    lengths = [[max(LENGTHS[batch]) for batch in part] for part in (batches[:steps], batches[steps:])]
    assert lengths[0] != sorted(lengths[0]) and lengths[0] != lengths[1]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_sizes_are_the_fewest_that_keep_padding_below_the_share(share):
    lengths = RANDOM.integers(1, 13, 30)

    def padding(sizes):
        padded = np.array(sizes)[np.searchsorted(sizes, lengths)].sum()
        return 1 - lengths.sum() / padded

    sizes = bucket_sizes(lengths, share)
    assert padding(sizes) <= share
    tops = np.unique(lengths)
    fewer = [
        padding((*some, tops[-1]))
        for count in range(len(sizes) - 1)
        for some in itertools.combinations(tops[:-1], count)
    ]
    assert not fewer or min(fewer) > share
    assert padding(sizes) == min(padding((*s, tops[-1])) for s in itertools.combinations(tops[:-1], len(sizes) - 1))


def test_batches_of_a_bucket_are_as_large_as_each_other():
    batches = plan(np.full(50, 7), 16)
    assert sorted(batches[:, 1] - batches[:, 0]) == [12, 12, 13, 13]
    assert len(plan(np.arange(1, 2000), 1000)) < 20


@pytest.mark.parametrize("name", MUSIC)
def test_padding_of_music_stays_below_fifteen_percent(prepared, name):
    for batch_size in (4, 128):
        frames = real = sequences = 0
        shapes = set()
        for batch in load_dataset(name, batch_size=batch_size, shuffle=True):
            frames += np.prod(batch["x"].shape[:2])
            real += batch["length"].numpy().sum()
            sequences += len(batch["x"])
            shapes.add(batch["x"].shape[1])
        assert sequences == MUSIC[name][0]
        assert 1 - real / frames < 0.15
        assert len(shapes) <= 14


@pytest.mark.parametrize("name", MUSIC)
def test_music_has_the_published_splits_and_eighty_eight_notes(prepared, name):
    for split, count in zip(("train", "validation", "test"), MUSIC[name], strict=True):
        assert describe_dataset(name)["splits"][split] == count
        if split != "train":
            arrays = load_arrays(name, split)
            assert arrays["x"].shape == (count, arrays["length"].max(), 88)
            assert np.unique(arrays["x"]).tolist() == [0, 1]


def test_speech_comes_in_frames_with_its_digit_and_takes_are_held_out(prepared):
    arrays = load_arrays("free_spoken_digit", "validation", labels=True)
    assert arrays["x"].shape[::2] == (300, 200) and np.abs(arrays["x"]).max() <= 1
    assert np.bincount(arrays["y"]).tolist() == [30] * 10
    assert load_arrays("free_spoken_digit", "test", frame=100, limit=3)["x"].shape[::2] == (3, 100)
    from zoo.data.tfds.catalogue import DATASETS
    from zoo.data.tfds.prepare import _builder

    (expression, count), held_out = (DATASETS["free_spoken_digit"].parts[s] for s in ("train", "validation"))
    for split, total, takes in ((expression, count, range(10, 50)), (*held_out, range(5, 10))):
        names = [
            e["filename"].decode() for e in _builder("free_spoken_digit").as_dataset(split=split).as_numpy_iterator()
        ]
        assert len(names) == total and {int(name[:-4].split("_")[2]) for name in names} == set(takes)


# ---------------------------------------------------------------- sources


def test_padded_arrays_and_files_are_the_same_sequences(tmp_path):
    padded = load_arrays(SEQUENCES)
    np.savez(tmp_path / "a.npz", **padded)
    for source in (padded, tmp_path / "a.npz", {"x": SEQUENCES, "length": LENGTHS}):
        again = load_arrays(source, "all")
        for name, values in padded.items():
            np.testing.assert_array_equal(again[name], values)
    assert len(load_arrays(tmp_path / "a.npz", "test")["x"]) == 9
    labelled = load_arrays({"x": SEQUENCES, "y": np.arange(93)}, labels=True, limit=5)
    assert labelled["y"].tolist() == list(range(5)) and "y" not in load_arrays({"x": SEQUENCES, "y": np.arange(93)})


def test_a_folder_of_midi_files_is_rolls_in_sorted_order(tmp_path):
    rolls = [RANDOM.random((steps, 88)) < 0.1 for steps in (5, 9)]
    for name, roll in zip("ab", rolls, strict=True):
        write_midi(tmp_path / f"{name}.mid", roll)
    arrays = load_arrays(tmp_path, "all")
    assert arrays["length"].tolist() == [5, 9]
    np.testing.assert_array_equal(arrays["x"][0, :5], rolls[0])
    assert open_source(tmp_path).names == ["a.mid", "b.mid"]
    assert load_arrays(tmp_path / "b.mid", "all")["x"].shape == (1, 9, 88)


def test_class_folders_of_wav_files_give_labels(tmp_path):
    for label, name in enumerate(("no", "yes")):
        for take in range(2):
            write_wav(tmp_path / name / f"{take}.wav", np.full(450, label / 4), 8000)
    arrays = load_arrays(tmp_path, "all", labels=True, rate=8000)
    assert arrays["x"].shape == (4, 2, 200) and arrays["y"].tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(arrays["x"][2], 0.25, atol=1e-4)
    spec = {"x": FieldSpec((None, 50)), "length": SPEC["length"]}
    assert load_fields(open_source(tmp_path, frame=50, rate=8000), spec)["x"].shape == (4, 9, 50)


def test_a_dataset_of_sequences_is_padded_where_it_is_not_batched():
    import tensorflow as tf

    signature = {"x": tf.TensorSpec((None, 3)), "length": tf.TensorSpec((), "int32")}
    one_by_one = tf.data.Dataset.from_generator(
        lambda: ({"x": one, "length": len(one)} for one in SEQUENCES[:5]), output_signature=signature
    )
    (batch,) = load_dataset(one_by_one, batch_size=5)
    assert batch["x"].shape == (5, LENGTHS[:5].max(), 3)
    (again,) = load_dataset(tf.data.Dataset.from_tensors(batch))
    assert again["x"].shape == batch["x"].shape


# ---------------------------------------------------------------- bad input


def changed(number, array):
    return [*SEQUENCES[:number], array, *SEQUENCES[number + 1 :]]


BAD = {
    "lengths that disagree": ({"x": SEQUENCES, "length": LENGTHS + 1}, {}, "sequence 0 has .* but its length is"),
    "a length beyond the steps": ({"x": np.ones((2, 4, 3)), "length": [4, 5]}, {}, "length is 5 in row 1, .* 1 to 4"),
    "a length of none": ({"x": np.ones((2, 4, 3)), "length": [0, 4]}, {}, "length is 0 in row 0"),
    "one length too few": ({"x": np.ones((2, 4, 3)), "length": [4]}, {}, r"length must be .* \[2\]; got int64 \[1\]"),
    "a broken length": ({"x": np.ones((2, 4, 3)), "length": [1.5, 2]}, {}, "whole number a sequence"),
    "nothing to pad": ({"x": np.ones((2, 4)), "length": [1, 2]}, {}, r"x \[N, T, features\], got \[2, 4\]"),
    "an empty sequence": (changed(3, np.ones((0, 3))), {}, "sequence 3 is empty"),
    "no features": ([np.ones((2, 0)), np.ones((3, 0))], {}, "which hold nothing"),
    "NaN": (changed(4, np.array([[0, 0, 0], [0, np.nan, 0]])), {}, "sequence 4 has .*NaN.* first at step 1"),
    "other features": (changed(5, np.ones((2, 4))), {}, r"sequence 5 has steps of shape \[4\], .* \[3\]"),
    "text": (changed(1, np.array([["a"]])), {}, "sequence 1 holds <U1"),
    "a short waveform": ([np.zeros(500), np.zeros(100)], {}, "sequence 1 has 100 samples, fewer than a frame of 200"),
    "samples without a scale": ([np.zeros(500, "int64"), np.zeros(400, "int64")], {}, "holds int64: samples are"),
    "labels that are not there": (SEQUENCES, {"labels": True}, "no labels"),
    "labels of another number": ({"x": SEQUENCES, "y": [1]}, {}, "y has 1 rows, but x has 93 sequences"),
    "a remainder": (SEQUENCES, {"drop_remainder": True}, "leave out drop_remainder"),
    "frames of rolls": (SEQUENCES, {"frame": 5}, "frame is for waveforms"),
    "frames of images": ("digits", {"frame": 5}, "frame is for waveforms"),
    "frames of nothing": ([np.zeros(500), np.zeros(100)], {"frame": 0}, "frame must be positive"),
    "no sequences": (SEQUENCES, {"limit": 0}, "limit must be positive"),
    "a split of a list": (SEQUENCES, {"split": "test"}, "no split 'test'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_sequence_is_refused_in_one_line(kind):
    source, arguments, said = BAD[kind]
    with pytest.raises(InvalidInput, match=said) as error:
        load_dataset(source, **arguments)
    assert "\n" not in str(error.value)


def test_wav_files_of_another_rate_are_refused_with_both_numbers(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(400), 8000)
    with pytest.raises(InvalidInput, match="a.wav' has 8000 samples a second, 16000 are taken"):
        load_dataset(tmp_path, "all", rate=16000)
    write_wav(tmp_path / "b.wav", np.zeros(400), 22050)
    with pytest.raises(InvalidInput, match="b.wav' has 22050 samples a second, 8000 are taken"):
        load_dataset(tmp_path, "all")
    for name in ("c.mid", "d.mid"):
        write_midi(tmp_path / name, np.eye(88))
    with pytest.raises(InvalidInput, match="holds 2 sounds and 2 piano rolls"):
        load_dataset(tmp_path, "all")


def test_a_batch_is_checked_where_it_is_real():
    x, length = np.full((2, 4, 3), 0.5, "float32"), np.array([4, 2])
    x[1, 2:] = np.nan  # behind the end anything may stand
    check_batch({"x": x, "length": length}, SPEC)
    with pytest.raises(InvalidInput, match=r"x has values that are NaN or infinite \(row 1 of 2\)"):
        check_batch({"x": x, "length": np.array([4, 3])}, SPEC)
    for wrong in (0, 5):
        with pytest.raises(InvalidInput, match=f"length is {wrong} .row 1 of 2.: a sequence has 1 to 4 steps"):
            check_batch({"x": x, "length": np.array([4, wrong])}, SPEC)
    with pytest.raises(InvalidInput, match="whole numbers"):
        check_batch({"x": x, "length": np.array([4.0, 2.0])}, SPEC)
    with pytest.raises(InvalidInput, match="needs a field 'length'"):
        check_batch({"x": x}, SPEC)
    with pytest.raises(
        InvalidInput, match=r"x has shape \(4, 2\), the model takes \(None, 3\): a step of it is \(3,\)"
    ):
        check_batch({"x": x[..., :2], "length": length}, SPEC)


@pytest.mark.slow
def test_a_model_is_evaluated_over_batches_of_several_lengths():
    import zoo

    model = zoo.create(
        "vrnn", data_shape=(None, 3), latent_dim=2, state_dim=4, hidden_units=(5,), likelihood="normal", seed=1
    )
    some = [one / 93 for one in SEQUENCES[:40]]
    whole = zoo.evaluate(model, load_dataset(some, batch_size=50, shuffle=False), num_samples=3)
    assert whole["elbo"]["num_examples"] == whole["active_units"]["num_examples"] == 40
    assert whole["active_units"]["of"] == 2
    each = zoo.evaluation.score_each(model, load_dataset(some, batch_size=50, shuffle=False), num_samples=3)
    order = stored_order(np.array([len(one) for one in some]))
    alone = model(load_arrays(some[7:8]), num_samples=500, seed=1).elbo
    spread = np.abs(each["elbo"][order] - each["elbo"][order][7])
    assert abs(each["elbo"][order][7] - alone[0]) < np.median(spread)


def test_values_are_counted_over_real_steps():
    import zoo
    from zoo.evaluation.metrics import examples, observed

    model = zoo.create("vrnn", data_shape=(None, 3), latent_dim=2, state_dim=4, hidden_units=(5,), likelihood="normal")
    import tensorflow as tf

    x, length = np.zeros((2, 7, 3), "float32"), np.array([4, 7], "int32")
    (batch,) = examples(model, tf.data.Dataset.from_tensors({"x": x, "length": length}))
    assert observed(model, batch)["observed"].tolist() == [12, 21]
