"""Which ops an export needs beyond TensorFlow's own."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


def custom_ops(folder: str | Path) -> list[str]:
    """Names of the ops of a SavedModel that are not TensorFlow's: of tensorflow_text, if any.

    TensorFlow Serving's binary links those of tensorflow_text.
    """
    content = (Path(folder) / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def
    own = {function.signature.name for function in graph.library.function}
    nodes = [node.op for function in graph.library.function for node in function.node_def]
    used = {*nodes, *(node.op for node in graph.node)} - own
    return sorted(name for name in used if not hasattr(tf.raw_ops, name))
