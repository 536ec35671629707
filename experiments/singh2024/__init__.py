"""Singh et al. 2024, "Better Generalization with Semantic IDs" (arXiv 2306.08121), on one's own catalogue.

    python -m experiments.singh2024 --items items.parquet --interactions interactions.parquet --output DIR

Protocol: train on the interactions before a moment, rank those after it; cold items have none before it.
Every method is trained on the same examples, with and without the user's history, at several table sizes,
with several seeds. `--quick`: one seed and two table sizes.

`--before-test` moves the whole protocol into the training period, whose last fifth then stands in for the
test: settings are chosen there, so that the test decides nothing.
"""
