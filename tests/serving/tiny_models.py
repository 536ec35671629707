"""Models whose answers are known by heart, published whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.config import ServerConfig

ANY_PORT = ServerConfig(grpc_port=0, rest_port=0, poll_s=0.05, drain_s=5.0)


def tiny_module(factor: float) -> tf.Module:
    """`y = factor * x`, and the lengths of strings."""
    module = tf.Module()
    module.factor = tf.Variable(float(factor))

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, "x")])
    def times(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": module.factor * x}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def echo(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text_bytes": text, "length": tf.strings.length(text)}

    module.times, module.echo = times, echo
    return module


def publish_tiny(root: Path, version: int, factor: float) -> Path:
    """A version folder that appears by one rename."""
    module = tiny_module(factor)
    return publish(root, version, module, serving_default=module.times, echo=module.echo)


def publish(root: Path, version: int, module: tf.Module, **signatures: Any) -> Path:
    """The same of any module."""
    root.mkdir(parents=True, exist_ok=True)
    staged = tempfile.mkdtemp(prefix=".staging-", dir=root)
    tf.saved_model.save(module, staged, signatures=signatures)
    os.rename(staged, root / str(version))
    return root / str(version)


def publish_function(root: Path, version: int, function: Any, *specs: tf.TensorSpec) -> Path:
    """A version whose default signature is a function of named tensors."""
    module = tf.Module()
    module.function = tf.function(function, input_signature=specs)
    return publish(root, version, module, serving_default=module.function)


def batch(*rows: Any) -> np.ndarray:
    """float32 rows."""
    return np.array(rows, np.float32)
