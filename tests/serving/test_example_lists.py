"""One context and its candidates say the same as plain examples that each bring everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from small_ranker import call
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tiny_models import ANY_PORT

from serving.server.config import one_model
from serving.server.local import serving_in_thread

Features = dict[str, list[str]]
HISTORY, CANDIDATES = ["item 1", "item 2"], ["item 3", "nobody", "item 4"]


def example(features: Features) -> tf.train.Example:
    """With these features."""
    made = tf.train.Example()
    for name, texts in features.items():
        made.features.feature[name].bytes_list.value.extend(text.encode() for text in texts)
    return made


def with_context(context: Features, examples: list[Features]) -> input_pb2.ExampleListWithContext:
    """Each feature where it is given."""
    listed = [example(features) for features in examples]
    return input_pb2.ExampleListWithContext(context=example(context), examples=listed)


def user_list(history: list[str], candidates: list[str]) -> bytes:
    """A user's list as it goes to `rank_examples`."""
    examples = [{"item_id": [one]} for one in candidates]
    return with_context({"history": history}, examples).SerializeToString()


def test_a_list_scores_as_ids_do_also_beside_plain_examples(exports: Any) -> None:
    module = exports["prefix"].module
    by_id = call(
        module, "rank_item_ids", {"history": np.array([HISTORY]), "candidates": np.array([CANDIDATES])}
    )
    plain = example({"history": ["item 5"], "candidates": ["item 6"]}).SerializeToString()
    alone = call(module, "rank_examples", {"inputs": np.array([plain], object)})
    lists = [user_list(HISTORY, CANDIDATES), plain, user_list([], []), user_list(HISTORY, ["", "item 3"])]
    answer = call(module, "rank_examples", {"inputs": np.array(lists, object)})
    assert answer["known"].astype(int).tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]]
    for found, expected in (
        (answer["scores"][0], by_id["scores"][0]),
        (answer["scores"][1, :1], alone["scores"][0]),
        (answer["scores"][3, 1], by_id["scores"][0, 0]),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert abs(alone["scores"][0, 0] - by_id["scores"][0, 0]) > 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        b"no message",
        user_list(HISTORY, CANDIDATES)[:-3],
        with_context({}, [{}]).SerializeToString() + b"\x12\x01z",
    ],
)
def test_what_is_no_message_is_refused(exports: Any, wrong: bytes) -> None:
    with pytest.raises((tf.errors.DataLossError, tf.errors.InvalidArgumentError)):
        call(exports["prefix"].module, "rank_examples", {"inputs": np.array([wrong], object)})


def test_the_server_merges_a_context_as_tensorflow_serving_does(exports: Any, tmp_path: Path) -> None:
    """The context's bytes, then the example's: of two features of one name the example's own counts."""
    context = {"history": HISTORY, "item_id": ["item 9"]}
    own = [{"item_id": ["item 3"]}, {"history": ["item 7"], "item_id": ["item 3"]}, {}]
    listed = input_pb2.Input(example_list_with_context=with_context(context, own))
    merged = [example(context | features) for features in own]
    plain = input_pb2.Input(example_list=input_pb2.ExampleList(examples=merged))
    (tmp_path / "1").symlink_to(exports["prefix"].folder)
    with (
        serving_in_thread(one_model("ranker", tmp_path), ANY_PORT) as where,
        grpc.insecure_channel(where.grpc) as channel,
    ):
        ask = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        regress, classify = ({"name": "ranker", "signature_name": name} for name in ("regress", "classify"))
        tasks = [
            inference_pb2.InferenceTask(model_spec=spec, method_name=f"tensorflow/serving/{name}")
            for name, spec in (("regress", regress), ("classify", classify))
        ]
        calls = (
            lambda given: ask.Regress(regression_pb2.RegressionRequest(model_spec=regress, input=given)),
            lambda given: ask.Classify(
                classification_pb2.ClassificationRequest(model_spec=classify, input=given)
            ),
            lambda given: ask.MultiInference(inference_pb2.MultiInferenceRequest(tasks=tasks, input=given)),
        )
        for one in calls:
            assert one(listed) == one(plain)
        values = [row.value for row in calls[0](listed).result.regressions]
        expected = [
            call(exports["prefix"].module, "rank_item_ids", {"history": [history], "candidates": [[item]]})
            for history, item in ((HISTORY, "item 3"), (["item 7"], "item 3"), (HISTORY, "item 9"))
        ]
        np.testing.assert_allclose(values, [one["scores"].item() for one in expected], rtol=0, atol=1e-6)
        assert len({round(value, 4) for value in values}) == 3
