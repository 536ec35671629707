"""A server that stops ends what is under way, and lets nothing new in."""

from __future__ import annotations

import dataclasses
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from test_local_server import Running, request
from tiny_models import ANY_PORT, publish_function

from serving.server.config import one_model
from serving.server.local import serving_in_thread

SLOW_S = 1.0


def publish_counter(root: Path) -> None:
    """`y`: counts up to `x`, a step at a time."""

    def count(x: tf.Tensor) -> dict[str, tf.Tensor]:
        (counted,) = tf.while_loop(lambda i: i < x[0, 0], lambda i: (i + 1,), (0.0,))
        return {"y": counted[None]}

    publish_function(root, 1, count, tf.TensorSpec((1, 1), tf.float32, "x"))


def steps_of(server: Running, seconds: float) -> float:
    """As many as take so long, once the model is warm."""
    server.predict(np.float32([[1]]))
    started = time.perf_counter()
    server.predict(np.float32([[20_000]]))
    return 20_000 * seconds / (time.perf_counter() - started)


def test_a_call_under_way_ends_and_new_ones_are_unavailable(tmp_path: Path) -> None:
    publish_counter(tmp_path)
    with ExitStack() as stack:
        config = dataclasses.replace(ANY_PORT, drain_s=60.0)
        where = stack.enter_context(serving_in_thread(one_model("tiny", tmp_path), config))
        server = Running(where, tmp_path)
        steps = min(steps_of(server, SLOW_S), 2**23)
        slow = server.prediction.Predict.future(request(np.float32([[steps]])))
        time.sleep(0.2)
        leaving = threading.Thread(target=stack.close)
        leaving.start()
        time.sleep(0.2)
        assert not slow.done()
        with pytest.raises(grpc.RpcError, match="The server is shutting down") as caught:
            server.predict(np.float32([[1]]))
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert requests.get(f"http://{where.rest}/healthz", timeout=20).status_code == 503
        assert tf.make_ndarray(slow.result(timeout=60).outputs["y"]).item() == pytest.approx(steps, abs=1)
        leaving.join(20)
        assert not leaving.is_alive()
        server.channel.close()


def test_a_call_that_takes_longer_than_the_drain_keeps_nobody(tmp_path: Path) -> None:
    publish_counter(tmp_path)
    config = dataclasses.replace(ANY_PORT, drain_s=0.1)
    with ExitStack() as stack:
        where = stack.enter_context(serving_in_thread(one_model("tiny", tmp_path), config))
        server = Running(where, tmp_path)
        slow = server.prediction.Predict.future(request(np.float32([[min(steps_of(server, 4.0), 2**24)]])))
        time.sleep(0.2)
        started = time.monotonic()
        stack.close()
        assert time.monotonic() - started < 3
        assert slow.code() != grpc.StatusCode.OK
        server.channel.close()
