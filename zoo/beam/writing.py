"""Results as Parquet tables, and rows that failed as lines of JSON."""

import json

import apache_beam as beam
import numpy as np
import pyarrow
from apache_beam.coders.coder_impl import CallbackCoderImpl
from apache_beam.io.filebasedsink import FileBasedSink
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue
from pyarrow import parquet

from zoo.beam.batches import Batch, Result

FAILED = "failed"
KEY, SHAPE = "key", b"shape"
TABLE, BYTES = 2**13, 2**23  # of a row group: the most rows, and bytes after which it ends
WRITTEN = "written"


def schema_of(signature):
    """The columns of a signature's outputs: numbers, or lists of one length, whose shape the field's metadata say."""
    fields = [pyarrow.field(KEY, pyarrow.string())]
    for name, spec in sorted(signature.structured_outputs.items()):
        kind, shape = pyarrow.from_numpy_dtype(spec.dtype.as_numpy_dtype), list(spec.shape[1:])
        kind = pyarrow.list_(pyarrow.field("element", kind, nullable=False), int(np.prod(shape))) if shape else kind
        fields.append(pyarrow.field(name, kind, metadata={SHAPE: json.dumps(shape)} if shape else None))
    return pyarrow.schema(fields)


class Weighed(beam.coders.PickleCoder):
    """Says how large batches, results and tables are without pickling them: Beam weighs what passes by."""

    def _create_impl(self):
        impl = super()._create_impl()
        return CallbackCoderImpl(impl.encode, impl.decode, lambda value: value.nbytes)


for kind in (Batch, Result, pyarrow.Table):
    beam.coders.registry.register_coder(kind, Weighed)


class ParquetSink(FileBasedSink):
    """Tables -> Parquet files, without the dictionaries on which Beam's own sink spends ten times as long."""

    def __init__(self, prefix, schema):
        super().__init__(prefix, coder=None, file_name_suffix=".parquet", mime_type="application/x-parquet")
        self.schema = schema

    def open(self, temp_path):
        self.file = super().open(temp_path)
        plain = [f.name for f in self.schema if not pyarrow.types.is_fixed_size_list(f.type)]  # to look rows up by
        return parquet.ParquetWriter(self.file, self.schema, use_dictionary=False, write_statistics=plain)

    def write_record(self, writer, table):
        writer.write_table(table)

    def close(self, writer):
        writer.close()
        self.file.close()


class Tables(beam.DoFn):
    """`Result`s -> tables of some thousand rows; lines of JSON of what failed, tagged `FAILED`; both are counted."""

    def __init__(self, schema):
        self.schema = schema
        self.written, self.failed = (Metrics.counter("zoo", name) for name in (WRITTEN, FAILED))

    def start_bundle(self):
        self.parts, self.rows, self.bytes = [], 0, 0

    def process(self, result):
        for key, reason in result.failed:
            self.failed.inc()
            yield beam.pvalue.TaggedOutput(FAILED, json.dumps({KEY: key, "reason": reason}))
        if result.keys:
            self.parts.append(self.table(result))
            self.rows += len(result.keys)
            self.bytes += result.nbytes
        if self.rows >= TABLE or self.bytes >= BYTES:
            yield self.joined()

    def finish_bundle(self):
        if self.rows:
            yield WindowedValue(self.joined(), GlobalWindow().max_timestamp(), [GlobalWindow()])

    def joined(self):
        """What was gathered."""
        table, rows = pyarrow.concat_tables(self.parts), self.rows
        self.written.inc(rows)
        self.start_bundle()
        return table

    def table(self, result):
        columns = [pyarrow.array(result.keys, pyarrow.string())]
        for field in list(self.schema)[1:]:
            values = pyarrow.array(result.outputs[field.name].ravel())
            fixed = pyarrow.types.is_fixed_size_list(field.type)
            columns.append(pyarrow.FixedSizeListArray.from_arrays(values, type=field.type) if fixed else values)
        return pyarrow.Table.from_arrays(columns, schema=self.schema)
