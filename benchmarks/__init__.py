"""Measurements of this library beside others; each module prints one JSON object as its last line."""

import os

# TensorFlow's notes on the processor are no progress; it reads this when it is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
