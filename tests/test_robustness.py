"""Damaged and hostile files, and kills: a sample of what `python -m tests.robustness` counts."""

import pytest
from robustness import count, files
from support import of_today, tiered

FEWER = {"folders": 8, "servers": 8}  # which take seconds each


def nothing_bad(counts, wrong):
    assert not wrong
    assert not any(count.summary(counts).values())


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with files.Worker(tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.mark.parametrize("kind", tiered(count.FILES, of_today(count.FILES, 1).__contains__))
def test_a_damaged_file_is_taken_or_refused_in_one_line(kind, worker):
    counts, wrong = files.damaged(kind, FEWER.get(kind, 20), worker, seed=1)
    nothing_bad({kind: counts}, wrong)


@pytest.mark.slow
def test_neither_damaged_files_nor_kills_do_harm(tmp_path):
    """A tenth of the whole count, other cases than the sample's."""
    nothing_bad(*count.everything(tmp_path, share=0.1, seed=2))
