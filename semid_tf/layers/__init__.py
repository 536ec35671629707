"""Keras layers that turn items into vectors."""

from semid_tf.layers.catalogue import CatalogueEmbedding
from semid_tf.layers.content_start import content_start
from semid_tf.layers.dense_content import DenseContentEmbedding
from semid_tf.layers.dropout import CountedDropout
from semid_tf.layers.hashed import HashedEmbedding
from semid_tf.layers.lookup import SentencePieceLookup
from semid_tf.layers.pieces import PieceEmbedding
from semid_tf.layers.product_token import ProductToken
from semid_tf.layers.quantized_token import QuantizedToken
from semid_tf.layers.semantic import SemanticEmbedding
from semid_tf.layers.semantic_token import SemanticToken
from semid_tf.layers.tower import ContentToken, DenseToken, IdToken, ItemTower
from semid_tf.layers.unified import UnifiedEmbedding, unified_features

__all__ = [
    "CatalogueEmbedding",
    "ContentToken",
    "CountedDropout",
    "DenseContentEmbedding",
    "DenseToken",
    "HashedEmbedding",
    "IdToken",
    "ItemTower",
    "PieceEmbedding",
    "ProductToken",
    "QuantizedToken",
    "SemanticEmbedding",
    "SemanticToken",
    "SentencePieceLookup",
    "UnifiedEmbedding",
    "content_start",
    "unified_features",
]
