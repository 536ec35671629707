"""Piece ids of codes, by one or several published tokenizers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

import semid_tf as sid
from pipelines.launch import absolute
from pipelines.nearby import load_near
from pipelines.schema import PIECE_IDS, vectors

KIND = "tokenizer"
TOKENIZER_FILE = "tokenizer.json"
SENTENCEPIECE_FILE = "sentencepiece.model"


def save_tokenizer(tokenizer: sid.Tokenizer, folder: str | Path) -> None:
    """Writes a tokenizer of this library into an existing folder, as `tokenizer.json`."""
    made = {"class": type(tokenizer).__name__, "config": tokenizer.get_config()}
    (Path(folder) / TOKENIZER_FILE).write_text(json.dumps(made), encoding="utf-8")


def load_tokenizer(folder: str | Path, code_space: sid.CodeSpace) -> sid.Tokenizer:
    """The tokenizer of a published artifact: what `save_tokenizer` wrote, or `sentencepiece.model` alone.

    Args:
        folder: of the artifact.
        code_space: that it must be for.

    Raises:
        ArtifactError: it is no complete tokenizer, or damaged.
        ProvenanceError: it is for another code space.
    """
    sid.open_artifact(folder, KIND)
    try:
        tokenizer = _read(Path(folder), code_space)
    except sid.ProvenanceError as error:
        raise sid.ProvenanceError(f"{folder}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise sid.ArtifactError(f"{folder} holds no tokenizer ({error}); make it anew.") from error
    if tokenizer.code_space != code_space:
        raise sid.ProvenanceError(f"{folder} is for {tokenizer.code_space}, but the codes are {code_space}.")
    return tokenizer


def _read(folder: Path, code_space: sid.CodeSpace) -> sid.Tokenizer:
    if not (folder / TOKENIZER_FILE).exists():
        return sid.SentencePieceTokenizer(code_space, (folder / SENTENCEPIECE_FILE).read_bytes())
    made = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    kind = getattr(sid, made["class"])
    if not issubclass(kind, sid.Tokenizer):
        raise ValueError(f"{made['class']} is no tokenizer")
    tokenizer: sid.Tokenizer = kind.from_config(made["config"])
    return tokenizer


@dataclass(frozen=True)
class Tokenizers:
    """Tokenizers by the name of their column; each is loaded once a process.

    Attributes:
        folders: (name, folder of the artifact on any Beam file system), by name.
        code_space: of the codes.
    """

    folders: tuple[tuple[str, str], ...]
    code_space: sid.CodeSpace

    @classmethod
    def of(cls, named: Sequence[str], code_space: sid.CodeSpace, quantizer: str = "") -> Tokenizers:
        """Tokenizers from texts `NAME=FOLDER`; all are loaded once, to see that they are whole.

        Args:
            named: the texts.
            code_space: of the codes.
            quantizer: fingerprint of that which gives the codes; "" = not told.

        Raises:
            ConfigError: a text is no `NAME=FOLDER`, or a name comes twice.
            ArtifactError, ProvenanceError: as `load_tokenizer`; one is of another quantizer.
        """
        parts = [text.partition("=") for text in named]
        folders = {name: absolute(folder) for name, _, folder in parts}
        wrong = [text for text, (name, _, folder) in zip(named, parts, strict=True) if not (name and folder)]
        if wrong or len(folders) < len(named):
            raise sid.ConfigError(
                f"tokenizers must be NAME=FOLDER with different names, got {', '.join(wrong or named)}."
            )
        found = cls(tuple(sorted(folders.items())), code_space)
        for _, folder in found.folders:
            _load(folder, code_space)
            _require_quantizer(folder, quantizer)
        return found

    @property
    def columns(self) -> list[str]:
        """Names of the columns that `encode` gives.

        >>> Tokenizers((("bpe", "/tokenizer"),), sid.CodeSpace(3, 256)).columns
        ['piece_ids_bpe']
        """
        return [f"{PIECE_IDS}_{name}" for name, _ in self.folders]

    def encode(self, codes: np.ndarray) -> dict[str, pa.Array]:
        """Piece ids of codes, int32 [n, num_levels]: column -> lists of int32 of one length, padded with 0.

        Raises:
            CodesError: a code is out of range.
        """
        loaded = (_load(folder, self.code_space) for _, folder in self.folders)
        return {
            column: vectors(tokenizer.encode(codes))
            for column, tokenizer in zip(self.columns, loaded, strict=True)
        }


def _require_quantizer(folder: str, quantizer: str) -> None:
    """Where both are known: n-grams are of no quantizer."""
    artifact = load_near(folder, lambda local: sid.open_artifact(local, KIND))
    known = artifact.manifest.parents.get("quantizer", "")
    if known and quantizer and known != quantizer:
        raise sid.ProvenanceError(
            f"{folder} was trained on codes of quantizer {known}, these are of {quantizer}; train it anew."
        )


@lru_cache(maxsize=16)
def _load(folder: str, code_space: sid.CodeSpace) -> sid.Tokenizer:
    return load_near(folder, lambda local: load_tokenizer(local, code_space))
