"""Metrics whose state are sums give one result on one device and on two."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import semid_tf as sid

PROGRAM = """
import json
import numpy as np
import tensorflow as tf
import semid_tf as sid
import tf_keras

two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)

class Codes(tf_keras.Model):
    def call(self, inputs):
        return tf.cast(inputs, tf.int32)

embeddings = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) + 2
codes = np.random.default_rng(0).binomial(5, [0.2, 0.6], (70, 2)).astype(np.int32)
space = sid.CodeSpace(2, 6)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    half, same = tf_keras.Sequential([tf_keras.layers.Rescaling(0.5)]), Codes()
    half.compile(metrics=[sid.NormalizedMSE()])
    same.compile(metrics=[sid.CodesUsed(space), sid.CodePerplexity(space)])
found = half.evaluate(embeddings, embeddings, batch_size=8, verbose=0, return_dict=True)
found |= same.evaluate(codes, codes, batch_size=8, verbose=0, return_dict=True)
found = {name: float(figure) for name, figure in found.items()}
try:
    same.compile(metrics=[sid.UniqueRate(space)])
    same.evaluate(codes, codes, batch_size=8, verbose=0)
except sid.ConfigError as error:
    found["refused"] = str(error)
print(json.dumps(found))
"""


@pytest.mark.slow
def test_two_replicas() -> None:
    embeddings = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) + 2
    codes = np.random.default_rng(0).binomial(5, [0.2, 0.6], (70, 2)).astype(np.int32)
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["normalized_mse"] == pytest.approx(sid.normalized_mse(embeddings, embeddings / 2), rel=1e-5)
    assert "unique_rate counts on one replica, not on 2; evaluate without them." in found["refused"]
    perplexity = sid.perplexity(codes, sid.CodeSpace(2, 6))
    for level in range(2):
        assert found[f"codes_used_{level}"] == len(set(codes[:, level].tolist()))
        assert found[f"perplexity_{level}"] == pytest.approx(perplexity[level])
