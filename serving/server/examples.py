"""TensorFlow Serving's calls on tf.Example: classes and values come out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.server.batching import Outputs
from serving.server.refusal import invalid
from serving.server.servable import Servable, Signature

CLASSIFY = tf.compat.v1.saved_model.signature_constants.CLASSIFY_METHOD_NAME
REGRESS = tf.compat.v1.saved_model.signature_constants.REGRESS_METHOD_NAME


def serialized_examples(given: input_pb2.Input) -> np.ndarray:
    """The examples of a request, each with the context before it: bytes [n].

    Raises:
        RefusedError: INVALID_ARGUMENT, there is none.
    """
    listed = given.example_list_with_context
    context = listed.context.SerializeToString()
    examples = listed.examples or given.example_list.examples
    if not examples:
        raise invalid("Input is empty.")
    return np.array([context + example.SerializeToString() for example in examples], object)


def signature_of(servable: Servable, name: str, method: str) -> Signature:
    """A signature for classification or regression.

    Raises:
        RefusedError: INVALID_ARGUMENT, it is none.
    """
    signature = servable.signature(name)
    kind = servable.signature_defs[name or "serving_default"].method_name
    if kind != method:
        raise invalid(f"Expected signature method_name to be {method}. Was: {kind}")
    return signature


def classifications(outputs: Outputs) -> classification_pb2.ClassificationResult:
    """Labels and scores of each example."""
    scores = outputs["scores"].numpy()
    labels = outputs["classes"].numpy().astype(str) if "classes" in outputs else np.full(scores.shape, "")
    result = classification_pb2.ClassificationResult()
    for row_labels, row_scores in zip(labels, scores, strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(row_labels, row_scores, strict=True):
            classes.add(label=label, score=score)
    return result


def regressions(outputs: Outputs) -> regression_pb2.RegressionResult:
    """The value of each example."""
    result = regression_pb2.RegressionResult()
    for value in outputs["outputs"].numpy().ravel():
        result.regressions.add(value=value)
    return result
