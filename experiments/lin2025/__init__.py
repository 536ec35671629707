"""Lin et al. 2025, "Unified Semantic and ID Representation Learning" (arXiv 2502.16474), and beyond.

python -m experiments.lin2025 --items ITEMS --interactions INTERACTIONS --output FOLDER [--quick]

Each run is trained on all but the last two events of each user, chosen by the last but one, and judged by the
last: among 99 items that the user never touched (the paper's protocol), and among all items with and without
those of the history. Some are trained again without a tenth of the items, which then are what is foretold.

Each run is noted in `FOLDER/runs.jsonl` when it is done. Called again with the same data, the command goes on
with the runs that are missing; the results are of all runs that the folder has.
"""
