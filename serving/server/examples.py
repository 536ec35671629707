"""TensorFlow Serving's calls on tf.Example: classes and values come out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.server.batching import Outputs
from serving.server.refusal import invalid
from serving.server.servable import DEFAULT, Servable, Signature

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


def classifier(servable: Servable, name: str) -> Signature:
    """A signature for classification, known by its names, as TensorFlow Serving knows it.

    Raises:
        RefusedError: INVALID_ARGUMENT, it is none.
    """
    signature = _of_examples(servable, name)
    if not signature.outputs.keys() & {"classes", "scores"}:
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores".'
        )
    return signature


def regressor(servable: Servable, name: str) -> Signature:
    """A signature for regression. Errors as of `classifier`."""
    signature = _of_examples(servable, name)
    if "outputs" not in signature.outputs:
        raise invalid('Expected regression signature outputs to contain "outputs".')
    return signature


def _of_examples(servable: Servable, name: str) -> Signature:
    signature = servable.signatures.get(name or DEFAULT)
    if signature is None:
        raise invalid(f"No signature was found with the name: {name or DEFAULT}")
    if list(signature.inputs) != ["inputs"]:
        raise invalid(f'Expected one input Tensor, "inputs"; found {", ".join(sorted(signature.inputs))}.')
    return signature


def classifications(outputs: Outputs) -> classification_pb2.ClassificationResult:
    """Labels and scores of each example; the ones may be missing, or the others.

    Raises:
        RefusedError: INVALID_ARGUMENT, they are no two matrices of one shape.
    """
    given = {name: tensor.numpy() for name, tensor in outputs.items() if name in ("classes", "scores")}
    shapes = {values.shape for values in given.values()}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {sorted(shapes)}.")
    (shape,) = shapes
    labels, scores = given.get("classes", np.full(shape, b"")), given.get("scores", np.zeros(shape))
    result = classification_pb2.ClassificationResult()
    for row_labels, row_scores in zip(labels, scores, strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(row_labels, row_scores, strict=True):
            classes.add(label=label.decode(errors="replace"), score=score)
    return result


def regressions(outputs: Outputs) -> regression_pb2.RegressionResult:
    """The value of each example."""
    result = regression_pb2.RegressionResult()
    for value in outputs["outputs"].numpy().ravel():
        result.regressions.add(value=value)
    return result
