"""Warm-up records: requests that TF Serving replays before it lets a version take traffic.

A TFRecord file of `tensorflow.serving.PredictionLog`. The four messages are declared below with TF Serving's field
numbers, in a descriptor pool of their own, so that tensorflow-serving-api is neither needed nor disturbed.
"""

import functools

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from zoo.export.examples import example_inputs

FILE = "assets.extra/tf_serving_warmup_requests"
BATCH_SIZES = (1, 8)
PACKAGE = "tensorflow.serving"

# message -> [(field, number, type)]; on the wire a nested message is the bytes it serialises to, so a TensorProto
# may be declared as bytes. PredictRequest.inputs is map<string, TensorProto>: repeated entries of key and value.
MESSAGES = {
    "ModelSpec": [("name", 1, "string"), ("signature_name", 3, "string")],
    "Input": [("key", 1, "string"), ("value", 2, "bytes")],
    "PredictRequest": [("model_spec", 1, "ModelSpec"), ("inputs", 2, "Input*")],
    "PredictLog": [("request", 1, "PredictRequest")],
    "PredictionLog": [("predict_log", 6, "PredictLog")],
}


@functools.cache
def prediction_log():
    """The class of `tensorflow.serving.PredictionLog`, as far as a predict request needs it."""
    field = descriptor_pb2.FieldDescriptorProto
    scalars = {"string": field.TYPE_STRING, "bytes": field.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(name="zoo/warmup.proto", package=PACKAGE, syntax="proto3")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            added = described.field.add(name=name, number=number, label=label)
            added.type = scalars.get(kind, field.TYPE_MESSAGE)
            if kind not in scalars:
                added.type_name = f".{PACKAGE}.{kind.rstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.PredictionLog"))


def write_warmup(model, directory, name):
    """Write a record per signature and batch size into the SavedModel `directory`, for the served model `name`."""
    path = directory / FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for endpoint, (_, inputs) in model.endpoints.items():
            for size in BATCH_SIZES:
                log = prediction_log()()
                request = log.predict_log.request
                request.model_spec.name, request.model_spec.signature_name = name, endpoint
                for field, value in example_inputs(model, inputs, size).items():
                    request.inputs.add(key=field, value=tf.make_tensor_proto(value).SerializeToString())
                writer.write(log.SerializeToString(deterministic=True))


def read_warmup(directory):
    """[(signature, {input: array})] of the records in a SavedModel `directory`; none where it has no such file."""
    path = directory / FILE
    records = []
    for record in tf.data.TFRecordDataset(str(path), buffer_size=2**20) if path.exists() else ():
        request = prediction_log().FromString(record.numpy()).predict_log.request
        tensors = {entry.key: tensor_pb2.TensorProto.FromString(entry.value) for entry in request.inputs}
        arrays = {key: tf.make_ndarray(tensor) for key, tensor in tensors.items()}
        records.append((request.model_spec.signature_name, arrays))
    return records
