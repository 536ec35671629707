"""Measurements of this library beside others; each module prints one JSON object as its last line."""

import os

# TensorFlow's notes on the processor are no progress; it reads this when it is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# OpenMP (FAISS, scikit-learn, PyTorch) reads this when it is first loaded. Its threads would wait in a spin,
# which on a machine with other work makes FAISS six times slower and counts as CPU-seconds.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
