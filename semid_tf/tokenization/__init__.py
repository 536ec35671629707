"""From codes to piece ids: n-gram, prefix n-gram, SentencePiece."""

from semid_tf.tokenization.alphabet import code_texts
from semid_tf.tokenization.base import PADDING_CODE, Tokenizer
from semid_tf.tokenization.merges import (
    by_frequency,
    learn_merges,
    merge_pieces,
    merges_by_round,
    neighbour_texts,
    ranked_merges,
    require_rounds,
    tokenizer_of_merges,
)
from semid_tf.tokenization.ngram import NgramTokenizer, PrefixTokenizer
from semid_tf.tokenization.sentencepiece import PiecesAndCodes, SentencePieceTokenizer, train_sentencepiece
from semid_tf.tokenization.vocabulary import VocabularyReport, report_of_pieces, vocabulary_report

__all__ = [
    "PADDING_CODE",
    "NgramTokenizer",
    "PiecesAndCodes",
    "PrefixTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "VocabularyReport",
    "by_frequency",
    "code_texts",
    "learn_merges",
    "merge_pieces",
    "merges_by_round",
    "neighbour_texts",
    "ranked_merges",
    "report_of_pieces",
    "require_rounds",
    "tokenizer_of_merges",
    "train_sentencepiece",
    "vocabulary_report",
]
