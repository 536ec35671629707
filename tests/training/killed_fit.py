"""A fit of a sequence model that is killed before its third epoch: `killed_fit.py CHECKPOINTS`."""

from __future__ import annotations

import os
import signal
import sys

import tf_keras
from models.sequence_worlds import NUM_ITEMS
from test_fit_sequential import CONFIG, circles, fresh

import semid_tf as sid


def die(epoch: int, logs: object) -> None:
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    killer = tf_keras.callbacks.LambdaCallback(on_epoch_begin=die)
    sid.fit_sequential("", fresh(), circles(), NUM_ITEMS, CONFIG, sys.argv[1], [killer])
