"""Figures of a fit as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.quantizer.code_figures import EpochFigures

_BUCKETS = 30


class EventFiles(tf_keras.callbacks.Callback):
    """Writes every figure of an epoch as a scalar, and per level a histogram of items per code.

    The step of an event is the number of its epoch, from 1. TensorBoard itself is needed only to look.

    Args:
        folder: for the event files.
        figures: of the epoch that ends.
    """

    def __init__(self, folder: str | Path, figures: EpochFigures) -> None:
        super().__init__()
        self.folder, self.figures = str(folder), figures

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        writes = tf.distribute.get_strategy().extended.should_save_summary
        self._writer = (
            tf.summary.create_file_writer(self.folder) if writes else tf.summary.create_noop_writer()
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with self._writer.as_default(step=epoch + 1):
            for name, value in (logs or {}).items():
                _write(name, np.array(value, np.float32), "scalars")
            sizes = self.figures.code_space.codebook_sizes
            for level, (counts, size) in enumerate(zip(self.figures.counts, sizes, strict=True)):
                _write(f"items_per_code/level_{level}", _histogram(counts[:size]), "histograms")
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()


def _write(name: str, values: np.ndarray, plugin: str) -> None:
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    )
    tf.summary.write(name, values, metadata=metadata)


def _histogram(values: np.ndarray) -> np.ndarray:
    """Left edge, right edge and number of values of each bucket: float64 [buckets, 3]."""
    counts, edges = np.histogram(values, _BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)
