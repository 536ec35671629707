"""Texts -> dense content embeddings, for catalogues that bring no embedding of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from semid_tf.errors import DataError

# A number with its point or slash is one word: "5.3", "1/2".
_WORD = r"(?u)\d+(?:[./]\d+)+|\w+"


def embed_texts(texts: Sequence[str], dim: int, seed: int) -> np.ndarray:
    """Latent semantic analysis: TF-IDF over words and word pairs, then a truncated SVD.

    The method is that of Deerwester et al. 1990, with the randomized SVD of Halko et al. 2011. Equal texts
    get equal rows; a text that occurs more often counts for more.

    Args:
        texts: n texts.
        dim: columns of the result; where the texts span fewer dimensions, the last columns are 0.
        seed: fixes the SVD; equal arguments give equal bits on one machine.

    Returns:
        float32 [n, dim], rows of length 1; a text without a word is a row of 0.

    Raises:
        DataError: no text has a word.
    """
    vectorizer = TfidfVectorizer(token_pattern=_WORD, ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    try:
        words = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise DataError(f"none of the {len(texts)} texts has a word; give each item a text.") from error
    _, _, directions = randomized_svd(words, min(dim, *words.shape), n_iter=5, random_state=seed)
    vectors = normalize(words @ directions.T)
    return np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1]))).astype(np.float32)
