"""What many tests share: a made-up catalogue, an RQ-VAE fitted on it, and how Hypothesis searches."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A shell gives its background jobs an ignored Ctrl-C, which the processes that tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from hypothesis import settings

import semid_tf as sid

# The first call of a TensorFlow op takes long, and a test that failed once must fail again.
settings.register_profile("semid", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("semid")

SMALL = sid.RQVAEConfig(
    num_levels=3,
    codebook_size=16,
    latent_dim=8,
    hidden_dim=16,
    epochs=3,
    batch_size=256,
    kmeans_iterations=10,
)


@pytest.fixture(scope="session")
def catalogue_items() -> sid.Items:
    """Three thousand items in a tree of categories, 16 numbers each."""
    return sid.synthetic_items(3_000, dim=16, seed=0)


@pytest.fixture(scope="session")
def fitted(catalogue_items: sid.Items) -> sid.RQVAE:
    """An RQ-VAE trained on the catalogue; not to be changed."""
    return sid.fit_rqvae(catalogue_items.embeddings, config=SMALL)


@pytest.fixture(scope="session")
def fitted_codes(fitted: sid.RQVAE, catalogue_items: sid.Items) -> np.ndarray:
    """Codes of the catalogue: int32 [3000, 3]."""
    return fitted.encode(catalogue_items.embeddings).numpy()
