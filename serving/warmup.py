"""Warm-up requests: TensorFlow Serving runs them before a version takes traffic; no user waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

import semid_tf as sid

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class WarmupExample:
    """Real users and candidates, from which a request to each signature is made.

    Attributes:
        history: item ids, str [b, h]; "" = padding.
        candidates: item ids, str [b, c].
        candidate_embeddings: content embeddings of the candidates, float32 [b, c, embedding_dim].
    """

    history: np.ndarray
    candidates: np.ndarray
    candidate_embeddings: np.ndarray

    def requests(self, items: sid.ItemTable) -> dict[str, Inputs]:
        """Inputs by signature; unknown items have codes of -1."""
        embeddings = np.asarray(self.candidate_embeddings, np.float32)
        return {
            "rank_item_ids": {"history": self.history, "candidates": self.candidates},
            "rank_codes": {
                "history_codes": codes_of(self.history, items),
                "candidate_codes": codes_of(self.candidates, items),
            },
            "rank_embeddings": {"history": self.history, "candidate_embeddings": embeddings},
            "rank_items": {
                "history": self.history,
                "candidates": self.candidates,
                "candidate_embeddings": embeddings,
            },
            "rank_examples": {"inputs": self._users()},
            "classify": {"inputs": self._candidates()},
            "regress": {"inputs": self._candidates()},
            "encode": {"embedding": embeddings.reshape(-1, embeddings.shape[-1])},
            "decode": {"codes": self.codes_to_decode(items)},
        }

    def codes_to_decode(self, items: sid.ItemTable) -> np.ndarray:
        """Codes of the candidates, those of the first item for unknown ones: int32 [b * c, num_levels]."""
        return items.codes[np.maximum(indices_of(self.candidates, items).ravel() - 1, 0)].astype(np.int32)

    def _users(self) -> np.ndarray:
        """A serialized tf.Example a user: bytes [b]."""
        rows = zip(self.history, self.candidates, strict=True)
        return _serialized([{"history": seen, "candidates": shown} for seen, shown in rows])

    def _candidates(self) -> np.ndarray:
        """A serialized tf.Example a candidate: bytes [b * c]."""
        rows = zip(self.history, self.candidates, strict=True)
        return _serialized([{"history": seen, "item_id": [one]} for seen, shown in rows for one in shown])


def _serialized(examples: list[dict[str, Iterable[str]]]) -> np.ndarray:
    return np.array([_example(features).SerializeToString() for features in examples], object)


def _example(features: Mapping[str, Iterable[str]]) -> tf.train.Example:
    example = tf.train.Example()
    for name, texts in features.items():
        example.features.feature[name].bytes_list.value.extend(text.encode() for text in texts)
    return example


def indices_of(item_ids: np.ndarray, items: sid.ItemTable) -> np.ndarray:
    """Item indices of ids, str [b, n]: int32 [b, n]."""
    item_ids = np.asarray(item_ids)
    return items.index_of(item_ids.ravel().tolist()).reshape(item_ids.shape)


def codes_of(item_ids: np.ndarray, items: sid.ItemTable) -> np.ndarray:
    """Codes of ids, str [b, n]: int32 [b, n, num_levels], -1 for unknown items."""
    unknown = np.full((1, items.code_space.num_levels), -1)
    return np.concatenate([unknown, items.codes])[indices_of(item_ids, items)].astype(np.int32)


def write_warmup(requests: Mapping[str, Inputs], folder: Path) -> None:
    """Writes one request to each signature where TensorFlow Serving looks for them."""
    path = folder / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, inputs in requests.items():
            file.write(prediction_log(signature, inputs).SerializeToString())


def prediction_log(signature: str, inputs: Inputs) -> prediction_log_pb2.PredictionLog:
    """One request to one signature, in the form of a log entry."""
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(signature_name=signature))
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
