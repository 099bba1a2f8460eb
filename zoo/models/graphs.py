"""Verbs as graphs: what a caller asks for outside of one is traced once for its kind of arguments, and kept."""

import functools
import inspect

import tensorflow as tf

MOST = 16  # kinds of arguments of one method, beyond which it is traced anew


def graphed(method):
    """A method of a model on tensors, which runs as one graph; weights are those that the model has when it runs.

    The model keeps the graphs until it is compiled anew, as one is whose layers were changed. One runs at a time: what
    TensorFlow makes of a sum of many terms has temporary variables, of which two runs of a graph at once have the same.
    """

    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        if not tf.executing_eagerly() or tf.config.functions_run_eagerly():
            return method(self, *args, **kwargs)
        with self.graphs_lock:
            graph = self.graphs.get(method)
            if graph is None or graph.experimental_get_tracing_count() >= MOST:
                bound = functools.partial(method, self)
                graph = self.graphs[method] = tf.function(bound, autograph=False, reduce_retracing=True)
            given = signature.bind(self, *args, **kwargs)
            given.apply_defaults()  # so that every call has as many arguments, which TensorFlow compares
            return graph(*given.args[1:])

    return call
