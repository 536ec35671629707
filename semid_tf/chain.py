"""The whole chain; each step is an artifact that is made once and re-used while nothing changed.

    tables -> examples -> quantizer -> codes -> tokenizer -> rankers -> evaluations -> export -> verification

A step asks for its parents, which make themselves if need be; so any step can be asked for alone.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tf_keras

from pipelines.encode import encode_corpus
from semid_tf.artifacts import Artifact, ArtifactStore, Made, fingerprint, open_artifact
from semid_tf.config import ResidualKMeansConfig, RunConfig
from semid_tf.data import (
    Items,
    Splits,
    complete_journey,
    drop_unknown,
    index_users,
    item_indices,
    matching_files,
    ranking_examples,
    read_interactions,
    read_items,
    read_tables,
    write_tables,
)
from semid_tf.errors import ArtifactError
from semid_tf.evaluation import auc, auc_by_slice
from semid_tf.ids import ItemTable, format_semantic_id
from semid_tf.methods import (
    BASE,
    METHODS,
    ON_TOP,
    SEMANTIC_METHODS,
    Catalogue,
    fit_method,
    num_rows,
    tokenizer_of,
)
from semid_tf.models import Ranker
from semid_tf.quantizer import (
    CodebookCollapseWarning,
    DivergenceWarning,
    SavedQuantizer,
    collapse_warnings,
    fit_residual_kmeans,
    fit_rqvae,
    load_quantizer,
    normalized_mse,
    quality_of,
    save_quantizer,
)
from semid_tf.quantizer.collapse import different_rows
from semid_tf.showcase import Showcase, choose_showcase
from semid_tf.tokenization import (
    PiecesAndCodes,
    SentencePieceTokenizer,
    train_sentencepiece,
    vocabulary_report,
)
from semid_tf.training import score_examples
from serving.check import score_in_bare_process, verify_export
from serving.export import FORMS, export_ranker
from serving.ops import custom_ops
from serving.versions import find_export, publish_export, why_anew
from serving.warmup import WarmupExample

SENTENCEPIECE_FILE = "sentencepiece.model"
RANKER_FILE = "ranker.keras"
SCORES_FILE = "test_scores.npy"
_SHOWN = 10


class Chain:
    """The steps of one configuration.

    Args:
        config: of all steps.
        say: takes one line of news for people.
        quantizer: folder of a published quantizer to use instead of training one.
        codes: folder of published codes to use instead of encoding; they must be that quantizer's.
    """

    def __init__(
        self, config: RunConfig, say: Callable[[str], None], quantizer: str = "", codes: str = ""
    ) -> None:
        self.config, self.say = config, say
        self.store = ArtifactStore(Path(config.output))
        self._given_quantizer, self._given_codes = quantizer, codes

    # Step 1: data

    @cached_property
    def tables(self) -> Artifact:
        """The two general tables, checked, interactions of unknown items dropped and counted."""
        return self._make("tables", self._data_origin(), (), self._fill_tables)

    def _data_origin(self) -> dict[str, Any]:
        data = self.config.data
        if data.source == "complete_journey":
            return {"source": data.source, "embedding_dim": data.embedding_dim, "seed": data.seed}
        patterns = {"items": data.items, "interactions": data.interactions}
        files = {name: [Path(file) for file in matching_files(path)] for name, path in patterns.items()}
        return patterns | {f"{name}_fingerprint": fingerprint(*paths) for name, paths in files.items()}

    def _fill_tables(self, folder: Path) -> Made:
        data = self.config.data
        if data.source == "complete_journey":
            items, interactions = complete_journey(data.embedding_dim, data.seed)
        else:
            items, interactions = read_items(data.items), read_interactions(data.interactions)
        interactions, unknown = drop_unknown(interactions, items.item_ids)
        write_tables(folder, items, interactions)
        figures = {
            "items": len(items),
            "embedding_dim": items.embeddings.shape[1],
            "distinct_embeddings": len(np.unique(items.embeddings, axis=0)),
            "interactions": len(interactions),
            "interactions_of_unknown_items": unknown,
        }
        return Made(fingerprint(*sorted(folder.glob("*.parquet"))), figures)

    @cached_property
    def items(self) -> Items:
        """The item table."""
        return read_items(self.tables.path / "items.parquet")

    @cached_property
    def examples(self) -> Artifact:
        """Ranking examples for training, validation and test."""
        return self._make("examples", self._example_settings(), (self.tables,), self._fill_examples)

    def _example_settings(self) -> dict[str, Any]:
        unrelated = ("source", "items", "interactions", "title_column", "embedding_dim")
        settings = dataclasses.asdict(self.config.data)
        return {name: value for name, value in settings.items() if name not in unrelated}

    def _fill_examples(self, folder: Path) -> Made:
        items, interactions = read_tables(self.tables.path)
        splits = ranking_examples(items.item_ids, interactions, self.config.data)
        splits.save(folder)
        figures = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
        cold = {"cold_items": int((splits.item_counts == 0).sum())}
        return Made(fingerprint(*sorted(folder.glob("*.npz"))), figures | cold)

    @cached_property
    def splits(self) -> Splits:
        """The examples, read."""
        return Splits.load(self.examples.path)

    # Step 2: quantizer

    @cached_property
    def quantizer(self) -> Artifact:
        """The RQ-VAE or residual k-means as a SavedModel, trained or given."""
        if self._given_quantizer:
            return self._given("quantizer", self._given_quantizer)
        if kmeans := self.config.residual_kmeans:
            return self._make("quantizer", kmeans, (self.tables,), partial(self._fill_kmeans, kmeans))
        settings, parents = self.config.quantizer, (self.tables, self.examples)
        # Of a fit that is interrupted; the next run finds them by what the quantizer is made from.
        checkpoints = self.store.root / f".unfinished-{self.store.inputs('quantizer', settings, parents)}"
        made = self._make("quantizer", settings, parents, partial(self._fill_quantizer, checkpoints))
        shutil.rmtree(checkpoints, ignore_errors=True)
        return made

    def _fill_quantizer(self, checkpoints: Path, folder: Path) -> Made:
        embeddings, settings = self.items.embeddings, self.config.quantizer
        weights = (1.0 + self.splits.item_counts) ** settings.item_weight_power
        with self._alarms_said():
            model = fit_rqvae(embeddings, weights, settings, checkpoints=checkpoints)
        save_quantizer(model, folder)
        return Made(model.fingerprint)

    def _fill_kmeans(self, settings: ResidualKMeansConfig, folder: Path) -> Made:
        with self._alarms_said():
            model = fit_residual_kmeans(self.items.embeddings, config=settings)
        save_quantizer(model, folder)
        return Made(model.fingerprint)

    @contextmanager
    def _alarms_said(self) -> Iterator[None]:
        """Collapsed codebooks and fits that diverged become news in one line each."""
        with warnings.catch_warnings(record=True) as caught:
            for kind in (CodebookCollapseWarning, DivergenceWarning):
                warnings.simplefilter("always", kind)
            yield
        for warning in caught:
            self.say(f"quantizer: {warning.message}")

    @cached_property
    def saved_quantizer(self) -> SavedQuantizer:
        """The quantizer, loaded."""
        return load_quantizer(self.quantizer.path)

    # Step 3: codes

    @cached_property
    def codes(self) -> Artifact:
        """The Semantic IDs of the whole catalogue, by Beam or given."""
        if self._given_codes:
            codes = self._given("codes", self._given_codes)
            codes.require_parent(self.quantizer)
            return codes
        return self._make("codes", {}, (self.tables, self.quantizer), self._fill_codes)

    def _fill_codes(self, folder: Path) -> Made:
        report = encode_corpus(str(self.tables.path / "items.parquet"), self.quantizer.path, folder)
        return Made(report["fingerprint"], report)

    @cached_property
    def item_table(self) -> ItemTable:
        """Items and their codes, in the order of the item table."""
        table = pq.read_table(self.codes.path / "codes", columns=["item_id", "codes"])
        rows = item_indices(
            table["item_id"].to_numpy(zero_copy_only=False).astype(object), self.items.item_ids
        )
        if not rows.all():
            missing = self.items.item_ids[int(np.argmin(rows != 0))]
            raise ArtifactError(
                f"{self.codes.path} has no codes for item {missing!r}; encode this catalogue anew."
            )
        codes = np.stack(table["codes"].to_numpy(zero_copy_only=False))[rows - 1]
        return ItemTable(self.items.item_ids, codes.astype(np.int32), self.saved_quantizer.code_space)

    # Step 4: tokenizers

    @cached_property
    def tokenizer(self) -> Artifact:
        """SentencePiece over the codes of interacted items; the n-grams need no training."""
        parents = (self.quantizer, self.codes, self.examples)
        return self._make("tokenizer", self.config.tokenization, parents, self._fill_tokenizer)

    def _fill_tokenizer(self, folder: Path) -> Made:
        settings, table = self.config.tokenization, self.item_table
        tokenizer = train_sentencepiece(
            table.codes,
            self.splits.item_counts,
            table.code_space,
            settings.table_rows,
            settings.sentencepiece_type,
        )
        (folder / SENTENCEPIECE_FILE).write_bytes(tokenizer.model)
        report = vocabulary_report(tokenizer, settings.table_rows, table.codes, self.splits.item_counts)
        return Made(fingerprint(tokenizer.model), report._asdict())

    @cached_property
    def catalogue(self) -> Catalogue:
        """What the methods know of the items."""
        model = (self.tokenizer.path / SENTENCEPIECE_FILE).read_bytes()
        settings = self.config.tokenization
        return Catalogue(
            self.items.item_ids,
            self.items.embeddings,
            self.item_table.codes,
            PiecesAndCodes(SentencePieceTokenizer(self.item_table.code_space, model)),
            self.splits.item_counts,
            settings.table_rows,
            settings.seed,
        )

    # Step 5: rankers

    @cached_property
    def rankers(self) -> Mapping[str, Artifact]:
        """One trained ranker for each method."""
        made: dict[str, Artifact] = {}
        for method in METHODS:
            made[method] = self._ranker(method, made[BASE] if method in ON_TOP else None)
        return made

    def _ranker(self, method: str, base: Artifact | None) -> Artifact:
        parents = (self.tables, self.examples, self.codes, self.tokenizer, *([base] if base else []))
        fill = partial(self._fill_ranker, method, base)
        return self._make(f"ranker-{method}", self.config.ranker, parents, fill)

    def _fill_ranker(self, method: str, base: Artifact | None, folder: Path) -> Made:
        settings, below = self.config.ranker, load_ranker(base.path / RANKER_FILE) if base else None
        started = time.perf_counter()
        ranker = fit_method(method, self.catalogue, settings, self.splits.train, below)
        figures = {"train_s": round(time.perf_counter() - started, 2)}
        ranker.save(folder / RANKER_FILE)
        validation = self.splits.validation
        used = validation.weights > 0
        figures |= {
            "rows": num_rows(ranker),
            "parameters": int(sum(np.prod(v.shape) for v in ranker.trainable_variables)),
            "auc_validation": auc(validation.labels[used], score_examples(ranker, validation)[used]),
        }
        return Made(fingerprint(*ranker.get_weights()), figures)

    def load_ranker(self, method: str) -> Ranker:
        """A trained ranker, loaded."""
        return load_ranker(self.rankers[method].path / RANKER_FILE)

    # Step 6: evaluation

    @cached_property
    def evaluations(self) -> Mapping[str, Artifact]:
        """AUC over all, warm and cold items after the training period, for each method."""
        return {method: self._evaluation(method) for method in METHODS}

    def _evaluation(self, method: str) -> Artifact:
        parents = (self.rankers[method], self.examples)
        fill = partial(self._fill_evaluation, method)
        return self._make(f"evaluation-{method}", self.config.evaluation, parents, fill)

    def _fill_evaluation(self, method: str, folder: Path) -> Made:
        scores = score_examples(self.load_ranker(method), self.splits.test)
        np.save(folder / SCORES_FILE, scores)
        figures = auc_by_slice(scores, self.splits, self.config.evaluation)
        (folder / "auc.json").write_text(json.dumps(figures, indent=2) + "\n")
        return Made(fingerprint(scores), figures)

    def best_semantic_method(self) -> str:
        """The Semantic-ID method that ranks best on the validation examples of the training period."""
        return max(
            SEMANTIC_METHODS, key=lambda method: self.rankers[method].manifest.metrics["auc_validation"]
        )

    # Step 7: export

    @cached_property
    def export(self) -> Artifact:
        """The best Semantic-ID ranker for TensorFlow Serving, checked in a bare process first."""
        method = self.best_semantic_method()
        parents = (self.rankers[method], self.tokenizer, self.codes, self.quantizer)
        root, config = self.store.root / "export", {"method": method, "signatures": FORMS}
        if not find_export(root, parents, config) and (reason := why_anew(root, parents, config)):
            self.say(f"export: anew, {reason}")
        return self._reuse_or_make(
            "export",
            lambda: find_export(root, parents, config),
            lambda: publish_export(root, partial(self._fill_export, method), parents, config),
        )

    def _fill_export(self, method: str, folder: Path) -> dict[str, Any]:
        tokenizer = tokenizer_of(method, self.catalogue)
        parts = (self.load_ranker(method), tokenizer, self.item_table, self.saved_quantizer)
        example = self._warmup_example()
        export_ranker(*parts, folder, example)
        figures = {"largest_difference": verify_export(folder, *parts, example)}
        return figures | {"custom_ops": custom_ops(folder)}

    def _warmup_example(self) -> WarmupExample:
        case = self.showcase
        history, candidates = self.items.item_ids[case.history], self.items.item_ids[case.candidates]
        embeddings = self.items.embeddings[case.candidates]
        return WarmupExample(history[None, :], candidates[None, :], embeddings[None, :])

    @cached_property
    def showcase(self) -> Showcase:
        """A real user, his candidates and a new item."""
        return choose_showcase(self.items, self.splits)

    # Step 8: verification

    @cached_property
    def verification(self) -> Artifact:
        """What the export answers in a bare process: a user's top ten, and a brand-new item."""
        settings = {"title_column": self.config.data.title_column}
        return self._make(
            "verification", settings, (self.export, self.tables, self.examples), self._fill_verification
        )

    def _fill_verification(self, folder: Path) -> Made:
        requests = self._warmup_example().requests(self.item_table)
        new = {
            "history": requests["rank_item_ids"]["history"],
            "candidate_embeddings": [[self.showcase.new_embedding]],
        }
        by_id = {"rank_item_ids": requests["rank_item_ids"]}
        answers = score_in_bare_process(self.export.path, by_id | {"rank_embeddings": new})
        figures = {
            "user_id": self._user_id(self.showcase.user),
            "top": self._top(answers["rank_item_ids"]["scores"][0]),
            "new_item": self._new_item(answers["rank_embeddings"]),
        }
        (folder / "answers.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        return Made(fingerprint(figures), figures)

    def _user_id(self, user: int) -> str:
        return str(index_users(read_tables(self.tables.path)[1]).user_ids[user])

    def _top(self, scores: list[float]) -> list[dict[str, Any]]:
        best = np.argsort(-np.array(scores), kind="stable")[:_SHOWN]
        rows = self.showcase.candidates[best]
        titles = self.items.titles(self.config.data.title_column)
        ids = self.items.item_ids
        return [
            {"item_id": ids[r], "title": titles[r], "score": scores[b]}
            for r, b in zip(rows, best, strict=True)
        ]

    @staticmethod
    def _new_item(answer: dict[str, Any]) -> dict[str, Any]:
        return {"semantic_id": format_semantic_id(answer["codes"][0][0]), "score": answer["scores"][0][0]}

    def quality(self) -> dict[str, Any]:
        """How good the Semantic IDs of the catalogue are."""
        table = self.item_table
        restored = self.saved_quantizer.decode(table.codes)
        found = quality_of(table.item_ids, table.codes, table.code_space)
        different = different_rows(self.items.embeddings, table.code_space)
        warnings = collapse_warnings(found.code_usage, found.perplexity, table.code_space, different)
        for line in warnings:
            self.say(f"warning: {line}")
        error = {"normalized_mse": normalized_mse(self.items.embeddings, restored)}
        return error | found.plain() | {"warnings": warnings}

    def _given(self, kind: str, folder: str) -> Artifact:
        artifact = open_artifact(folder, kind)
        self.say(f"{kind}: given, {artifact.path}")
        return artifact

    def _make(
        self, kind: str, config: Any, parents: tuple[Artifact, ...], fill: Callable[[Path], Made]
    ) -> Artifact:
        inputs = self.store.inputs(kind, config, parents)
        return self._reuse_or_make(
            kind,
            lambda: self.store.find(kind, inputs),
            lambda: self.store.make(kind, config, parents, fill),
        )

    def _reuse_or_make(
        self, kind: str, find: Callable[[], Artifact | None], make: Callable[[], Artifact]
    ) -> Artifact:
        if found := find():
            self.say(f"{kind}: re-used, {found.path}")
            return found
        started = time.perf_counter()
        artifact = make()
        self.say(f"{kind}: made in {time.perf_counter() - started:.1f} s, {artifact.path}")
        return artifact


def load_ranker(path: str | Path) -> Ranker:
    """Loads a `ranker.keras`.

    Raises:
        ArtifactError: it is missing or no ranker.
    """
    try:
        found = tf_keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"{path} is no ranker ({reason}); give a {RANKER_FILE}.") from error
    if not isinstance(found, Ranker):
        raise ArtifactError(f"{path} is a {type(found).__name__}, no ranker; give a {RANKER_FILE}.")
    return found
