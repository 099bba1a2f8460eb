"""What data are, once they were opened: their fields, names and counts, what was left out, and how they are read.

`open_source` (`zoo.data.sources.open`) makes a `Source`, and nothing else asks what a thing is. `split` gives another
one, of some of its rows; `zoo.data.batches` makes batches of any.
"""

import copy
import hashlib

import numpy as np

from zoo.data.spec import LABELS, LENGTH
from zoo.errors import InvalidInput, check_positive
from zoo.quiet import say_once

KNOWN = ("classes", "columns", "label", "rate", "names", "division", "left_out", "num_classes", "labels", "has_labels")


class Source:
    """Rows of one kind.

    Attributes:
        said: what messages call it.
        kind: what it is, in words.
        count: how many rows.
        rows_of: a function of a split that gives its rows (`zoo.data.division`).
        classes: the names of the labels by number, or None.
        columns: the names of the numbers of a row of a table, or None.
        label: the name of the column of labels, or None.
        rate: samples a second of waveforms, or None.
        names: what the rows are called, or None: their numbers.
        sizes: split -> its rows, where that is known without opening it; or None.
        left_out: lines on what was found and not taken.
        division: "name" where a row's part follows from what it is called, else None.
        streamed: whether rows are read while they are used: then there are `counts`, `row_bytes`, `portable`, `read`
            and `parse`, as `zoo.data.batches` says.
        sequential: whether rows have any lengths.
        labels: whether y is among the fields; has_labels: whether it could be.
    """

    classes = columns = label = rate = names = division = None
    left_out, num_classes, sizes = (), None, None
    streamed = sequential = labels = has_labels = False

    def __init__(self, said, kind, count, rows_of, **known):
        self.said, self.kind, self.count, self.rows_of = said, kind, count, rows_of
        for name, value in known.items():
            setattr(self, name, value)

    def take(self, rows):
        """The same source with some of the rows alone: int [N], or a slice."""
        kept, taken = np.arange(self.count)[rows], copy.copy(self)
        taken.count = len(kept)
        taken.names = None if self.names is None else [self.names[row] for row in kept]
        taken.select(rows)
        return taken

    def select(self, rows):
        """Keep the rows, int [N] or a slice, of what this kind of source holds."""
        raise NotImplementedError

    def split(self, name="train", limit=None):
        """A source of the rows of a split, of the first `limit` of them."""
        if limit is not None:
            check_positive(limit=limit)
        return self.part(name, limit)

    def part(self, name, limit):
        """As `split`, of a checked limit."""
        rows = self.rows_of(name)
        return self.take(slice(limit) if isinstance(rows, slice) else rows[:limit])

    def labelled(self, wanted):
        """With labels, or without.

        Raises:
            InvalidInput: they are asked for, and there are none.
        """
        if wanted and not self.has_labels:
            where = "an .npz file has them as y, tables and records as label or y, a folder as one sub-folder a class"
            raise InvalidInput(f"{self.said} has no labels: {where}")
        self.labels = bool(wanted)
        return self

    def in_memory(self):
        """Arrays or Sequences of the rows; what is streamed stays as it is."""
        return self

    def arrays(self):
        """Name -> array [N, ...] of all rows."""
        raise NotImplementedError

    def loaded(self, source):
        """A source in memory in place of this one, with all that is known of it."""
        vars(source).update({name: getattr(self, name) for name in KNOWN})
        return source

    def say_left_out(self):
        """Say once, on the error stream, what was not taken."""
        if self.left_out:
            say_once(f"{self.said}: left out {'; '.join(self.left_out)}")
        return self

    def about(self):
        """What a card keeps, so that the same names mean the same ever after."""
        found = {"classes": self.classes, "columns": self.columns, "label": self.label, "rate": self.rate}
        if self.division:
            found |= {"division": self.division, "rows": self.count, "fingerprint": self.fingerprint()}
        return {name: value for name, value in found.items() if value is not None}

    def fingerprint(self):
        """Of the names of the rows, or of their number."""
        text = "\n".join(self.names) if self.names is not None else str(self.count)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


class Arrays(Source):
    """Rows of one shape in memory: name -> array [N, ...]."""

    def __init__(self, fields, said, kind, rows_of, **known):
        super().__init__(said, kind, len(fields["x"]), rows_of, **{"has_labels": LABELS in fields, **known})
        self.fields = fields

    def select(self, rows):
        self.fields = {name: values[rows] for name, values in self.fields.items()}

    def arrays(self):
        return {name: values for name, values in self.fields.items() if self.labels or name != LABELS}


class Sequences(Source):
    """Sequences of any lengths in memory, one behind the other.

    Attributes:
        frames: [sum of the lengths, *features].
        lengths: int32 [N]; offsets: where each begins, int64 [N].
        beside: name -> [N, ...]: labels and the like.
    """

    sequential = True

    def __init__(self, frames, lengths, beside, said, kind, rows_of, **known):
        super().__init__(said, kind, len(lengths), rows_of, **{"has_labels": LABELS in beside, **known})
        self.frames, self.lengths, self.beside = frames, lengths, beside

    @property
    def offsets(self):
        return np.cumsum(self.lengths, dtype="int64") - self.lengths

    def select(self, rows):
        if isinstance(rows, slice) and rows == slice(None):
            return
        places = zip(self.offsets[rows], self.lengths[rows], strict=True)
        parts = [self.frames[start : start + size] for start, size in places]
        self.frames, self.lengths = np.concatenate(parts), self.lengths[rows]
        self.beside = {name: values[rows] for name, values in self.beside.items()}

    def fields_beside(self):
        """What stands beside the sequences, without labels unless they are asked for."""
        return {name: values for name, values in self.beside.items() if self.labels or name != LABELS}

    def arrays(self):
        """{"x": float32 [N, T, *features], zeros behind each end; "length": int32 [N]; what else there is}."""
        inside = np.arange(self.lengths.max()) < self.lengths[:, None]
        x = np.zeros((*inside.shape, *self.frames.shape[1:]), "float32")
        x[inside] = self.frames
        return {"x": x, LENGTH: self.lengths, **self.fields_beside()}
