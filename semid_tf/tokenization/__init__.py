"""From codes to piece ids: n-gram, prefix n-gram, SentencePiece."""

from semid_tf.tokenization.base import PADDING_CODE, Tokenizer
from semid_tf.tokenization.ngram import NgramTokenizer, PrefixTokenizer
from semid_tf.tokenization.sentencepiece import PiecesAndCodes, SentencePieceTokenizer, train_sentencepiece

__all__ = [
    "PADDING_CODE",
    "NgramTokenizer",
    "PiecesAndCodes",
    "PrefixTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "train_sentencepiece",
]
