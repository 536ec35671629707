"""Codes for whole Arrow tables with Beam's RunInference and the quantizer's SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler

from pipelines.schema import EMBEDDING, ITEM_ID, ROW, SOURCE, encoded_schema, labels, matrix, vectors


class QuantizerHandler(ModelHandler[pa.Table, pa.Table, Any]):
    """Runs the signature `encode` of a SavedModel, loaded once a process.

    An element is a whole table already (`validation.Split.valid`), so nothing is batched again. A model that
    does not load or does not give codes fails the job: it rejects no items.

    Args:
        folder: of the SavedModel, on any file system that TensorFlow reads.
        fingerprint: of the quantizer; every row carries it.
        num_levels: codes an item.
    """

    def __init__(self, folder: str, fingerprint: str, num_levels: int) -> None:
        super().__init__()
        self._folder = folder
        self._fingerprint = fingerprint
        self._num_levels = num_levels

    @property
    def schema(self) -> pa.Schema:
        """Of the tables that come out."""
        return encoded_schema(self._num_levels)

    def load_model(self) -> Any:
        return tf.saved_model.load(self._folder)

    def run_inference(
        self, batch: pa.Table, model: Any, inference_args: Mapping[str, Any] | None = None
    ) -> list[pa.Table]:
        """One table of `schema.encoded_schema`, row for row."""
        codes = self._codes(matrix(batch.column(EMBEDDING)), model)
        quantizer = labels(self._fingerprint, len(batch))
        columns = [batch.column(ITEM_ID), vectors(codes), quantizer, batch.column(SOURCE), batch.column(ROW)]
        return [pa.table(columns, schema=self.schema)]

    def _codes(self, embeddings: np.ndarray, model: Any) -> np.ndarray:
        codes = model.signatures["encode"](embedding=tf.constant(embeddings))["codes"].numpy()
        expected = (len(embeddings), self._num_levels)
        if codes.shape != expected or codes.dtype != np.int32:
            found = f"{codes.dtype} {list(codes.shape)}"
            raise ValueError(f"{self._folder}: encode gave {found}; int32 {list(expected)} is needed.")
        return codes

    def get_num_bytes(self, batch: pa.Table) -> int:
        return int(batch.nbytes)

    def should_skip_batching(self) -> bool:
        return True
