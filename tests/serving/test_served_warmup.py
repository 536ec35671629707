"""The warm-up file holds requests that the export answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from small_ranker import call, example
from tensorflow_serving.apis import prediction_log_pb2


def read_requests(export: Any) -> list[Any]:
    path = str(export.folder / "assets.extra" / "tf_serving_warmup_requests")
    logs = [prediction_log_pb2.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(path)]
    assert all(log.WhichOneof("log_type") == "predict_log" for log in logs)
    return [log.predict_log.request for log in logs]


def test_each_signature_is_warmed_up_once_by_the_example(export: Any) -> None:
    sent = example(export.parts.items).requests(export.parts.items)
    requests = {request.model_spec.signature_name: request for request in read_requests(export)}
    assert sorted(requests) == sorted(export.module.signatures)
    for name, request in requests.items():
        expected = sent.get(name, sent["rank_item_ids"])
        assert sorted(request.inputs) == sorted(expected)
        for key, proto in request.inputs.items():
            values = tf.make_ndarray(proto)
            text = expected[key].dtype.kind == "U"
            found = np.char.decode(values.astype(bytes), "utf-8") if text else values
            np.testing.assert_array_equal(found, expected[key])


def test_each_request_can_be_executed(export: Any) -> None:
    for request in read_requests(export):
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        answer = call(export.module, request.model_spec.signature_name, inputs)
        if (scores := answer.get("scores", answer.get("outputs"))) is not None:
            assert scores.size == 18
            assert ((scores > 0) & (scores < 1)).all()
        assert answer.get("known", np.True_).all()
