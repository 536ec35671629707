"""Item vectors for sequence models: ID tokens, content and Semantic-ID tokens, side by side or summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError
from semid_tf.layers.borrowed_ids import borrowed_rows
from semid_tf.layers.counted_seed import CountedSeed

CONCATENATED, SUMMED = "concatenated", "summed"


@tf_keras.saving.register_keras_serializable("semid_tf")
class IdToken(tf_keras.layers.Layer):
    """One row for each item: item indices, int32 [n], to float32 [n, dim].

    An item that training never saw has a row of zeros (see `set_counts`), so that it stands by its content
    alone, or a borrowed one (see `ItemTower.borrow_ids`); `dropout` makes training ready for that.

    Args:
        num_items: of the catalogue; valid indices are 0 (padding) to num_items.
        dim: of the rows.
        dropout: share of the items that do without their row in a training step.
        seed: fixes start and draws.
    """

    def __init__(self, num_items: int, dim: int, dropout: float = 0.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_items, self.dim, self.dropout, self.seed = num_items, dim, dropout, seed
        self.draws = CountedSeed(seed)

    def build(self, input_shape: Any) -> None:
        start = tf_keras.initializers.RandomNormal(stddev=0.02, seed=self.seed)
        self.table = self.add_weight(name="table", shape=(self.num_items + 1, self.dim), initializer=start)
        shape = (self.num_items + 1,)
        self.counts = self.add_weight(name="counts", shape=shape, initializer="ones", trainable=False)
        self.known = self.add_weight(name="known", shape=shape, initializer="ones", trainable=False)
        super().build(input_shape)

    def set_counts(self, counts: np.ndarray) -> None:
        """How often training sees each item, [num_items]; items of count 0 get rows of zeros."""
        self.counts.assign(np.concatenate([[0], counts]))
        self.known.assign(tf.cast(self.counts > 0, tf.float32))

    def lend(self, content: tf.Tensor, neighbours: int) -> None:
        """Gives the items of count 0 what they borrow, see `borrowed_rows`."""
        without = tf.where(self.counts[1:] == 0)[:, 0] + 1
        rows = borrowed_rows(self.table, self.counts, content, tf.gather(content, without), neighbours)
        self.table.scatter_nd_update(without[:, None], rows)
        self.known.assign(tf.concat([[0.0], tf.ones(self.num_items)], axis=0))

    def call(self, items: tf.Tensor, weights: tf.Tensor, training: bool = False) -> tf.Tensor:
        shown = tf.gather(self.known, items)
        if training and self.dropout:
            drawn = tf.random.stateless_uniform(tf.shape(items), self.draws.next())
            shown *= tf.cast(drawn >= self.dropout, tf.float32)
        return tf.gather(self.table, items) * shown[:, None]

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Of an item that is known by content alone there is nothing: zeros, float32 [n, dim]."""
        return tf.zeros((tf.shape(embeddings)[0], self.dim))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_items": self.num_items,
            "dim": self.dim,
            "dropout": self.dropout,
            "seed": self.seed,
        }


@tf_keras.saving.register_keras_serializable("semid_tf")
class ContentToken(tf_keras.layers.Layer):
    """What a layer makes of the items' content: item indices, int32 [n], to float32 [n, dim].

    Args:
        num_items: of the catalogue.
        embedding_dim: of the content embeddings, see `set_content`.
        encoder: called as `encoder(embeddings, weights, training=...)`; see `DenseToken`, `QuantizedToken`.
    """

    def __init__(
        self, num_items: int, embedding_dim: int, encoder: tf_keras.layers.Layer, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_items, self.embedding_dim, self.encoder = num_items, embedding_dim, encoder

    def build(self, input_shape: Any) -> None:
        self.content = self.add_weight(
            name="content",
            shape=(self.num_items + 1, self.embedding_dim),
            initializer="zeros",
            trainable=False,
        )
        super().build(input_shape)

    @property
    def dim(self) -> int:
        """Of the token."""
        return self.encoder.dim

    @classmethod
    def of(cls, embeddings: np.ndarray, encoder: tf_keras.layers.Layer) -> ContentToken:
        """A token over known content, float [num_items, embedding_dim]."""
        num_items, embedding_dim = embeddings.shape
        token = cls(num_items, embedding_dim, encoder)
        token.build(None)
        token.set_content(embeddings)
        return token

    def set_content(self, embeddings: np.ndarray) -> None:
        """Sets the content embeddings of all items, float [num_items, embedding_dim]."""
        self.content.assign(np.pad(embeddings, ((1, 0), (0, 0))))

    def call(self, items: tf.Tensor, weights: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.encoder(tf.gather(self.content, items), weights, training=training)

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Of an item that is known by content alone, float32 [n, embedding_dim]: float32 [n, dim]."""
        return self.encoder(embeddings, tf.ones(tf.shape(embeddings)[:1]))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_items": self.num_items,
            "embedding_dim": self.embedding_dim,
            "encoder": tf_keras.saving.serialize_keras_object(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ContentToken:
        return cls(**config | {"encoder": tf_keras.saving.deserialize_keras_object(config["encoder"])})


@tf_keras.saving.register_keras_serializable("semid_tf")
class DenseToken(tf_keras.layers.Layer):
    """Content embeddings times a matrix: float32 [n, embedding_dim] to [n, dim].

    Args:
        dim: of the vectors.
        seed: fixes the start.
    """

    def __init__(self, dim: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim, self.seed = dim, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        # Embeddings of length 1 become vectors as long as those of a fresh `IdToken` are, times 12.
        start = tf_keras.initializers.RandomNormal(stddev=0.25, seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.dim), initializer=start)
        super().build(input_shape)

    def call(self, embedding: tf.Tensor, weights: tf.Tensor, training: bool = False) -> tf.Tensor:
        return tf.matmul(embedding, self.kernel)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dim": self.dim, "seed": self.seed}


@tf_keras.saving.register_keras_serializable("semid_tf")
class ItemTower(tf_keras.layers.Layer):
    """Tokens of an item put together: item indices, int32 [n], to vectors, float32 [n, dim]; 0 gives zeros.

    Args:
        tokens: layers called as `token(items, weights, training=...)`, such as `IdToken`, `ContentToken`.
        merge: `concatenated`, as Lin et al. 2025 unify Semantic ID and ID, or `summed`.
        neighbours: so many of the most alike items lend their IDs to an item that training never saw, see
            `borrow_ids`; needs a `ContentToken`. 0 = it has none.

    Raises:
        ConfigError: another `merge`; `neighbours` without a `ContentToken`.
    """

    def __init__(
        self,
        tokens: Sequence[tf_keras.layers.Layer],
        merge: str = CONCATENATED,
        neighbours: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tokens, self.merge, self.neighbours = list(tokens), merge, neighbours
        if merge not in (CONCATENATED, SUMMED):
            raise ConfigError(f"merge must be {CONCATENATED} or {SUMMED}, got {merge}.")
        if neighbours and not any(isinstance(token, ContentToken) for token in self.tokens):
            raise ConfigError(f"neighbours must be 0 without a ContentToken to compare, got {neighbours}.")

    @property
    def dim(self) -> int:
        """Of the vectors."""
        dims = [token.dim for token in self.tokens]
        return dims[0] if self.merge == SUMMED else sum(dims)

    def call(self, items: tf.Tensor, weights: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Vectors of items.

        Args:
            items: int32 [n].
            weights: float32 [n], how often each occurs among what is trained on; None = once each. Items of
                weight 0 have no part in the tokens' own losses and moving averages.
            training: whether tokens learn.
        """
        known = tf.cast(items > 0, tf.float32)
        weights = known if weights is None else known * weights
        vectors = self._merged([token(items, weights, training=training) for token in self.tokens])
        return vectors * known[:, None]

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Vectors of items that training never saw, from content float32 [n, embedding_dim] alone."""
        return self._merged([self._token_of_content(token, embeddings) for token in self.tokens])

    def _token_of_content(self, token: tf_keras.layers.Layer, embeddings: tf.Tensor) -> tf.Tensor:
        if self.neighbours and isinstance(token, IdToken):
            return borrowed_rows(token.table, token.counts, self._content(), embeddings, self.neighbours)
        return token.of_content(embeddings)

    def borrow_ids(self) -> None:
        """After training, gives each item that it never saw the IDs of its nearest neighbours by content."""
        for token in self.tokens:
            if self.neighbours and isinstance(token, IdToken):
                token.lend(self._content(), self.neighbours)

    def _content(self) -> tf.Tensor:
        return next(token.content for token in self.tokens if isinstance(token, ContentToken))

    def _merged(self, vectors: list[tf.Tensor]) -> tf.Tensor:
        return tf.add_n(vectors) if self.merge == SUMMED else tf.concat(vectors, axis=-1)

    def get_config(self) -> dict[str, Any]:
        tokens = [tf_keras.saving.serialize_keras_object(token) for token in self.tokens]
        return super().get_config() | {"tokens": tokens, "merge": self.merge, "neighbours": self.neighbours}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ItemTower:
        tokens = [tf_keras.saving.deserialize_keras_object(token) for token in config["tokens"]]
        return cls(**config | {"tokens": tokens})
