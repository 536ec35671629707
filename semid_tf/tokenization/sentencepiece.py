"""SentencePiece over codes: frequent sequences become pieces of their own (Singh et al. 2024, sec. 3.2.2)."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text
import tf_keras
from sentencepiece import sentencepiece_model_pb2

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError, DataError
from semid_tf.ids.semantic_id import require_codes
from semid_tf.tokenization.alphabet import (
    alphabet,
    code_texts,
    code_texts_in_graph,
    require_alphabet,
    require_pieces,
)
from semid_tf.tokenization.base import Tokenizer
from semid_tf.tokenization.ngram import NgramTokenizer

PADDING, UNKNOWN = 0, 1
_SMALLEST_SHARE = 1_000_000
_ERRORS = 2  # SentencePiece's log level
_LAST_WHOLE = 2**24  # up to it float32 tells whole numbers apart
_SEEDS = 1_000_000  # its default: the unigram trainer prunes its vocabulary from so many candidates


@tf_keras.saving.register_keras_serializable("semid_tf")
class SentencePieceTokenizer(Tokenizer):
    """Pieces of a trained SentencePiece model; every code is a piece too, so that new items have pieces.

    Args:
        code_space: the range of the codes.
        model: the serialized SentencePiece model, see `train_sentencepiece`.

    Raises:
        ProvenanceError: the model was trained on another code space.
    """

    def __init__(self, code_space: CodeSpace, model: bytes) -> None:
        super().__init__()
        self.code_space, self.model = code_space, model
        self._in_graph = tensorflow_text.SentencepieceTokenizer(model)
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.num_pieces = code_space.num_levels
        self.num_rows = self._processor.vocab_size()
        require_pieces(self._processor.id_to_piece(list(range(UNKNOWN + 1, self.num_rows))), code_space)

    def _encode(self, codes: np.ndarray) -> np.ndarray:
        distinct, place = np.unique(codes, axis=0, return_inverse=True)
        encoded = self._processor.encode(code_texts(distinct, self.code_space).tolist())
        return self._padded(encoded)[place.ravel()]

    def sample(self, codes: np.ndarray, alpha: float, seed: int) -> np.ndarray:
        """Segmentations drawn at random: int32 [n, num_pieces], for training on finer pieces now and then.

        Args:
            codes: int [n, num_levels]; each row has a draw of its own.
            alpha: for BPE the chance that a merge is left out (BPE dropout, arXiv 1910.13267); for unigram
                the smoothing of the draw (subword regularization, arXiv 1804.10959).
            seed: fixes the draws.

        Raises:
            CodesError: a code is out of range.
        """
        require_codes(codes, self.code_space)
        sentencepiece.set_random_generator_seed(seed)
        texts = code_texts(codes, self.code_space).tolist()
        drawn = self._processor.encode(texts, enable_sampling=True, alpha=alpha, nbest_size=-1, num_threads=1)
        return self._padded(drawn)

    def _padded(self, rows: list[list[int]]) -> np.ndarray:
        pieces = np.zeros((len(rows), self.num_pieces), np.int32)
        for row, ids in enumerate(rows):
            pieces[row, : len(ids)] = ids
        return pieces

    def encode_in_graph(self, codes: tf.Tensor) -> tf.Tensor:
        valid = self.valid(codes)
        texts = code_texts_in_graph(tf.cast(tf.where(valid, codes, 0), tf.int32), self.code_space)
        pieces = self._in_graph.tokenize(texts)
        padded = pieces.to_tensor(PADDING, shape=(None, self.num_pieces))
        return tf.where(valid, padded, PADDING)

    def single_codes(self) -> np.ndarray:
        """The piece of each code alone: int32 [num_levels, largest codebook]; 0 behind a smaller level."""
        space = self.code_space
        ids = np.array(self._processor.piece_to_id(list(alphabet(space))), np.int32)
        pieces = np.full((space.num_levels, space.largest), PADDING, np.int32)
        for level, (start, size) in enumerate(zip(space.starts, space.codebook_sizes, strict=True)):
            pieces[level, :size] = ids[start : start + size]
        return pieces

    def get_config(self) -> dict[str, Any]:
        model = base64.b64encode(self.model).decode("ascii")
        return {"code_space": dataclasses.asdict(self.code_space), "model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        return cls(CodeSpace(**config["code_space"]), base64.b64decode(config["model"]))


@tf_keras.saving.register_keras_serializable("semid_tf")
class PiecesAndCodes(Tokenizer):
    """Each single code, as the unigram has it, then SentencePiece's coarse pieces, those of several codes.

    Single codes generalise to new items; coarse pieces remember what is common to frequent ones, in a table
    of their own: row 0 is padding there too. Both tables together have as many rows as SentencePiece.

    Args:
        sentencepiece: gives the pieces.
    """

    def __init__(self, sentencepiece: SentencePieceTokenizer) -> None:
        super().__init__()
        self.sentencepiece, self.code_space = sentencepiece, sentencepiece.code_space
        self.num_pieces, self.num_rows = 2 * self.code_space.num_levels, sentencepiece.num_rows
        self.unigram = NgramTokenizer(self.code_space)
        coarse = np.ones(self.num_rows, np.int32)
        coarse[[PADDING, UNKNOWN, *sentencepiece.single_codes().ravel()]] = 0
        self._coarse_rows = tf.constant(np.cumsum(coarse) * coarse, tf.int32)
        self.num_coarse_rows = int(coarse.sum()) + 1

    def _encode(self, codes: np.ndarray) -> np.ndarray:
        coarse = self._coarse_rows.numpy()[self.sentencepiece.encode(codes)]
        return np.concatenate([self.unigram.encode(codes), coarse], axis=1).astype(np.int32)

    def encode_in_graph(self, codes: tf.Tensor) -> tf.Tensor:
        coarse = tf.gather(self._coarse_rows, self.sentencepiece.encode_in_graph(codes))
        return tf.concat([self.unigram.encode_in_graph(codes), coarse], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {"sentencepiece": self.sentencepiece.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        return cls(SentencePieceTokenizer.from_config(config["sentencepiece"]))


def train_sentencepiece(
    codes: np.ndarray, counts: np.ndarray, code_space: CodeSpace, num_rows: int, model_type: str = "bpe"
) -> SentencePieceTokenizer:
    """Trains SentencePiece on the codes of interacted items.

    Args:
        codes: int [n, num_levels].
        counts: int [n]; how often each item was interacted with; items of count 0 do not count.
        code_space: the range of the codes.
        num_rows: rows asked for, padding and unknown included; the data may yield fewer.
        model_type: `bpe` or `unigram`.

    Raises:
        ConfigError: num_rows cannot hold a row for each code, or there are too many codes for the alphabet.
        DataError: no item was interacted with.
    """
    require_codes(codes, code_space)
    require_alphabet(code_space)
    if num_rows < code_space.num_codes + 2:
        raise ConfigError(
            f"SentencePiece needs table_rows of at least {code_space.num_codes + 2}: one for each of the "
            f"{code_space.num_codes} codes, padding and unknown; got {num_rows}."
        )
    if not (counts > 0).any():
        raise DataError("no item was interacted with; SentencePiece needs at least one.")
    chosen = counts > 0
    lines = _corpus(codes[chosen], counts[chosen], code_space)
    return SentencePieceTokenizer(code_space, _train(lines, code_space, num_rows, model_type))


def sentencepiece_of(pieces: list[str], code_space: CodeSpace) -> SentencePieceTokenizer:
    """A BPE model of given pieces, first merged first; rows 0 and 1 are padding and unknown."""
    model: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    special = {"<pad>": model.SentencePiece.CONTROL, "<unk>": model.SentencePiece.UNKNOWN}
    for text, kind in special.items():
        model.pieces.add(piece=text, score=0, type=kind)
    for text, score in zip(pieces, falling_scores(np.arange(len(pieces))).tolist(), strict=True):
        model.pieces.add(piece=text, score=score)
    settings = model.trainer_spec
    settings.model_type = settings.BPE
    settings.pad_id, settings.unk_id, settings.bos_id, settings.eos_id = PADDING, UNKNOWN, -1, -1
    settings.vocab_size = len(model.pieces)
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    return SentencePieceTokenizer(code_space, model.SerializeToString())


def falling_scores(ranks: np.ndarray) -> np.ndarray:
    """A score below all those of lesser ranks, int64 [n] >= 0: float32 [n], as SentencePiece has them.

    >>> falling_scores(np.array([0, 1, 2**24, 2**24 + 1])).tolist()
    [0.0, -1.0, -16777216.0, -16777218.0]
    """
    whole = np.minimum(ranks, _LAST_WHOLE).astype(np.float32)
    # Bit patterns of positive floats are in their order.
    return 0 - (whole.view(np.int32) + (ranks - whole.astype(np.int64)).astype(np.int32)).view(np.float32)


def _corpus(codes: np.ndarray, counts: np.ndarray, code_space: CodeSpace) -> Iterator[str]:
    """Lines of text and weight. They come from memory: a path would be written into the model."""
    distinct, place = np.unique(codes, axis=0, return_inverse=True)
    totals = np.bincount(place.ravel(), weights=counts).astype(np.int64)
    for text, total in zip(code_texts(distinct, code_space), totals, strict=True):
        yield f"{text}\t{total}"
    # Every code occurs, so that each has a piece of its own. Coverage is a float32 inside SentencePiece:
    # a code rarer than that resolves would be lost.
    floor = 1 + int(totals.sum()) * code_space.num_levels // _SMALLEST_SHARE
    for character in alphabet(code_space):
        yield f"{character}\t{floor}"


def _train(lines: Iterator[str], code_space: CodeSpace, num_rows: int, model_type: str) -> bytes:
    model = io.BytesIO()
    sentencepiece.set_min_log_level(_ERRORS)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        input_format="tsv",
        model_writer=model,
        model_type=model_type,
        vocab_size=num_rows,
        seed_sentencepiece_size=max(_SEEDS, 4 * num_rows),
        hard_vocab_limit=False,
        max_sentencepiece_length=code_space.num_levels,
        normalization_rule_name="identity",
        character_coverage=1.0,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        split_by_whitespace=False,
        pad_id=PADDING,
        unk_id=UNKNOWN,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=_ERRORS,
    )
    return model.getvalue()
