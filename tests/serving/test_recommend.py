"""An exported sequence model, loaded where nothing of the project can be imported, and served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import CONTENT, COUNTS, NUM_ITEMS, model
from tensorflow_serving.apis import prediction_log_pb2
from tiny_models import ANY_PORT

import semid_tf as sid
from serving.check import score_in_bare_process
from serving.client import Client
from serving.recommend import export_recommender, publish_recommender
from serving.server.config import one_model
from serving.server.local import serving_in_thread
from serving.warmup import WARMUP_FILE

IDS = [f"item-{place}" for place in range(1, NUM_ITEMS + 1)]
MODELS: dict[str, Callable[[], sid.SequenceScorer]] = {
    "one": model,
    "ensemble": lambda: sid.SequenceEnsemble([model(), model("gated")]),
    "compact": lambda: sid.compact_items(model(), COUNTS, num_parts=3, codebook_size=8),
}


def named(items: tf.Tensor) -> list[list[str]]:
    return [[["", *IDS, "new"][item] for item in row] for row in items.numpy()]


def test_a_bare_process_recommends_what_the_model_does(tmp_path: Path) -> None:
    next_items = sid.NextItems.of(model(), NUM_ITEMS).with_new(CONTENT[:1])
    export_recommender(next_items, [*IDS, "new"], tmp_path / "1", k=5)
    history = [["", "item-4", "unheard of", "item-9"], ["new", "item-3", "", ""]]
    found = score_in_bare_process(tmp_path / "1", {"recommend": {"history": history}})["recommend"]
    best = next_items.top(tf.constant([[0, 4, 0, 9], [NUM_ITEMS + 1, 3, 0, 0]]), 5)
    assert found["item_ids"] == named(best.items)
    np.testing.assert_allclose(found["scores"], best.scores, rtol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_a_server_recommends_to_everybody(kind: str, tmp_path: Path) -> None:
    next_items = sid.NextItems.of(MODELS[kind](), NUM_ITEMS).with_new(CONTENT[:1])
    published = publish_recommender(next_items, [*IDS, "new"], tmp_path / "recommender")
    assert published.path == tmp_path / "recommender" / "1"
    assert [path.name for path in published.path.parent.iterdir()] == ["1"]
    requests = {
        0: np.zeros((1, 0), object),
        1: np.array([["new"]]),
        3: np.array([["item-4", "", "item-9"]]),
    }
    indices = {0: [[0]], 1: [[NUM_ITEMS + 1]], 3: [[4, 0, 9]]}
    with serving_in_thread(one_model("recommender", tmp_path / "recommender"), ANY_PORT) as where:
        for url in (f"grpc://{where.grpc}", f"http://{where.rest}"):
            with Client(url, timeout_s=20) as client:
                for length, history in requests.items():
                    found = client.predict("recommender", {"history": history})
                    best = next_items.top(tf.constant(indices[length]), NUM_ITEMS + 1)
                    assert found["item_ids"].astype(str).tolist() == named(best.items)
                    np.testing.assert_allclose(found["scores"], best.scores, rtol=1e-4, atol=1e-5)


def test_nothing_is_published_that_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(sid.DataError, match="row 0: item id '' cannot be served"):
        publish_recommender(sid.NextItems.of(model(), NUM_ITEMS), ["", *IDS[1:]], tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_warm_up_is_a_whole_history_for_each_signature(tmp_path: Path) -> None:
    export_recommender(sid.NextItems.of(model(), NUM_ITEMS), IDS, tmp_path / "1", k=5)
    records = tf.data.TFRecordDataset(str(tmp_path / "1" / WARMUP_FILE))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    asked = [log.predict_log.request for log in logs]
    assert {one.model_spec.signature_name for one in asked} == {"serving_default", "recommend"}
    for one in asked:
        assert tf.make_ndarray(one.inputs["history"]).astype(str).tolist() == [IDS[:6]]


def test_each_item_needs_an_id(tmp_path: Path) -> None:
    with pytest.raises(sid.DataError, match="3 item ids for 20 items; each item needs its own"):
        export_recommender(sid.NextItems.of(model(), NUM_ITEMS), IDS[:3], tmp_path / "1")
