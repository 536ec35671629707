"""Starts TensorFlow without the lines that it writes before anybody can set its log level."""

from __future__ import annotations

import os
import sys

COMMAND = "semid"


def quiet_start() -> None:
    """Imports TensorFlow and touches its devices with standard error closed to native code.

    Only in the process of the command, and before any other import of TensorFlow: a program that uses the
    library settles logs and devices itself. Does nothing if TF_CPP_MIN_LOG_LEVEL is set: whoever sets it
    wants to choose.
    """
    if os.path.basename("".join(sys.argv[:1])) != COMMAND or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        _import()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _import() -> None:
    # The log level, the Keras version and the devices are settled in this order.
    from semid_tf._keras2 import require_keras_2

    require_keras_2()
    import tensorflow as tf

    tf.config.list_logical_devices()
