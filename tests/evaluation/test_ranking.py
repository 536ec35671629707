"""Ranks and their figures against plain loops."""

from __future__ import annotations

import numpy as np

import semid_tf as sid
from semid_tf.evaluation.ranking import expected_among


def test_ranks_equal_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 5, (40, 9)).astype(np.float32)  # many ties
    targets, excluded = random.integers(0, 9, 40), random.random((40, 9)) < 0.3
    for row, rank in enumerate(sid.ranks_of(scores, targets, excluded)):
        others = [j for j in range(9) if j != targets[row] and not excluded[row, j]]
        assert rank == sum(scores[row, j] >= scores[row, targets[row]] for j in others)


def test_a_model_that_scores_all_items_alike_finds_nothing() -> None:
    ranks = sid.ranks_of(np.zeros((5, 100)), np.arange(5))
    assert sid.ranking_figures(ranks, [10]) == {"recall@10": 0.0, "ndcg@10": 0.0, "mrr": 0.01}


def test_figures_by_hand() -> None:
    figures = sid.ranking_figures(np.array([0, 1, 4, 30]), [1, 5])
    assert figures["recall@1"] == figures["ndcg@1"] == 0.25
    assert figures["recall@5"] == 0.75
    np.testing.assert_allclose(figures["ndcg@5"], (1 + 1 / np.log2(3) + 1 / np.log2(6)) / 4)
    np.testing.assert_allclose(figures["mrr"], (1 + 1 / 2 + 1 / 5 + 1 / 31) / 4)


def test_nothing_to_rank_gives_nan() -> None:
    assert all(np.isnan(value) for value in sid.ranking_figures(np.array([], int), [5]).values())


def test_figures_expected_among_some_are_the_means_over_draws() -> None:
    random, others, drawn = np.random.default_rng(0), 200, 30
    ranks = np.array([0, 3, 20, 90])
    better = np.array([random.choice(others, drawn, replace=False) for _ in range(4000)])
    found = np.array([(better < rank).sum(axis=1) for rank in ranks])  # 4,000 ranks among the drawn
    figures = sid.ranking_figures(found.ravel(), [5])
    expected = expected_among(ranks, others, drawn, 5)
    for name in ("recall@5", "ndcg@5"):
        np.testing.assert_allclose(expected[f"{name} among 30"], figures[name], atol=0.005)


def test_among_all_others_the_expected_figures_are_the_figures() -> None:
    ranks = np.array([0, 3, 9, 10, 19])
    figures = sid.ranking_figures(ranks, [10])
    expected = expected_among(ranks, 20, 20, 10)
    np.testing.assert_allclose(list(expected.values()), [figures["recall@10"], figures["ndcg@10"]])
