"""Codes for whole Arrow tables with Beam's RunInference and the quantizer's SavedModel."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler

import semid_tf as sid
from pipelines.launch import one_line
from pipelines.nearby import near
from pipelines.schema import (
    CODES,
    CONTENT,
    EMBEDDING,
    ITEM_ID,
    ROW,
    SOURCE,
    TIME,
    encoded_schema,
    labels,
    matrix,
    vectors,
)


class LoadedQuantizer:
    """A quantizer in memory: the loaded SavedModel, and its fingerprint."""

    def __init__(self, module: Any, fingerprint: str) -> None:
        self.module = module
        self.fingerprint = fingerprint


# What this process has loaded already, for as long as somebody else holds it.
_LOADED: WeakValueDictionary[tuple[str, str], Any] = WeakValueDictionary()


def share_model(folder: str, fingerprint: str, model: Any) -> None:
    """Spares workers inside of this process a load of their own."""
    _LOADED[folder, fingerprint] = model


def _call_once(encode: Any) -> None:
    """The slow first call, at which TensorFlow settles how to run a function; of a model that fails the next
    one will say so."""
    with contextlib.suppress(tf.errors.OpError):
        encode(embedding=tf.zeros((1, _embedding_dim(encode))))


def _embedding_dim(encode: Any) -> int:
    _, inputs = encode.structured_input_signature
    return inputs["embedding"].shape[1]


class QuantizerHandler(ModelHandler[pa.Table, pa.Table, LoadedQuantizer]):
    """Runs the signature `encode` of a SavedModel, loaded once a process.

    An element is a whole table already (`validation.Split.valid`), so nothing is batched again. A model that
    does not load or does not give codes fails the job: it rejects no items.

    Args:
        folder: of the SavedModel, on any Beam file system.
        fingerprint: of the quantizer; every row carries it.
        space: that all codes lie in.
        encoded_at: when the job began; every row carries it. None: each table its own moment.
    """

    def __init__(
        self, folder: str, fingerprint: str, space: sid.CodeSpace, encoded_at: datetime | None
    ) -> None:
        super().__init__()
        self._folder = folder
        self._fingerprint = fingerprint
        self._space = space
        self._encoded_at = encoded_at
        self._embedding_dim: int | None = None

    def for_embeddings(self, embedding_dim: int) -> QuantizerHandler:
        """The same for embeddings of this length: a model that takes others is refused when it is loaded."""
        other = copy.copy(self)
        other._embedding_dim = embedding_dim
        return other

    @property
    def fingerprint(self) -> str:
        """Of the quantizer."""
        return self._fingerprint

    @property
    def schema(self) -> pa.Schema:
        """Of the tables that come out."""
        return encoded_schema(self._space.num_levels, self._space.largest)

    def load_model(self) -> LoadedQuantizer:
        """The quantizer; its first call is under way in a thread, while items are read.

        Raises:
            ProvenanceError: it takes embeddings of another length than `for_embeddings` says.
        """
        module = _LOADED.get((self._folder, self._fingerprint)) or tf.saved_model.load(near(self._folder))
        self._require_embedding_dim(module)
        threading.Thread(target=_call_once, args=(module.signatures["encode"],), name="first call").start()
        return LoadedQuantizer(module, self._fingerprint)

    def _require_embedding_dim(self, module: Any) -> None:
        found = _embedding_dim(module.signatures["encode"])
        if self._embedding_dim not in (None, found):
            raise sid.ProvenanceError(
                f"{self._folder} takes embeddings of {found} values, but this job has {self._embedding_dim}; "
                "publish a quantizer for these."
            )

    def update_model_path(self, model_path: str | None = None) -> None:
        """Takes the manifest of a published quantizer, of the same code space, for the next load.

        Raises:
            ArtifactError: it is no complete quantizer.
            ProvenanceError: its codes lie in another code space.
        """
        if not model_path:
            return
        folder = model_path.removesuffix("manifest.json").rstrip("/")
        manifest = sid.open_artifact(near(folder), "quantizer").manifest
        space = sid.CodeSpace(manifest.config["num_levels"], manifest.config["codebook_size"])
        if space != self._space:
            raise sid.ProvenanceError(f"{folder} has codes in {space}, but this job in {self._space}.")
        self._folder, self._fingerprint = folder, manifest.fingerprint

    def run_inference(
        self, batch: pa.Table, model: LoadedQuantizer, inference_args: Mapping[str, Any] | None = None
    ) -> list[pa.Table]:
        """One table of `schema.encoded_schema`, row for row, with the fingerprint of its model."""
        codes = self._codes(matrix(batch.column(EMBEDDING)), model.module)
        encoded_at = self._encoded_at or datetime.now(UTC)
        quantizer = labels(model.fingerprint, len(batch))
        times = pa.repeat(pa.scalar(encoded_at, TIME), len(batch))
        origin = [batch.column(name) for name in (CONTENT, SOURCE, ROW)]
        schema = self.schema
        narrow = codes.astype(schema.field(CODES).type.value_type.to_pandas_dtype())
        columns = [batch.column(ITEM_ID), vectors(narrow), quantizer, times, *origin]
        return [pa.table(columns, schema=schema)]

    def _codes(self, embeddings: np.ndarray, module: Any) -> np.ndarray:
        if not len(embeddings):
            return np.zeros((0, self._space.num_levels), np.int32)
        try:
            codes = module.signatures["encode"](embedding=sid.as_tensor(embeddings))["codes"].numpy()
        except tf.errors.OpError as error:
            raise sid.ArtifactError(
                f"{self._folder} cannot encode ({one_line(error)}); make it anew."
            ) from error
        expected = (len(embeddings), self._space.num_levels)
        if codes.shape != expected or codes.dtype != np.int32:
            found = f"{codes.dtype} {list(codes.shape)}"
            raise sid.ArtifactError(f"{self._folder}: encode gave {found}; int32 {list(expected)} is needed.")
        sid.require_codes(codes, self._space)
        return codes

    def get_num_bytes(self, batch: pa.Table) -> int:
        return int(batch.nbytes)

    def should_skip_batching(self) -> bool:
        return True
