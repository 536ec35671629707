"""What is run: all of the paper's comparison, or a quick one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import semid_tf as sid

HISTORY_LENGTH = 20
# The unigram for as many epochs as methods take that are trained on top of it.
LONGER = "unigram_longer"
# Methods of one size come first: the unigram is what others are trained on top of.
UNSIZED_METHODS = ("unigram", LONGER, "dense", "dense_x1.5", "dense_x2", "random_sid")
SIZED_METHODS = ("random_hash", "bigram", "prefix", "sentencepiece_alone", "sentencepiece", "id_sid")


@dataclass(frozen=True)
class Settings:
    """Of one experiment.

    Attributes:
        items, interactions: Parquet files.
        methods: those compared; random hashing is what gains refer to.
        before_test: whether the last fifth of the training period stands in for the test.
        table_rows: of the tables that can be sized; the smallest is the one that gains refer to.
        seeds: of the rankers; figures are means over them.
        quantizer, ranker, evaluation: of the parts.
        max_train_positives, max_test_positives: at most so many, drawn at random; 0 = all.
    """

    items: str
    interactions: str
    methods: tuple[str, ...] = UNSIZED_METHODS + SIZED_METHODS
    before_test: bool = False
    table_rows: tuple[int, ...] = (2_048, 4_096, 16_384, 65_536)
    seeds: tuple[int, ...] = (0, 1, 2)
    quantizer: sid.RQVAEConfig = field(default_factory=sid.RQVAEConfig)
    ranker: sid.RankerConfig = field(default_factory=lambda: sid.RankerConfig(batch_size=256))
    evaluation: sid.EvaluationConfig = field(default_factory=sid.EvaluationConfig)
    max_train_positives: int = 200_000
    max_test_positives: int = 0

    def quick(self) -> Settings:
        """One seed, two table sizes, and less of everything that takes time."""
        return replace(
            self,
            table_rows=(2_048, 16_384),
            seeds=self.seeds[:1],
            quantizer=replace(self.quantizer, epochs=20),
            evaluation=replace(self.evaluation, bootstrap_samples=100),
            max_train_positives=160_000,
            max_test_positives=40_000,
        )

    @property
    def data(self) -> sid.DataConfig:
        """How examples are drawn."""
        return sid.DataConfig(
            items=self.items,
            interactions=self.interactions,
            history_length=HISTORY_LENGTH,
            max_train_positives=self.max_train_positives,
            max_test_positives=self.max_test_positives,
        )


@dataclass(frozen=True)
class Run:
    """One ranker.

    Attributes:
        method: one of `semid_tf.methods`.
        table_rows: of its tables, where they can be sized.
        seed: of the ranker.
        history: whether it sees the user's history.
        codes: of which quantizer: `all`, or of the `first` or `second` half of the training period.
    """

    method: str
    table_rows: int
    seed: int
    history: bool = True
    codes: str = "all"


def all_runs(settings: Settings) -> list[Run]:
    """With history first; last the rankers over the codes of quantizers of another time."""
    smallest = settings.table_rows[0]
    compared = [
        (method, rows)
        for method in settings.methods
        for rows in (settings.table_rows if method in SIZED_METHODS else (smallest,))
    ]
    runs = [
        Run(method, rows, seed, history)
        for history in (True, False)
        for seed in settings.seeds
        for method, rows in compared
    ]
    halves = [Run("unigram", smallest, settings.seeds[0], codes=half) for half in ("first", "second")]
    return runs + halves
