"""`zoo encode`, `zoo score` and `zoo sample` of any number of rows, as one pipeline of Apache Beam.

Files -> what is read at a time -> batches of rows -> the model's signature -> Parquet tables and lines of what failed.
Nothing but the names of files is ever gathered, so the memory of a worker does not grow with the rows.
"""

import contextlib
import io
import pathlib
import tempfile

import apache_beam as beam
import pyarrow
import tensorflow as tf
from apache_beam.metrics import MetricsFilter
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from zoo.beam.batches import Batch, Result
from zoo.beam.reading import NumberedRows, ReadRows, check_pattern, ranges, units_of
from zoo.beam.runners import make_runner, quiet_beam
from zoo.beam.served import ROWS, Served, write_served
from zoo.beam.writing import FAILED, WRITTEN, ParquetSink, Tables, schema_of
from zoo.errors import InvalidInput, OutputExists, reason
from zoo.files import atomic
from zoo.quiet import waiting


def run(
    model,
    endpoint,
    output,
    *,
    runner,
    pattern=None,
    count=None,
    options=(),
    key=None,
    column=None,
    look=None,
    like=None,
    num_samples=64,
    seed=0,
):
    """Write what an endpoint of a model gives for every row into a new folder of Parquet files.

    A row has its key beside it, and its seed hangs on that key and `seed` alone. Rows that cannot be read, or that the
    model does not take, are lines of failed-*.jsonl with key and reason, and the others go on. A folder of this machine
    appears whole or not at all; on an object store its files appear at the end of the pipeline.

    Args:
        endpoint: "encode", "score" or "sample".
        runner: a name in `zoo.beam.runners.RUNNERS`; options: its own, as a command line has them.
        pattern: of the files; count: how many rows to draw, of `sample`.
        key: the column or feature that names a row; None takes the file's name and the row's number.
        column, look: as `load_dataset`'s column, and its size, color and fit.
        like: the data of the model's card, whose names of columns and classes hold.
        num_samples: draws a row of `score`.

    Returns:
        {"written", "failed"}: rows, or {} where the runner does not count.
    """
    options = parsed(options)
    specs = {name: model.field_specs[name] for name in model.endpoints[endpoint][1]}
    if any(spec.role == "length" for spec in specs.values()):
        raise InvalidInput(
            f"a {model.registry_name} is of sequences, and a pipeline has rows of one shape: leave out runner"
        )
    if pattern is not None:
        check_pattern(pattern)
    remote = "://" in str(output)
    try:
        there = tf.io.gfile.exists(str(output))
    except tf.errors.OpError as error:
        raise InvalidInput(f"cannot write to {output}: {reason(error)}") from None
    if there:
        raise OutputExists(f"{output} is there already: choose another folder")
    with contextlib.ExitStack() as stack:
        home = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_served(model, endpoint, home / "model", num_samples)
        schema = schema_of(tf.saved_model.load(str(home / "model")).signatures[endpoint])
        if remote:
            folder = str(output).rstrip("/")
            served = shared(home / "model", f"{folder}/model", stack)
        else:
            folder, served = stack.enter_context(atomic(output)), str(home / "model")
            folder.mkdir()
        rows = max(1, ROWS // num_samples) if endpoint == "score" else None
        handler = Served(served, endpoint, seed, threads_of(runner, options), rows)
        pipeline = beam.Pipeline(make_runner(runner, options), options)
        write(read(pipeline, model, specs, pattern, count, column, key, look, like), handler, schema, folder)
        return finished(pipeline)


def parsed(arguments):
    """The options of a runner, from those of a command line."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            options = PipelineOptions(list(arguments))
            options.get_all_options()
        except SystemExit:  # argparse's
            raise InvalidInput(said.getvalue().strip().rpartition("error: ")[2]) from None
    return options


def shared(path, address, stack):
    """A copy of a folder where other machines can read it, for as long as the stack lasts."""
    stack.callback(tf.io.gfile.rmtree, address)
    for file in (file for file in path.rglob("*") if file.is_file()):
        target = f"{address}/{file.relative_to(path)}"
        tf.io.gfile.makedirs(target.rpartition("/")[0])
        tf.io.gfile.copy(str(file), target)
    return address


def threads_of(runner, options):
    """TensorFlow's threads in a worker: all cores where it is alone on its machine."""
    return 0 if runner == "DirectRunner" and options.view_as(DirectOptions).direct_num_workers == 1 else 1


def read(pipeline, model, specs, pattern, count, column, key, look, like):
    """The `Batch`es of the rows of a pattern, or of so many numbers."""
    shape = model.data_spec[model.fields_of("data")[0]].shape
    if pattern is None:
        label = next((spec for spec in specs.values() if spec.role in ("label", "condition")), None)
        numbered = NumberedRows(shape, None if label is None else label.maximum + 1)
        return pipeline | beam.Create(ranges(count)) | beam.Reshuffle() | beam.ParDo(numbered).with_output_types(Batch)
    units = pipeline | beam.Create([pattern]) | beam.FlatMap(units_of) | beam.Reshuffle()
    return units | beam.ParDo(ReadRows(pattern, shape, column, key, look, like)).with_output_types(Batch)


def write(batches, handler, schema, folder):
    """Call the model on the batches, and write what it says and what failed."""
    results = batches | RunInference(handler).with_output_types(Result)
    found = results | beam.ParDo(Tables(schema)).with_output_types(pyarrow.Table).with_outputs(FAILED, main="tables")
    found.tables | beam.io.Write(ParquetSink(f"{folder}/part", schema))
    found[FAILED] | beam.io.WriteToText(f"{folder}/failed", file_name_suffix=".jsonl", skip_if_empty=True)


def finished(pipeline):
    """Run a pipeline to its end: its counts.

    Raises:
        InvalidInput: it failed.
    """
    with waiting("running the pipeline"), quiet_beam():
        try:
            result = pipeline.run()
            state = result.wait_until_finish()
        except Exception as error:  # each runner raises its own
            raise InvalidInput(f"the pipeline failed: {error}") from error
    if state not in (None, "DONE"):
        raise InvalidInput(f"the pipeline ended as {state}")
    counters = result.metrics().query(MetricsFilter().with_namespace("zoo"))["counters"]
    counts = {counter.key.metric.name: counter.result for counter in counters}
    return {name: counts.get(name, 0) for name in (WRITTEN, FAILED)} if counts else {}
