"""A trained sequence model as a SavedModel: a history in, the items that come next out.

    serving_default,   history string [b, h], latest last   -> item_ids string [b, k], scores float32 [b, k]
    recommend

Padding is "", anywhere in a history, which may be empty; unknown items are passed over; items of the history
are not recommended: an answer for which fewer than k items are left ends with "" at scores of -1e9.
It needs no op beyond TensorFlow's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import semid_tf as sid
from serving.export import DEFAULT
from serving.item_index import ItemIndex
from serving.versions import publish_export
from serving.warmup import write_warmup


def export_recommender(
    next_items: sid.NextItems, item_ids: Sequence[str], folder: str | Path, k: int = 100
) -> None:
    """Fills a folder with the SavedModel and its warm-up requests.

    Args:
        next_items: the model and its items.
        item_ids: of all of them, new ones included, by item index.
        folder: the version folder; where a server may be watching, see `publish_recommender`.
        k: items of an answer, best first; who wants fewer takes the first ones.

    Raises:
        DataError: another number of ids than of items; an id cannot be a line of a file.
    """
    if len(item_ids) != next_items.num_items:
        raise sid.DataError(
            f"{len(item_ids)} item ids for {next_items.num_items} items; each item needs its own."
        )
    module = tf.Module(name="recommender")
    module.index, module.ids = ItemIndex(item_ids), tf.Variable(["", *item_ids], trainable=False)
    k = min(k, next_items.num_items)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.string, "history")])
    def recommend(history: tf.Tensor) -> dict[str, tf.Tensor]:
        best = next_items.top(module.index(history), k)
        return {"item_ids": tf.gather(module.ids, best.items), "scores": best.scores}

    module.recommend = recommend
    # The model itself stays out: tracking a Keras model saves Keras' own functions as well.
    module.tracked = list(recommend.get_concrete_function().graph.variables)
    signatures = {DEFAULT: recommend, "recommend": recommend}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    longest = np.resize(np.array(item_ids, str), (1, next_items.model.max_length))
    write_warmup({name: {"history": longest} for name in signatures}, Path(folder))


def publish_recommender(
    next_items: sid.NextItems, item_ids: Sequence[str], root: str | Path, k: int = 100
) -> sid.Artifact:
    """Publishes the next version below a model's base path; it appears whole, by one rename.

    Args:
        root: the model's base path; made if it is missing.
        next_items, item_ids, k: see `export_recommender`.

    Raises:
        DataError: see `export_recommender`.
        ArtifactError: another process published the same version meanwhile.
    """

    def fill(folder: Path) -> dict[str, Any]:
        export_recommender(next_items, item_ids, folder, k)
        return {"items": next_items.num_items}

    return publish_export(root, fill, (), {"k": k})
