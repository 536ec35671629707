"""A model stays up while its configuration changes, and the answer tells what did not come up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_log_pb2,
)
from test_local_server import AVAILABLE, END, Running, request
from test_served_versions import artifact
from tiny_models import ANY_PORT, batch, publish_tiny, tiny_module

from serving.server.config import one_model
from serving.server.local import serving_in_thread
from serving.versions import publish_export
from serving.warmup import WARMUP_FILE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """Serves `a`, which doubles."""
    publish_tiny(tmp_path / "a", 1, 2.0)
    with serving_in_thread(one_model("tiny", tmp_path / "a"), ANY_PORT) as addresses:
        running = Running(addresses, tmp_path / "a")
        yield running
        running.channel.close()


def reload(server: Running, path: str | Path) -> None:
    config = one_model("tiny", "/")
    config.model_config_list.config[0].base_path = str(path)
    asked = model_management_pb2.ReloadConfigRequest(config=config)
    assert server.models.HandleReloadConfigRequest(asked, timeout=20).status.error_code == 0


def test_the_same_path_in_other_letters_loads_nothing(
    server: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "serving.server"):
        reload(server, f"{tmp_path}/a/")
        assert not caplog.records
        publish_tiny(tmp_path / "b", 1, 5.0)
        reload(server, tmp_path / "b")
        assert [one.getMessage() for one in caplog.records] == ["tiny: version 1 is loaded"]


def write_warm_up(version: Path, x: Any, times: int) -> None:
    """The same request so many times."""
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request(x))
    (version / WARMUP_FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as file:
        for _ in range(times):
            file.write(log.SerializeToString())


def test_no_request_fails_while_another_path_is_loaded(server: Running, tmp_path: Path) -> None:
    write_warm_up(publish_tiny(tmp_path / "b", 1, 5.0), batch([1]), 500)
    answers: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(server.predict(batch([1])).item())

    thread = threading.Thread(target=ask)
    thread.start()
    reload(server, tmp_path / "b")
    time.sleep(0.1)
    stop.set()
    thread.join()
    assert (answers[0], answers[-1], set(answers)) == (2.0, 5.0, {2.0, 5.0})


def test_a_path_without_versions_takes_no_model_down(server: Running, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            reload(server, tmp_path / "b")
        assert caught.value.code() == grpc.StatusCode.UNKNOWN
        assert caught.value.details() == "Some models did not become available: {tiny}"
        assert server.predict(batch([1])).item() == 2
    publish_tiny(tmp_path / "b", 1, 5.0)
    until = time.monotonic() + 20
    while server.predict(batch([1])).item() == 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert server.predict(batch([1])).item() == 5


def test_a_version_that_was_changed_or_fails_its_warm_up_is_refused(server: Running) -> None:
    """Both with the reason; the old one serves on."""

    def fill(folder: Path) -> dict:
        module = tiny_module(5.0)
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.times})
        return {}

    parents = [artifact("quantizer", "q1")]
    changed = publish_export(server.root.parent / "elsewhere", fill, parents, {}).path
    (changed / "variables" / "more").write_bytes(b"not there when it was published")
    changed.rename(server.root / "2")
    cold = publish_tiny(server.root.parent / "elsewhere", 3, 5.0)
    write_warm_up(cold, [1], 1)
    cold.rename(server.root / "3")
    for version in (2, 3):
        server.wait_for(version, END)
    assert server.states() == {1: AVAILABLE, 2: END, 3: END}
    asked = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "tiny"})
    found = {one.version: one.status for one in server.models.GetModelStatus(asked).model_version_status}
    assert "is not what was published" in found[2].error_message
    assert "input x has type number 3; it must be float32" in found[3].error_message
    assert server.predict(batch([1])).item() == 2


def test_a_model_without_a_version_is_not_healthy_until_one_comes(tmp_path: Path) -> None:
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        url = f"http://{where.rest}/healthz"
        assert requests.get(url, timeout=20).status_code == 503
        publish_tiny(tmp_path, 1, 2.0)
        until = time.monotonic() + 20
        while requests.get(url, timeout=20).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_folders_of_too_great_numbers_break_nothing(server: Running) -> None:
    (server.root / ("9" * 20)).mkdir()
    (server.root / "007").mkdir()
    publish_tiny(server.root, 2, 5.0)
    server.wait_for(2, AVAILABLE)
    server.wait_for(1, END)
    assert server.states() == {1: END, 2: AVAILABLE}


def test_ipv6(tmp_path: Path) -> None:
    import dataclasses
    import socket

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    publish_tiny(tmp_path, 1, 2.0)
    config = dataclasses.replace(ANY_PORT, host="::1")
    with serving_in_thread(one_model("tiny", tmp_path), config) as where:
        assert where.grpc.startswith("[::1]:")
        assert requests.get(f"http://{where.rest}/healthz", timeout=20).status_code == 200
        with grpc.insecure_channel(where.grpc) as channel:
            asked = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "tiny"})
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            assert stub.GetModelStatus(asked, timeout=20).model_version_status[0].state == AVAILABLE
