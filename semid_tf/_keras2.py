"""Makes sure that `tf.keras` is Keras 2, the only Keras that TFRS accepts."""

from __future__ import annotations

import os


def require_keras_2() -> None:
    """Selects Keras 2 for this process.

    TensorFlow reads TF_USE_LEGACY_KERAS when `tf.keras` is first touched, and ignores it later.

    Raises:
        ImportError: `tf.keras` is Keras 3 already.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf

    version = getattr(tf.keras, "__version__", "2")
    if version.startswith("3"):
        raise ImportError(
            f"tf.keras is Keras {version}, but TensorFlow Recommenders needs Keras 2: import semid_tf "
            "before anything that touches tf.keras, or set TF_USE_LEGACY_KERAS=1 for the process."
        )
