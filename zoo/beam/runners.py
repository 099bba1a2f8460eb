"""The machines that a pipeline runs on: Beam's runners by name, and what each needs."""

import contextlib
import logging
import shutil

from zoo.errors import InvalidInput, choose

RUNNERS = {
    "DirectRunner": "this machine",
    "FlinkRunner": "Apache Flink",
    "SparkRunner": "Apache Spark",
    "DataflowRunner": "Google Cloud Dataflow",
}
NEED_JAVA = ("FlinkRunner", "SparkRunner")


def check_runner(name, options=()):
    """Raise `InvalidInput` unless Beam is here, knows the runner, and has what that needs."""
    choose("runner", name, RUNNERS)
    with quiet_beam():
        try:
            import apache_beam  # noqa: F401
        except ImportError:
            raise InvalidInput('--runner needs Apache Beam: pip install "vae-zoo[beam]"') from None
    if name in NEED_JAVA and not shutil.which("java") and not any("job_endpoint" in option for option in options):
        raise InvalidInput(
            f"{name} starts a job server, which needs Java: install it, or add -- --job_endpoint=HOST:PORT"
        )
    if name == "DataflowRunner":
        try:
            from apache_beam.runners.dataflow import dataflow_runner  # noqa: F401
            from apache_beam.runners.dataflow.internal import apiclient  # noqa: F401
        except ImportError:
            raise InvalidInput('DataflowRunner needs more of Beam: pip install "apache-beam[gcp]"') from None


def make_runner(name, options):
    """Beam's runner; on this machine the one that needs no download."""
    from apache_beam.runners import create_runner

    if name != "DirectRunner":
        return create_runner(name)
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    return fn_runner.FnApiRunner(provision_info=provision)


@contextlib.contextmanager
def quiet_beam():
    """Hold back what Beam logs, under several names: its errors come as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
